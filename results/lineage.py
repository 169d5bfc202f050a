"""Why a trial was proposed: the chain of its ancestors back to a seed, and what changed on the way."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ..search.proposal import PARENTS
from ..search.trial import State, Trial
from ..spaces.configuration import Configuration
from ..spaces.site import Choice, Site

MAX_WORDED_STEPS = 4
"""Steps that the sentence names; of a longer chain it counts those between them and the seed."""
MAX_WORDED_CHANGES = 6
_NUMBER = re.compile(r"#(\d+)")
_SEED_ARTICLES = {"sweep": "a ", "tables'": "the "}
_WITHOUT_ARTICLE = ("measured again", "from ")
_ENDED_BADLY = {State.FAILED: " (which failed)", State.DOMINATED: " (which was closed early)"}


class ChainEnd(StrEnum):
    """How a chain of ancestors ends."""

    SEED = "seed"
    """At a trial that was made from no other."""
    MISSING = "missing"
    """At a number that the record does not hold."""
    CYCLE = "cycle"
    """At a trial that is in the chain already, as only a damaged record can have it."""


@dataclass(frozen=True, slots=True)
class Change:
    """One site that differs from the parent.

    Attributes:
        site: Its name.
        before: The parent's choice; None where the site is neutral there and its neutral choice is not known.
        after: The child's choice, likewise.
    """

    site: str
    before: Choice | None
    after: Choice | None

    @property
    def text(self) -> str:
        """For example `prune/layer2.0.conv1 48 → 32`."""
        words = ("unchanged" if choice is None else str(choice) for choice in (self.before, self.after))
        return f"{self.site} {' → '.join(words)}"


@dataclass(frozen=True, slots=True)
class LineageStep:
    """One trial of the chain.

    Attributes:
        number: Of the trial.
        origin: Why it was proposed, as it was recorded.
        parents: The trials it was made from; the chain goes on with the first.
        is_promotion: The same configuration as its parent, with more training.
        state: How it ended.
        changes: What differs from its first parent; empty where that one is not in the record.
    """

    number: int
    origin: str
    parents: tuple[int, ...]
    is_promotion: bool
    state: State
    changes: tuple[Change, ...] = ()

    @property
    def text(self) -> str:
        """Why it was proposed, with all parents named."""
        if self.is_promotion:
            return f"promoted from #{self.parents[0]}"
        unnamed = [f"#{number}" for number in self.parents if number not in _numbers(self.origin)]
        return f"{self.origin} and {', '.join(unnamed)}" if unnamed else self.origin or "unknown"


@dataclass(frozen=True, slots=True)
class Lineage:
    """Why one trial was proposed.

    Attributes:
        steps: From the trial itself back to where the chain ends; never empty.
        end: How it ends.
    """

    steps: tuple[LineageStep, ...]
    end: ChainEnd

    @property
    def number(self) -> int:
        """Of the trial that is explained."""
        return self.steps[0].number

    @property
    def text(self) -> str:
        """One line: `mutation of #31, itself a shift of #12, a uniform prune 25%`."""
        first, *rest = self.steps
        n_hidden = max(0, len(rest) - MAX_WORDED_STEPS)
        parts = [first.text]
        for step in rest if not n_hidden else rest[: MAX_WORDED_STEPS - 1]:
            parts.append(f"{'itself ' if step.parents else ''}{_with_article(step)}{_ENDED_BADLY.get(step.state, '')}")
        if n_hidden:
            last = rest[-1]
            parts.append(f"and {n_hidden + 1} steps further back {_with_article(last)} (#{last.number})")
        return ", ".join(parts) + self._word_end()

    @property
    def changed_step(self) -> LineageStep | None:
        """The latest step that changed anything against its parent; None where none did."""
        return next((step for step in self.steps if step.changes), None)

    @property
    def changes_text(self) -> str:
        """What the latest change was: `against #12: prune/conv1 48 → 32, bits/fc 32 → 8`; empty where none is known."""
        step = self.changed_step
        if step is None:
            return ""
        named = [change.text for change in step.changes[:MAX_WORDED_CHANGES]]
        n_more = len(step.changes) - len(named)
        return f"against #{step.parents[0]}: {', '.join([*named, *([f'{n_more} more'] if n_more else [])])}"

    def _word_end(self) -> str:
        last = self.steps[-1]
        if self.end is ChainEnd.SEED:
            return ""
        if self.end is ChainEnd.MISSING:
            return f"; #{last.parents[0]} is not in the record"
        return f"; #{last.parents[0]} is its own ancestor: the record is damaged"

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "text": self.text,
            "changes_text": self.changes_text,
            "end": self.end.value,
            "chain": [
                {
                    "number": step.number,
                    "origin": step.origin,
                    "parents": list(step.parents),
                    "is_promotion": step.is_promotion,
                    "state": step.state.value,
                    "changes": [{"site": c.site, "from": c.before, "to": c.after} for c in step.changes],
                }
                for step in self.steps
            ],
        }


def lineage(trial: Trial, trials: Iterable[Trial], sites: Iterable[Site] = ()) -> Lineage:
    """Follows a trial back to its seed.

    Args:
        trial: The one to explain.
        trials: The record; ancestors that are not in it end the chain.
        sites: What could be chosen, for the neutral choices, which configurations leave out.
    """
    by_number = {each.number: each for each in trials}
    neutral = {site.name: site.neutral for site in sites}
    steps: list[LineageStep] = []
    seen: set[int] = set()
    current = trial
    while True:  # a loop, since a search of many rounds makes long chains
        seen.add(current.number)
        parents = parents_of(current)
        parent = by_number.get(parents[0]) if parents else None
        steps.append(_step(current, parents, parent, neutral))
        if parent is None:
            return Lineage(tuple(steps), ChainEnd.MISSING if parents else ChainEnd.SEED)
        if parent.number in seen:
            return Lineage(tuple(steps), ChainEnd.CYCLE)
        current = parent


def parents_of(trial: Trial) -> tuple[int, ...]:
    """The numbers of the trials that a trial was made from, the main one first; empty for a seed.

    A promotion has the trial that it promotes; then what the proposer recorded counts, and where it recorded nothing,
    the numbers in the origin's text.
    """
    if trial.parent is not None:
        return (trial.parent,)
    recorded = trial.details.get(PARENTS)
    if isinstance(recorded, Sequence) and not isinstance(recorded, str):
        numbers = [number for number in recorded if isinstance(number, int) and not isinstance(number, bool)]
        return tuple(dict.fromkeys(numbers))
    return tuple(dict.fromkeys(_numbers(trial.origin)))


def changes_between(before: Configuration, after: Configuration, neutral: Mapping[str, Choice]) -> tuple[Change, ...]:
    """The sites that differ, in the order of their names.

    Args:
        before: The parent's choices.
        after: The child's.
        neutral: Choices of the sites that a configuration leaves out.
    """
    old, new = dict(before), dict(after)
    pairs = {
        name: (old.get(name, neutral.get(name)), new.get(name, neutral.get(name))) for name in sorted({*old, *new})
    }
    return tuple(Change(name, *pair) for name, pair in pairs.items() if pair[0] != pair[1])


def _step(trial: Trial, parents: tuple[int, ...], parent: Trial | None, neutral: Mapping[str, Choice]) -> LineageStep:
    changes = () if parent is None else changes_between(parent.configuration, trial.configuration, neutral)
    return LineageStep(trial.number, trial.origin, parents, trial.parent is not None, trial.state, changes)


def _numbers(origin: str) -> list[int]:
    return [int(digits) for digits in _NUMBER.findall(origin)]


def _with_article(step: LineageStep) -> str:
    """`a shift of #12`, `an exchange of #9`, `the tables' best for latency`; a promotion needs none."""
    if step.is_promotion or step.origin.startswith(_WITHOUT_ARTICLE):
        return step.text
    if step.parents:
        return f"{'an' if step.text[0] in 'aeiou' else 'a'} {step.text}"
    return f"{_SEED_ARTICLES.get(step.text.partition(' ')[0], '')}{step.text}"
