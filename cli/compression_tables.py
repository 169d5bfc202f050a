"""The outcome of `compress` for the terminal: one sentence, then the network before and after."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich import box
from rich.table import Table

from ..evaluators import Evaluation
from ..evaluators.by_hand import FIDELITIES
from ..results.summary import word_gains
from ..results.wording import word_bytes
from ..search.trial import Fidelity, State, Trial
from ..spaces import Configuration
from .compression import STRUCTURE, Outcome, configuration_path
from .console import open_console
from .inspection_tables import word_names
from .tables import with_half_width


def print_outcome(outcome: Outcome, fidelity: str, to: Path) -> None:
    """The headline, what patterns named in vain, before and after, and what was written."""
    console = open_console()
    console.print(f"\n{headline(outcome, fidelity)}\n", style="bold", markup=False, soft_wrap=True)
    reasons: dict[str, list[str]] = {}
    for skipped in outcome.assigned.skipped:
        reasons.setdefault(skipped.reason, []).append(skipped.site)
    for reason, sites in reasons.items():
        console.print(f"Not set: {word_names(sites)}: {reason}", style="yellow", markup=False, soft_wrap=True)
    console.print(_table(outcome))
    console.print(f"Written: {to} and {configuration_path(to)}", markup=False, soft_wrap=True)
    if not outcome.is_trained:
        console.print(f"The network is untrained, and so is {to}.", style="yellow", markup=False, soft_wrap=True)


def headline(outcome: Outcome, fidelity: str) -> str:
    """How much faster and smaller, and at what loss, in one sentence."""
    gains = word_gains(
        _trial(outcome.assigned.configuration, outcome.compressed.candidate, fidelity),
        _trial(Configuration(), outcome.compressed.baseline, fidelity),
    )
    return f"{gains}; nothing was trained, so its accuracy is not known" if fidelity == STRUCTURE else gains


def _trial(configuration: Configuration, evaluation: Evaluation, fidelity: str) -> Trial:
    """An evaluation in the form that the wording of runs takes."""
    assert fidelity in FIDELITIES
    level = Fidelity.CALIBRATED if fidelity == STRUCTURE else Fidelity(fidelity)
    return Trial(0, configuration, level, State.COMPLETE, evaluation.scores)


def _table(outcome: Outcome) -> Table:
    networks = {"baseline": outcome.compressed.baseline, "compressed": outcome.compressed.candidate}
    table = Table("", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in networks:
        table.add_column(name, justify="right", no_wrap=True)
    for heading, word in _ROWS.items():
        cells = [word(evaluation) for evaluation in networks.values()]
        if any(cells):
            table.add_row(heading, *cells)
    return table


def _score(name: str, digits: int) -> Callable[[Evaluation], str]:
    return lambda evaluation: with_half_width(evaluation.scores[name], digits) if name in evaluation.scores else ""


def _executed(kind: str) -> Callable[[Evaluation], str]:
    def word(evaluation: Evaluation) -> str:
        planned = evaluation.details.get(f"planned_{kind}")
        return f"{evaluation.details[f'executed_{kind}']} of {planned} planned" if planned else ""

    return word


def _bytes(evaluation: Evaluation, name: str) -> str:
    return word_bytes(evaluation.scores[name].value) if name in evaluation.scores else ""


def _memory(evaluation: Evaluation) -> str:
    taken = evaluation.details.get("memory_bytes")
    return "" if taken is None else word_bytes(taken)


def _energy(evaluation: Evaluation) -> str:
    taken = evaluation.details.get("energy_mj")
    return "" if taken is None else f"{taken:.3g}"


def _checks(evaluation: Evaluation) -> str:
    notes = ["verified"] if evaluation.is_verified else []
    if evaluation.details.get("latency_quality", "good") != "good":
        notes.append("latency unsure")
    return ", ".join(notes)


_ROWS: dict[str, Callable[[Evaluation], str]] = {
    "validation accuracy %": _score("accuracy", 1),
    "lost on validation, pt": _score("accuracy_drop", 2),
    "test accuracy %": _score("test_accuracy", 1),
    "lost on test, pt": _score("test_drop", 2),
    "latency ms": _score("latency_ms", 3),
    "size": lambda evaluation: word_bytes(evaluation.scores["size_bytes"].value),
    "stored size": lambda evaluation: _bytes(evaluation, "stored_bytes"),
    "MACs": lambda evaluation: f"{evaluation.scores['macs'].value / 1e6:.1f} M",
    "memory": _memory,
    "energy per inference, mJ": _energy,
    "executed in int8": _executed("int8"),
    "executed in half precision": _executed("half"),
    "executed with few-bit weights": _executed("weight_only"),
    "executed without zeros": _executed("sparse"),
    "export": _checks,
}
