"""What each choice of each site alone does to the outputs: measured as far as a time limit allows, else estimated.

The most telling choices come first: the strongest of every site, of widths above all, as these are farthest from what
an estimate of first order holds for; then the middle ones, then the middles between those.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..hardware_profiles.errors import ParefrontError
from ..spaces import Choice, Configuration, SearchSpace, Site
from .sensitivity import Damages
from .table_file import SUBJECT, TableFile

N_TIMED = 3
"""Choices that are measured to find out how long one takes."""
DIVERGENCE = "divergence"
WORST = 1.0
"""As if the outputs no longer depended on the inputs."""
LEAST = 1e-6
"""Divergences below count as this where they are divided by: no drop can be told from such."""

_SiteChoice = tuple[Site, Choice]


class Divergence(Protocol):
    """What `OutputDivergence` does."""

    def of(self, configuration: Configuration) -> float:
        """How far the outputs are from the uncompressed network's."""
        ...


@dataclass(frozen=True, slots=True)
class SensitivityPlan:
    """What a table costs, known before it is paid.

    Attributes:
        n_choices: All choices of all sites but the neutral ones.
        n_known: Of these, measured already.
        seconds_each: What measuring one more takes.
        max_seconds: What may be spent.
    """

    n_choices: int
    n_known: int
    seconds_each: float
    max_seconds: float

    @property
    def n_measured(self) -> int:
        """Choices that will be measured; those left are estimated."""
        if self.max_seconds <= 0:
            return 0
        affordable = self.n_choices if self.seconds_each <= 0 else int(self.max_seconds / self.seconds_each)
        return min(self.n_choices - self.n_known, affordable)

    @property
    def seconds(self) -> float:
        """What that will take."""
        return self.n_measured * self.seconds_each

    def __str__(self) -> str:
        """One line for people."""
        n_left = self.n_choices - self.n_known - self.n_measured
        known = f"{self.n_known} of {self.n_choices} choices known, "
        estimated = f", {n_left} estimated (at most {self.max_seconds:.0f} s)" if n_left else ""
        return f"{known}{self.n_measured} to measure in {self.seconds:.0f} s{estimated}"


