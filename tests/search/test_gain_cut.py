from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from parefront.evaluators import CostTables
from parefront.evaluators.evaluator import Score
from parefront.search import RunDirectory
from parefront.search.drop_forecasts import FORETOLD
from parefront.search.executor import Stage
from parefront.search.gain_cut import LEAST_SHARE, MAX_IN_A_ROW, PROMISED, GainCut
from parefront.search.goals import DEFAULT_GOALS
from parefront.search.objectives import DEFAULT_OBJECTIVES
from parefront.search.pareto import hypervolume
from parefront.search.proposal import Proposal
from parefront.search.proposer import TableProposer
from parefront.search.trial import Fidelity, State, Trial
from parefront.spaces import Configuration, SearchSpace

from .conftest import scores
from .engine_bench import FAST, FOLD, GOOD, SLOW, Bench


class Fixed:
    """Foretells the same gain of everything, but of what is named."""

    def __init__(self, gain: float | None, named: Mapping[Configuration, float] | None = None) -> None:
        self.gain, self.named = gain, named or {}

    def expected_gain(self, configuration: Configuration, scores: Mapping[str, Score]) -> float | None:
        return self.named.get(configuration, self.gain)


def trial(number: int, configuration: Configuration, found: dict[str, Score] | None, train_s: float = 0.0) -> Trial:
    """A complete trial with those scores, or a closed one."""
    state = State.COMPLETE if found else State.DOMINATED
    seconds = {"train": train_s} if train_s else {}
    return Trial(number, configuration, Fidelity.SHORT, state, found or {}, origin="by hand", seconds=seconds)


BASELINE = trial(0, Configuration(), scores(0, 1.0, 1e6))
STRUCTURE = {name: score for name, score in scores(0, 0.5, 5e5).items() if not name.startswith("accuracy")}


def begun() -> list[Trial]:
    """Two candidates, of which one adds something to the hypervolume and one nothing."""
    return [BASELINE, trial(1, GOOD, scores(1.0, 0.25, 2.5e5)), trial(2, SLOW, scores(2.0, 0.5, 5e5))]


def usual_gain() -> float:
    first = begun()[1]
    point = DEFAULT_OBJECTIVES.clipped(DEFAULT_OBJECTIVES.point(first, BASELINE))
    return hypervolume([point], DEFAULT_OBJECTIVES.reference) / 2


@pytest.mark.parametrize(
    ("promised", "is_closed"),
    [(0.9 * LEAST_SHARE * usual_gain(), True), (1.1 * LEAST_SHARE * usual_gain(), False), (0.0, True), (None, False)],
)
def test_what_promises_a_small_part_of_the_usual_gain_is_closed(promised: float | None, is_closed: bool) -> None:
    reason = GainCut(begun(), Fixed(promised), DEFAULT_GOALS).weigh(FAST, STRUCTURE).reason
    assert bool(reason) == is_closed
    if is_closed:
        assert reason == (
            f"promises to add {promised:.2g} to the hypervolume, where the last 2 promised {2 * usual_gain():.2g}"
        )


def macs(value: float) -> dict[str, Score]:
    return {"macs": Score("macs", value, "MACs", False)}


@pytest.mark.parametrize(("size", "is_closed"), [(4e6, False), (16e6, False), (64e6, True)])
def test_what_trains_longer_must_promise_more(size: float, is_closed: bool) -> None:
    """Seconds grow with the MACs as they did: four times as long for sixteen times as many."""
    trials = [
        BASELINE,
        trial(1, GOOD, {**scores(1.0, 0.25, 2.5e5), **macs(1e6)}, 5.0),
        trial(2, SLOW, {**scores(2.0, 0.5, 5e5), **macs(16e6)}, 20.0),
    ]
    promised = LEAST_SHARE * usual_gain() * 2  # as in 25 s
    reason = GainCut(trials, Fixed(promised), DEFAULT_GOALS).weigh(FAST, STRUCTURE | macs(size)).reason
    assert bool(reason) == is_closed
    if is_closed:
        assert " in 40 s of training, where the last 2 promised " in reason
        assert reason.endswith(" in 25 s")


def test_promises_are_compared_with_promises() -> None:
    """What the latest added counts only where nothing was foretold of it; what was closed promised nothing."""
    trials = [replace(each, details={PROMISED: 0.5}) if each.configuration else each for each in begun()]
    trials.append(replace(trial(3, FAST, None), details={PROMISED: 0.9}))
    cut = GainCut(trials, Fixed(LEAST_SHARE * 0.3), DEFAULT_GOALS)
    assert cut.weigh(FOLD, STRUCTURE).reason.endswith("where the last 3 promised 1")
    assert not GainCut(trials, Fixed(LEAST_SHARE * 0.4), DEFAULT_GOALS).weigh(FOLD, STRUCTURE).reason


