"""A run in one sentence, and its front row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..evaluators.evaluator import Score
from ..search.drop_forecasts import forecast_accuracy
from ..search.feasibility import reaches
from ..search.front import complete
from ..search.goals import DEFAULT_GOALS, Goals
from ..search.rung_correlation import RungCorrelation, rung_correlations
from ..search.screening import screening_accuracy
from ..search.trial import Fidelity, State, Trial
from .findings import Findings
from .goal_words import cost_words, enumerated, further_costs, gains, headline_drop, profile_of


@dataclass(frozen=True, slots=True)
class FrontRow:
    """One member of the front, ready for a table.

    Attributes:
        number: Of the trial.
        is_baseline: The uncompressed network.
        is_pick: The member that the summary line names.
        accuracy: %, validation.
        accuracy_drop: Percentage points.
        latency_ms: Per batch of the profile.
        speedup: Latency of the baseline over its own.
        size_bytes: Of the file that the runtime loads.
        size_ratio: Size of the baseline over its own.
        macs: Per sample, for information; None where not counted.
        test_accuracy: %, of the exported file; None before the end.
        test_drop: Percentage points; None before the end.
        parity_error: Of torch's and the runtime's outputs, over their deviation; None before the end.
        is_verified: Exported, reloaded and in parity; None where not checked.
        artefact: Name of its file, or None.
        executed_int8: Operators that the runtime executed in int8, and how many were planned; None where unknown.
        is_latency_good: Whether the measurement converged.
        origin: Why it was proposed.
        further: Other scores that count in this search, by the objective's name: `memory`, `latency@board`.
    """

    number: int
    is_baseline: bool
    is_pick: bool
    accuracy: Score
    accuracy_drop: Score
    latency_ms: Score
    speedup: float
    size_bytes: int
    size_ratio: float
    macs: Score | None
    test_accuracy: Score | None
    test_drop: Score | None
    parity_error: Score | None
    is_verified: bool | None
    artefact: str | None
    executed_int8: tuple[int, int] | None
    is_latency_good: bool
    origin: str
    further: Mapping[str, Score]


def summary_line(findings: Findings) -> str:
    """How much faster and smaller the network became, and at what loss, in one sentence."""
    trials, goals, baseline = findings.trials, findings.goals, findings.baseline
    if baseline is None:
        first = trials[0] if trials else None
        return f"The baseline failed: {first.reason}" if first else "No trial has ended yet"
    if findings.pick is not None:
        return _gains(findings.pick, baseline, goals)
    compressed = [t for t in complete(trials, findings.fidelity) if t.configuration]
    if not compressed:
        return f"Nothing but the baseline has an accuracy yet ({_count_states(findings)})"
    members = [t for t in findings.front if t.configuration]
    if not members:
        return _nearest(compressed, goals)
    closest = min(members, key=lambda trial: trial.value("accuracy_drop"))
    main, within = goals.objectives.main_cost, f"within {headline_drop(goals):g} pt of the baseline"
    nothing = f"Nothing {cost_words(main).better}{profile_of(main)} {within}"
    return f"{nothing}; the smallest loss: {_gains(closest, baseline, goals)}"


def _nearest(compressed: Sequence[Trial], goals: Goals) -> str:
    """That no network keeps all limits, and how near the best come to those that none of them keeps."""
    limits = enumerated([limit.text for limit in goals.constraints])
    scores = {f"#{t.number}": {name: score.value for name, score in t.scores.items()} for t in compressed}
    broken = [each for each in reaches(goals.constraints, scores) if not each.can_be_kept]
    nearest = enumerated([f"{each.nearest} ({each.by})" for each in broken])
    return f"No network keeps {limits}{f'; the nearest: {nearest}' if broken else ' at once, though each is kept'}"


MIN_SCREENED = 10
"""Of fewer predictions a mean error says nothing."""


def screening_line(trials: Sequence[Trial]) -> str:
    """How far the predictions that chose the candidates can be trusted; empty where nothing was predicted."""
    accuracy = screening_accuracy(trials)
    if accuracy is None:
        return ""
    shown = accuracy.reported
    if accuracy.after_learning is None and shown.n_candidates < MIN_SCREENED:
        return f"Screening predictor: still learning, {shown.n_candidates} of {MIN_SCREENED} candidates"
    rank = "" if shown.rank_correlation is None else f", rank correlation {shown.rank_correlation:.2f}"
    candidates = "candidate" if shown.n_candidates == 1 else "candidates"
    which = f"{shown.n_candidates} {candidates}" if accuracy.after_learning else f"the first {shown.n_candidates}"
    classes = [f"{name} {100 * each.mean_error:.1f} %" for name, each in accuracy.by_class.items()]
    by_class = f" ({', '.join(classes)})" if len(classes) > 1 else ""
    return (
        f"Screening predictor: {100 * shown.mean_error:.1f} % mean error{by_class}{rank} over {which}; "
        "never shown as a measurement"
    )


def foretold_line(trials: Sequence[Trial]) -> str:
    """How far the drops can be trusted that chose the candidates; empty where hardly any was foretold."""
    accuracy = forecast_accuracy(trials)
    if accuracy is None or accuracy.n_candidates < MIN_SCREENED:
        return ""
    return (
        f"Predicted drops: {accuracy.median_error_pt:.2f} pt median error, {accuracy.share_within:.0%} within what was "
        f"said, over {accuracy.n_candidates} candidates; never shown as a measurement"
    )


def rungs_line(trials: Sequence[Trial]) -> str:
    """How far the accuracy after little training could be trusted; empty where no candidate was promoted."""
    parts = [_word_correlation(each) for each in rung_correlations(trials)]
    return f"Rank correlation of accuracy: {'; '.join(parts)}" if parts else ""


def _word_correlation(each: RungCorrelation) -> str:
    rank = "too few to tell" if each.rank_correlation is None else f"{each.rank_correlation:.2f}"
    candidates = "candidate" if each.n_candidates == 1 else "candidates"
    return f"{each.lower} with {each.higher} {rank} over {each.n_candidates} promoted {candidates}"


def front_rows(findings: Findings) -> list[FrontRow]:
    """The baseline, then the reported front from accurate to fast; empty before the baseline is evaluated."""
    baseline = findings.baseline
    if baseline is None:
        return []
    members = [trial for trial in findings.front if trial is not baseline]
    return [
        _front_row(trial, baseline, findings.goals, is_pick=trial is findings.pick) for trial in (baseline, *members)
    ]


def _front_row(trial: Trial, baseline: Trial, goals: Goals, *, is_pick: bool) -> FrontRow:
    executed, planned = trial.details.get("executed_int8"), trial.details.get("planned_int8")
    return FrontRow(
        number=trial.number,
        is_baseline=not trial.configuration,
        is_pick=is_pick,
        accuracy=trial.scores["accuracy"],
        accuracy_drop=trial.scores["accuracy_drop"],
        latency_ms=trial.scores["latency_ms"],
        speedup=baseline.value("latency_ms") / trial.value("latency_ms"),
        size_bytes=int(trial.value("size_bytes")),
        size_ratio=baseline.value("size_bytes") / trial.value("size_bytes"),
        macs=trial.scores.get("macs"),
        test_accuracy=trial.scores.get("test_accuracy"),
        test_drop=trial.scores.get("test_drop"),
        parity_error=trial.scores.get("parity_error"),
        is_verified=trial.is_verified,
        artefact=trial.artefact,
        executed_int8=None if executed is None or planned is None else (int(executed), int(planned)),
        is_latency_good=trial.details.get("latency_quality", "good") == "good",
        origin=trial.origin,
        further={axis.name: trial.scores[axis.score] for axis in further_costs(goals) if axis.score in trial.scores},
    )


def word_gains(trial: Trial, baseline: Trial, goals: Goals = DEFAULT_GOALS) -> str:
    """How much faster and smaller a network became, and at what loss where that was measured."""
    costs = enumerated(gains(trial, baseline, goals.objectives))
    return f"{costs}{f' {_loss(trial)}' if 'accuracy_drop' in trial.scores else ''}"


def _gains(trial: Trial, baseline: Trial, goals: Goals) -> str:
    return f"{word_gains(trial, baseline, goals)}, #{trial.number}"


def _loss(trial: Trial) -> str:
    drop = round(trial.value("accuracy_drop"), 1)
    measured_on = "validation" if trial.fidelity is Fidelity.FULL else f"validation, {trial.fidelity} fine-tune"
    if "test_drop" in trial.scores:
        test = round(trial.value("test_drop"), 1)
        # The word is repeated only where the two splits disagree about the direction.
        word = "" if (test < 0) == (drop < 0) else f"{_direction(test)} "
        measured_on += f"; {abs(test):.1f} pt {word}on test"
    return f"at {abs(drop):.1f} pt of accuracy {_direction(drop)} ({measured_on})"


def _direction(drop: float) -> str:
    return "gained" if drop < 0 else "lost"


def _count_states(findings: Findings) -> str:
    n, n_closed = len(findings.trials), sum(t.state is State.DOMINATED for t in findings.trials)
    return f"{n} {'trial' if n == 1 else 'trials'}: {n_closed} closed as dominated, {len(findings.failed)} failed"