class SensitivityTable:
    """The divergence of every site-choice, kept in a file.

    Attributes:
        failures: Reason by site and choice, of choices that could not be measured; they count as the worst.
    """

    def __init__(
        self, space: SearchSpace, divergence: Divergence, file: TableFile, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Reads what is known.

        Args:
            space: Its sites.
            divergence: Measures.
            file: What was measured before, of the same network, data and options; what is measured now is added.
            clock: Seconds.
        """
        self._space, self._divergence, self._file, self._clock = space, divergence, file, clock
        self._order = tuple(by_importance(space))
        wanted = {_subject(site, choice): (site.name, choice) for site, choice in self._order}
        self._values: dict[tuple[str, Choice], float] = {}
        self.failures: dict[tuple[str, Choice], str] = {}
        for entry in file.read():
            if entry[SUBJECT] in wanted:
                self._take(wanted[entry[SUBJECT]], entry)

    def plan(self, max_seconds: float) -> SensitivityPlan:
        """Measures the first few choices that are not known, unless nothing may be spent, and says what all take.

        Args:
            max_seconds: What may be spent, these few included.
        """
        started, n_timed = self._clock(), 0
        for site, choice in self._missing()[:N_TIMED]:
            if self._clock() - started >= max_seconds:
                break
            self._measure(site, choice)
            n_timed += 1
        spent = self._clock() - started
        left = max(0.0, max_seconds - spent)
        return SensitivityPlan(len(self._order), self._n_known, spent / n_timed if n_timed else 0.0, left)

    def measure(self, plan: SensitivityPlan, progress: Callable[[int, int], None] | None = None) -> None:
        """Measures what the plan says; stops when its time is over, whatever was expected.

        Args:
            plan: From `plan`.
            progress: Called with the choices measured and to measure.
        """
        started = self._clock()
        for done, (site, choice) in enumerate(self._missing()[: plan.n_measured], 1):
            if self._clock() - started >= plan.max_seconds:
                return
            self._measure(site, choice)
            if progress is not None:
                progress(done, plan.n_measured)

    def damages(self, estimates: Damages) -> Damages:
        """Divergence of every choice of every site, 0 for neutral ones and at most 1.

        Args:
            estimates: Of all of them, exact for small ones, see `first_order_divergences`.
        """
        return {site.name: corrected(site, self._known(site), estimates[site.name]) for site in self._space.sites}

    def _known(self, site: Site) -> dict[Choice, float]:
        return {c: self._values[site.name, c] for c in site.choices if (site.name, c) in self._values}

    @property
    def _n_known(self) -> int:
        return len(self._values)

    def _missing(self) -> list[_SiteChoice]:
        return [each for each in self._order if (each[0].name, each[1]) not in self._values]

    def _measure(self, site: Site, choice: Choice) -> None:
        entry: dict[str, Any] = {SUBJECT: _subject(site, choice)}
        try:
            value = self._divergence.of(Configuration.of({site.name: choice}))
            finite = math.isfinite(value)
            entry |= {DIVERGENCE: value} if finite else {"reason": "the outputs are no numbers"}
        except ParefrontError as error:
            entry["reason"] = str(error)
        self._take((site.name, choice), entry)
        self._file.add(entry)

    def _take(self, at: tuple[str, Choice], entry: Mapping[str, Any]) -> None:
        if DIVERGENCE in entry:
            self._values[at] = min(WORST, max(0.0, float(entry[DIVERGENCE])))
        else:
            self._values[at], self.failures[at] = WORST, str(entry.get("reason", ""))


def by_importance(space: SearchSpace) -> Iterator[_SiteChoice]:
    """All choices but the neutral ones: the strongest of every site, the middle ones, the middles between those, ..."""
    sites = sorted(space.sites, key=lambda site: site.technique != "prune")
    orders = [_bisected(len(site.choices)) for site in sites]
    for rank in range(max((len(order) for order in orders), default=0)):
        for site, order in zip(sites, orders, strict=True):
            if rank < len(order):
                yield site, site.choices[order[rank]]


def corrected(site: Site, known: Mapping[Choice, float], estimates: Mapping[Choice, float]) -> dict[Choice, float]:
    """Values of all choices of a site: those that are known, and estimates that are off as much as their neighbours.

    The logarithm of what an estimate is off by grows evenly from nothing at the neutral choice to the first known one,
    from that to the next, and stays behind the last: that is how measured tables mostly run. Narrower layers never do
    less.

    Args:
        site: Its choices, weakest first.
        known: Any of them.
        estimates: Of all of them.
    """
    places = [place for place, choice in enumerate(site.choices) if place == 0 or choice in known]
    errors = [
        0.0 if place == 0 else math.log(max(known[choice], LEAST) / max(estimates[choice], LEAST))
        for place, choice in enumerate(site.choices)
        if place in places
    ]
    values = {site.neutral: 0.0}
    for place, choice in enumerate(site.choices[1:], 1):
        factor = math.exp(float(np.interp(place, places, errors)))
        values[choice] = known[choice] if choice in known else min(WORST, factor * estimates[choice])
    return _rising(site, known, values) if site.technique == "prune" else values


def _rising(site: Site, known: Mapping[Choice, float], values: Mapping[Choice, float]) -> dict[Choice, float]:
    """Values that never fall from a choice to the next, nor exceed a known one that follows: the same channels go."""
    limits = itertools.accumulate([known.get(choice, WORST) for choice in reversed(site.choices)], min)
    limited = [min(values[choice], limit) for choice, limit in zip(site.choices, [*limits][::-1], strict=True)]
    return dict(zip(site.choices, itertools.accumulate(limited, max), strict=True))


def _bisected(n_choices: int) -> list[int]:
    """Positions from 1: the last, the middle, the middles of the halves, ... each once."""
    order, spans = [n_choices - 1] if n_choices > 1 else [], [(0, n_choices - 1)]
    while spans:
        low, high = spans.pop(0)
        middle = (low + high) // 2
        if middle > low:
            order.append(middle)
            spans += [(middle, high), (low, middle)]
    return order


def _subject(site: Site, choice: Choice) -> str:
    return f"{site.name}={choice}"
