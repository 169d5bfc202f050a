"""Which trial to measure again: where the front turns on a difference that is not sure. Pure: trials in, one out."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from .front import Standings, half_width, standings, tolerated
from .goals import DEFAULT_GOALS, Goals
from .running_front import RunningFront
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
    return next_repeat_of(RunningFront(trials, Fidelity.SHORT, goals), trials, goals, under_way)


def next_repeat_of(
    front: RunningFront, trials: Sequence[Trial], goals: Goals, under_way: Collection[int]
) -> Trial | None:
    """The same, with the short front of these trials worked out already."""
    members = standings([t for t in front.members if t.configuration], goals)
    settled = _settled(trials) | set(under_way)
    best: tuple[float, Trial] | None = None
    if not len(members) or not any(goals.objectives[i].quantity.is_measured for i in range(len(goals.objectives))):
        return None
    for trial in _not_surely_put_off(front.held, members):
        shares = _shares(members, standings([trial], goals), np.array([t is trial for t in members.trials]))
        for share, member in zip(shares, members.trials, strict=True):
            open_ones = [t for t in (trial, member) if t.number not in settled]
            if np.isfinite(share) and open_ones and (best is None or share < best[0]):
                best = (float(share), max(open_ones, key=lambda t: _widest(t, goals)))
    return best[1] if best else None


def _not_surely_put_off(held: Standings, members: Standings) -> list[Trial]:
    """Of what is held the few whose verdict may not be sure: most are far behind some member."""
    left = held.of(np.flatnonzero([bool(t.configuration) for t in held.trials]))
    for k, member in enumerate(members.trials):
        one = members.of(np.array([k]))
        is_behind = (one.exact <= left.exact).all(axis=1) & _is_sure(one, left).all(axis=1)
        left = left.of(np.flatnonzero(~is_behind | (left.trials == member)))
    return list(left.trials)


def _settled(trials: Sequence[Trial]) -> set[int]:
    """Trials that are not measured again: those that were, whichever way it ended, and what came of them."""
    repeats = [t for t in trials if t.supersedes is not None]
    promoted = {t.parent for t in trials if t.fidelity is Fidelity.FULL and t.parent is not None}
    done = {t.supersedes for t in repeats} | {t.number for t in repeats if t.state is State.COMPLETE} | promoted
    return {number for number in done if number is not None}


def _is_sure(members: Standings, others: Standings) -> NDArray[np.bool_]:
    """Whether the whole interval of a difference lies within its bound, by pair and measured objective."""
    bounds = tolerated(members.half_widths, others.half_widths)
    widths = np.hypot(members.half_widths, others.half_widths)
    return np.asarray(members.logs - others.logs + widths < bounds)


def _shares(members: Standings, trial: Standings, is_itself: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How many half-widths the verdict about a trial lies from its bound, by member: 0 to 1; inf where it is sure.

    All are inf where one member puts the trial off for sure.
    """
    differences = members.logs - trial.logs
    bounds = tolerated(members.half_widths, trial.half_widths)
    widths = np.hypot(members.half_widths, trial.half_widths)
    is_rival = (members.exact <= trial.exact).all(axis=1) & ~is_itself
    is_sure = _is_sure(members, trial)
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