def test_the_first_candidate_is_trained() -> None:
    assert not GainCut([BASELINE], Fixed(0.0), DEFAULT_GOALS).weigh(FAST, STRUCTURE).reason


def test_where_nothing_adds_anything_nothing_is_closed() -> None:
    useless = [BASELINE, *(trial(number, FAST, scores(60.0, 0.5, 5e5)) for number in range(1, 4))]
    assert not GainCut(useless, Fixed(0.0), DEFAULT_GOALS).weigh(FOLD, STRUCTURE).reason


def test_after_some_in_a_row_the_next_is_trained_whatever_it_promises() -> None:
    trials = begun()
    cut = GainCut(trials, Fixed(0.0), DEFAULT_GOALS)
    for number in range(3, 3 + MAX_IN_A_ROW):
        assert cut.weigh(FAST, STRUCTURE).reason
        trials.append(trial(number, FAST, None))
    assert not cut.weigh(FOLD, STRUCTURE).reason
    trials.append(trial(len(trials), FOLD, scores(3.0, 0.4, 4e5)))
    assert cut.weigh(FAST, STRUCTURE).reason


def test_the_proposer_foretells_by_what_was_measured(
    small_space: SearchSpace, evaluated: Callable[[SearchSpace, Proposal, int], Trial]
) -> None:
    """The smaller and faster a structure turns out, the more; nothing of what the front has already."""
    damages = {
        site.name: {c: k / (len(site.choices) - 1) for k, c in enumerate(site.choices)} for site in small_space.sites
    }
    proposer = TableProposer(small_space, CostTables(small_space), damages, 0)
    asked = Configuration.of({"bits/a": 8, "prune/a": 16})
    for number, choices in enumerate(({}, {"prune/a": 24}, {"prune/a": 16})):
        assert proposer.expected_gain(asked, STRUCTURE) is None  # of so few no drop follows
        proposer.tell(told := evaluated(small_space, Proposal(Configuration.of(choices), ""), number))
    latency, size = told.value("latency_ms"), told.value("size_bytes")

    def promised(share: float) -> float:
        found = scores(0, share * latency, share * size)
        gain = proposer.expected_gain(asked, {name: found[name] for name in STRUCTURE})
        assert gain is not None
        return gain

    assert promised(0.2) > promised(0.5) > promised(0.9) > promised(2.0) >= 0
    assert promised(2.0) < 0.1 * promised(0.5)


def test_what_is_said_to_be_ruined_promises_something_once_that_was_wrong(
    small_space: SearchSpace, evaluated: Callable[[SearchSpace, Proposal, int], Trial]
) -> None:
    """Two proposers with the same trials; for one of them the drops came as foretold."""
    damages = {
        site.name: {c: k / (len(site.choices) - 1) for k, c in enumerate(site.choices)} for site in small_space.sites
    }
    asked = Configuration.of({"bits/a": 8, "prune/a": 8, "rank/b": "spatial:8", "fold/a": "on"})
    promised = []
    for n_points in (0.0, 6.0):
        proposer = TableProposer(small_space, CostTables(small_space), damages, 0)
        for number, choices in enumerate(({}, {"prune/a": 24}, {"prune/a": 16}, {"rank/b": "spatial:16"})):
            told = evaluated(small_space, Proposal(Configuration.of(choices), ""), number)
            mean = told.value("accuracy_drop") + n_points
            proposer.tell(replace(told, details={**told.details, FORETOLD: [mean, mean - 0.2, mean + 0.2]}))
        found = scores(0, 0.2 * told.value("latency_ms"), 0.2 * told.value("size_bytes"))
        gain = proposer.expected_gain(asked, {name: found[name] for name in STRUCTURE})
        assert gain is not None
        promised.append(gain)
    assert promised[1] > 5 * promised[0]


def test_a_search_closes_what_promises_little_and_says_why(begun_run: RunDirectory, small_space: SearchSpace) -> None:
    bench = Bench(begun_run, small_space)
    trials, executor, _ = bench.search([GOOD, FAST], 2, forecaster=Fixed(0.0, {GOOD: 0.1}))
    assert [trial.state for trial in trials[2:]] == [State.COMPLETE, State.DOMINATED]
    assert trials[3].reason == (
        "promises to add 0 to the hypervolume in 1 s of training, where the last 1 promised 0.1 in 1 s"
    )
    assert (FAST, Stage.SHORT) not in [(job.configuration, job.stage) for job in executor.jobs]
