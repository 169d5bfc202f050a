"""Which trial to measure again: where the front turns on a difference that is not sure. Pure: trials in, one out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .front import complete, front, half_width, tolerated
from .goals import DEFAULT_GOALS, Goals
from .trial import Fidelity, State, Trial


def next_repeat(trials: Sequence[Trial], goals: Goals = DEFAULT_GOALS, under_way: Collection[int] = ()) -> Trial | None:
    """The short trial to measure again next, or None where that can change nothing.

    A member of the front puts a trial off where it is as good in everything, and in what is measured a small difference
    is a tie. The verdict is not sure where the interval of the difference reaches across that bound. Of such pairs the
    one is taken whose bound lies nearest to the difference, in half-widths; of the two the one with the wider interval
    that has not been measured again. What has been, or has had its full fine-tune, is left as it is: a tie may remain.

    Args:
        trials: The record.
        goals: What is searched for.
        under_way: Numbers of trials that are being measured.
    """
    held = [t for t in goals.allowed(complete(trials, Fidelity.SHORT)) if t.configuration]
    members = [t for t in front(trials, Fidelity.SHORT, goals) if t.configuration]
    settled = _settled(trials) | set(under_way)
    best: tuple[float, Trial] | None = None
    if not members or not any(goals.objectives[i].quantity.is_measured for i in range(len(goals.objectives))):
        return None
    standing = _scored(members, goals)
    for trial in held:
        shares = _shares(standing, _scored([trial], goals), np.array([t is trial for t in members]))
        for share, member in zip(shares, members, strict=True):
            open_ones = [t for t in (trial, member) if t.number not in settled]
            if np.isfinite(share) and open_ones and (best is None or share < best[0]):
                best = (float(share), max(open_ones, key=lambda t: _widest(t, goals)))
    return best[1] if best else None


def _settled(trials: Sequence[Trial]) -> set[int]:
    """Trials that are not measured again: those that were, whichever way it ended, and what came of them."""
    repeats = [t for t in trials if t.supersedes is not None]
    promoted = {t.parent for t in trials if t.fidelity is Fidelity.FULL and t.parent is not None}
    done = {t.supersedes for t in repeats} | {t.number for t in repeats if t.state is State.COMPLETE} | promoted
    return {number for number in done if number is not None}


@dataclass(frozen=True, slots=True)
class _Scored:
    """Scores of n trials; `exact` of shape (n, exact objectives), the others (n, measured ones)."""

    exact: NDArray[np.float64]
    logs: NDArray[np.float64]
    half_widths: NDArray[np.float64]


def _scored(trials: Sequence[Trial], goals: Goals) -> _Scored:
    exact = [axis.score for axis in goals.objectives if not axis.quantity.is_measured]
    measured = [axis.score for axis in goals.objectives if axis.quantity.is_measured]
    return _Scored(
        np.array([[t.value(name) for name in exact] for t in trials]).reshape(len(trials), len(exact)),
        np.log([[t.value(name) for name in measured] for t in trials]),
        np.array([[half_width(t.scores[name]) for name in measured] for t in trials]),
    )


def _shares(members: _Scored, trial: _Scored, is_itself: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How many half-widths the verdict about a trial lies from its bound, by member: 0 to 1; inf where it is sure.

    All are inf where one member puts the trial off for sure.
    """
    differences = members.logs - trial.logs
    bounds = tolerated(members.half_widths, trial.half_widths)
    widths = np.hypot(members.half_widths, trial.half_widths)
    is_rival = (members.exact <= trial.exact).all(axis=1) & ~is_itself
    is_sure = differences + widths < bounds
    is_possible = (differences - widths <= bounds).all(axis=1)
    if bool((is_rival & is_sure.all(axis=1)).any()):
        return np.full(len(is_rival), np.inf)
    is_open = (is_rival & is_possible)[:, None] & ~is_sure & (widths > 0)
    # The widest intervals of all, without an end, come first.
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.nan_to_num(np.abs(differences - bounds) / widths, nan=0.0)
    return np.asarray(np.where(is_open, shares, np.inf).min(axis=1))


def _widest(trial: Trial, goals: Goals) -> float:
    return max(half_width(trial.scores[axis.score]) for axis in goals.objectives if axis.quantity.is_measured)
