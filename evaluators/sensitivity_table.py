"""What each choice of each site alone does to the outputs: measured as far as a time limit allows, else interpolated.

The most telling choices come first: the strongest of every site, then the middle ones, then the middles between those.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..hardware_profiles.errors import ParefrontError
from ..spaces import Choice, Configuration, SearchSpace, Site
from .sensitivity import Damages
from .table_file import SUBJECT, TableFile

N_TIMED = 3
"""Choices that are measured to find out how long one takes."""
DIVERGENCE = "divergence"
WORST = 1.0
"""As if the outputs no longer depended on the inputs."""

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
        """Choices that will be measured; those left are interpolated."""
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
        interpolated = f", {n_left} interpolated (at most {self.max_seconds:.0f} s)" if n_left else ""
        return f"{known}{self.n_measured} to measure in {self.seconds:.0f} s{interpolated}"


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

    def damages(self, prior: Damages) -> Damages:
        """Divergence by site and choice, 0 for neutral ones and at most 1; of sites without a measured choice nothing.

        Args:
            prior: What the weights alone say, see `site_damages`: it gives the course between two measured choices.
        """
        table: dict[str, dict[Choice, float]] = {}
        for site in self._space.sites:
            known = {c: self._values[site.name, c] for c in site.choices if (site.name, c) in self._values}
            if known:
                table[site.name] = interpolated(site, known, prior[site.name])
        return table

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
    orders = [_bisected(len(site.choices)) for site in space.sites]
    for rank in range(max((len(order) for order in orders), default=0)):
        for site, order in zip(space.sites, orders, strict=True):
            if rank < len(order):
                yield site, site.choices[order[rank]]


def interpolated(site: Site, known: Mapping[Choice, float], prior: Mapping[Choice, float]) -> dict[Choice, float]:
    """Values of all choices of a site from those of some.

    Between two known choices the value grows as a power of the prior, before the first as its square: that is how
    measured tables mostly run. An interpolated value never leaves the range of the two beside it.

    Args:
        site: Its choices, weakest first.
        known: At least one of them.
        prior: Rises with the strength of a choice.
    """
    values: dict[Choice, float] = {site.neutral: 0.0}
    places = [place for place, choice in enumerate(site.choices) if choice in known and place > 0]
    for place, choice in enumerate(site.choices[1:], 1):
        before = max((p for p in places if p <= place), default=0)
        behind = min((p for p in places if p >= place), default=before)
        low, high = (site.choices[p] for p in (before, behind))
        if place in places or behind == before:
            values[choice] = known[low]
        elif before == 0:
            values[choice] = known[high] * _share(prior[choice], 0.0, prior[high], place / behind) ** 2
        else:
            share = _log_share(prior[choice], prior[low], prior[high], (place - before) / (behind - before))
            values[choice] = _between(known[low], known[high], share)
    return values


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


def _share(value: float, low: float, high: float, otherwise: float) -> float:
    """Where a value lies between two others, from 0 to 1; `otherwise` where these do not rise."""
    return min(1.0, max(0.0, (value - low) / (high - low))) if high > low else otherwise


def _log_share(value: float, low: float, high: float, otherwise: float) -> float:
    if not 0 < low < high:
        return otherwise
    return _share(math.log(max(value, low)), math.log(low), math.log(high), otherwise)


def _between(low: float, high: float, share: float) -> float:
    """On a logarithmic scale, on a linear one where a value is 0."""
    if low > 0 and high > 0:
        return math.exp((1 - share) * math.log(low) + share * math.log(high))
    return (1 - share) * low + share * high


def _subject(site: Site, choice: Choice) -> str:
    return f"{site.name}={choice}"
