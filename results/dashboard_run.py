"""The dashboard's page of one run, as far as it is text and tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..hardware_profiles.errors import ParefrontError
from ..search.constraints import Constraint, parse_constraints
from ..search.trial import State, Trial
from . import report_sections as sections
from .dashboard_address import KINDS, ORDERS, Selection
from .dashboard_markup import go_to
from .load import Run
from .markup import Html, as_html, element, join, table
from .wording import word_bytes, word_ratio

PAGE = 25
"""Trials on one page of the table."""
_HEAD = ("trial", "lost, pt", "latency, ms", "faster", "size", "training", "what became of it")
_LAST = float("inf")


@dataclass(frozen=True, slots=True)
class Within:
    """The limits that a reader set.

    Attributes:
        limits: Understood.
        problem: Why they are not; then nothing is left out.
    """

    limits: tuple[Constraint, ...] = ()
    problem: str = ""

    def keep(self, trials: Sequence[Trial]) -> tuple[Trial, ...]:
        """The trials within all limits; the uncompressed network is always among them, since all else refers to it."""
        if not self.limits:
            return tuple(trials)
        return tuple(t for t in trials if not t.configuration or all(each.is_kept_by(t) for each in self.limits))


def read_limits(text: str, run: Run) -> Within:
    """What a reader wrote into the field of limits."""
    if not text:
        return Within()
    try:
        return Within(parse_constraints(text, run.profiles))
    except ParefrontError as error:
        return Within(problem=str(error))


def head(run: Run, name: str, status: str) -> Html:
    """The run's name, its headline, its facts and what of it could not be read."""
    what = f"{run.manifest.get('task', 'unknown task')} on {run.manifest.get('hardware', 'unknown hardware')}"
    state = element("span", status, "state good" if status == "running" else "state")
    problems = [element("p", problem, "note warn") for problem in run.problems]
    return join(
        [
            element("p", join([element("strong", name), f" {what} ", state]), "name"),
            element("h1", run.summary),
            sections.facts(run),
            *problems,
            sections.course(run),
        ]
    )


def trials_table(run: Run, trials: Sequence[Trial], selection: Selection) -> Html:
    """One page of the trials, with links to every other choice of what is listed and how.

    Args:
        run: The run.
        trials: Those within the limits.
        selection: What is shown.
    """
    members = {trial.number for trial in run.front}
    listed = sorted(_of_kind(trials, selection.kind, members), key=_KEYS[selection.order])
    n_pages = max(1, -(-len(listed) // PAGE))
    page = min(selection.page, n_pages)
    shown = listed[(page - 1) * PAGE : page * PAGE]
    baseline = run.findings.baseline
    rows = [_row(trial, baseline, selection, is_member=trial.number in members) for trial in shown]
    lists = _choices("Show", "kind", KINDS, selection)
    orders = _choices("Order", "order", ORDERS, selection)
    pages = _pages(page, n_pages, len(listed), selection)
    body = table(_HEAD, rows, "numbers trials") if rows else element("p", "No such trial.", "note")
    return join([element("div", join([lists, orders]), "choices"), body, pages])


def _of_kind(trials: Sequence[Trial], kind: str, members: set[int]) -> list[Trial]:
    tests: Mapping[str, Callable[[Trial], bool]] = {
        "all": lambda trial: True,
        "front": lambda trial: trial.number in members,
        "complete": lambda trial: trial.state is State.COMPLETE and trial.is_verified is not False,
        "closed": lambda trial: trial.state is State.DOMINATED,
        "failed": lambda trial: trial.state is State.FAILED or trial.is_verified is False,
    }
    return [trial for trial in trials if tests[kind](trial)]


def _score(trial: Trial, name: str) -> float:
    """A score to sort by; what has none comes last."""
    return trial.scores[name].value if name in trial.scores else _LAST


_KEYS: Mapping[str, Callable[[Trial], tuple[float, int]]] = {
    "newest": lambda trial: (0.0, -trial.number),
    "oldest": lambda trial: (0.0, trial.number),
    "accuracy": lambda trial: (_score(trial, "accuracy_drop"), trial.number),
    "latency": lambda trial: (_score(trial, "latency_ms"), trial.number),
    "size": lambda trial: (_score(trial, "size_bytes"), trial.number),
}


def _row(trial: Trial, baseline: Trial | None, selection: Selection, *, is_member: bool) -> list[object]:
    scores = trial.scores
    drop, latency, size = (scores.get(name) for name in ("accuracy_drop", "latency_ms", "size_bytes"))
    faster = "" if latency is None or baseline is None else word_ratio(baseline.value("latency_ms") / latency.value)
    link = go_to(selection.but(trial=trial.number), f"#{trial.number}")
    return [
        element("strong", link, "chosen") if trial.number == selection.trial else link,
        "" if drop is None else f"{drop.value:.2f}",
        "" if latency is None else f"{latency.value:.3f}",
        faster,
        "" if size is None else word_bytes(size.value),
        trial.fidelity if drop is not None else "",
        _fate(trial, is_member=is_member),
    ]


def _fate(trial: Trial, *, is_member: bool) -> Html:
    if trial.state is State.FAILED:
        return element("span", f"failed: {trial.reason or 'for an unknown reason'}", "warn")
    if trial.is_verified is False:
        return element("span", f"not verified: {trial.reason}", "warn")
    if trial.state is State.DOMINATED:
        return element("span", f"closed: {trial.origin}", "soft")
    return join([element("strong", "front: "), trial.origin]) if is_member else as_html(trial.origin)


def _choices(title: str, name: str, choices: Sequence[str], selection: Selection) -> Html:
    now = getattr(selection, name)
    links = [
        element("strong", choice) if choice == now else go_to(selection.but(page=1, **{name: choice}), choice)
        for choice in choices
    ]
    return element("p", join([f"{title}: ", join(links, " ")]), "note")


def _pages(page: int, n_pages: int, n_listed: int, selection: Selection) -> Html:
    first, last = (page - 1) * PAGE + 1, min(page * PAGE, n_listed)
    parts: list[object] = [f"Trials {first:,} to {last:,} of {n_listed:,}. "] if n_listed else []
    if page > 1:
        parts += [go_to(selection.but(page=1), "First"), " ", go_to(selection.but(page=page - 1), "Back"), " "]
    if page < n_pages:
        parts += [go_to(selection.but(page=page + 1), "Next"), " ", go_to(selection.but(page=n_pages), "Last")]
    return element("p", join(parts), "note")
