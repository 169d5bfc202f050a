"""What a search begins with, on a real network; what is measured here is made up."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from parefront.evaluators import Workbench
from parefront.evaluators.calibration_draw import draw_calibration
from parefront.evaluators.evaluator import Score
from parefront.evaluators.first_order import first_order_divergences
from parefront.evaluators.observation import Observation
from parefront.evaluators.output_divergence import OutputDivergence
from parefront.evaluators.sensitivity import site_damages
from parefront.evaluators.sensitivity_table import SensitivityPlan
from parefront.evaluators.table_file import TableFile
from parefront.hardware_profiles import HardwareProfile, OperatorTime, SearchError, load_profile
from parefront.search.tables import FILE, Tables, observed, open_tables
from parefront.search.trial import Fidelity, State, Trial
from parefront.spaces import Configuration
from parefront.tasks import Task

OTHER = "cpu-ort-1t"
CONFIGURATION = Configuration.of({"bits/hidden": 8})


def trial(configuration: Configuration = CONFIGURATION, latency_ms: float = 0.5) -> Trial:
    """A candidate that was measured on two profiles."""
    scores = {
        "latency_ms": Score("latency_ms", latency_ms, "ms", False),
        f"latency_ms@{OTHER}": Score(f"latency_ms@{OTHER}", 2.0, "ms", False),
        "size_bytes": Score("size_bytes", 4000.0, "bytes", False),
    }
    details = {
        "operators": [["hidden", "Conv", "int8", 400.0]],
        f"operators@{OTHER}": [["hidden", "Conv", "int8", 1900.0]],
    }
    return Trial(3, configuration, Fidelity.SHORT, State.DOMINATED, scores, details=details)


@pytest.fixture(scope="module")
def bench(
    tiny_task: Task, fast_profile: HardwareProfile, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Workbench]:
    profile = load_profile(OTHER)
    bench = Workbench(tiny_task, fast_profile, tmp_path_factory.mktemp("artefacts"), seed=0, others=(profile,))
    yield bench
    bench.close()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins with empty tables; the baseline was trained before."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


Run = Callable[..., Tables]


@pytest.fixture
def run(tmp_path: Path, bench: Workbench, fast_profile: HardwareProfile) -> Run:
    """Begins or goes on with the run of that name."""

    def begin(name: str, **arguments: Any) -> Tables:
        directory = tmp_path / name
        directory.mkdir(exist_ok=True)
        return open_tables(bench, (fast_profile, load_profile(OTHER)), directory, **arguments)

    return begin


def test_the_first_search_begins_with_what_costs_nothing(run: Run, bench: Workbench) -> None:
    tables = run("first")
    assert tables.observations == {"": (), OTHER: ()}
    assert tables.damages == site_damages(bench.network, bench.space)
    inputs = draw_calibration(bench.data.train, bench.seed).inputs
    assert tables.divergences == first_order_divergences(bench.network, bench.space, inputs)
    assert (tables.plan, tables.problem) == ("", "")


def test_outputs_without_derivatives_have_no_divergences(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("parefront.search.tables.first_order_divergences", lambda *arguments: {})
    tables = run("first", max_seconds=600.0)
    assert (tables.divergences, tables.plan, tables.problem) == ({}, "", "")


def test_a_later_search_begins_with_what_was_measured(run: Run) -> None:
    run("first").keep(trial())
    expected = Observation(CONFIGURATION, (OperatorTime("hidden", "Conv", "int8", 400.0),), 0.5, 4000.0)
    other = replace(expected, operator_times=(OperatorTime("hidden", "Conv", "int8", 1900.0),), latency_ms=2.0)
    assert run("second").observations == {"": (expected,), OTHER: (other,)}
    assert run("third", has_reuse=False).observations == {"": (), OTHER: ()}


def test_a_search_that_goes_on_has_the_tables_it_began_with(run: Run) -> None:
    first = run("first")
    first.keep(trial())
    again = run("first")
    assert (again.observations, again.damages) == (first.observations, first.damages)
    again.keep(trial(latency_ms=0.75))
    second = run("second")
    assert [each.latency_ms for each in second.observations[""]] == [0.75]  # of one configuration the latest
    assert run("second").observations == second.observations


def test_only_measured_structures_are_kept() -> None:
    assert observed(trial()) is not None
    assert observed(replace(trial(), parent=1)) is None
    assert observed(replace(trial(), scores={}, details={}, state=State.FAILED)) is None
    assert observed(trial(), "another") is None


def test_what_does_not_fit_the_space_is_left_out(run: Run) -> None:
    first = run("first")
    first.keep(trial(Configuration.of({"bits/hidden": 4})))
    first.keep(trial(Configuration.of({"prune/nowhere": 4})))
    first._stores[""].add({"of": "not a configuration", "latency_ms": 1.0, "size_bytes": 1.0, "operators": [[1]]})
    assert run("second").observations == {"": (), OTHER: ()}


def test_divergences_are_measured_within_their_time_and_used_again(run: Run, bench: Workbench) -> None:
    plans: list[SensitivityPlan] = []
    steps: list[tuple[int, int]] = []
    first = run("first", max_seconds=600.0, on_plan=plans.append, progress=lambda *step: steps.append(step))
    n_choices = sum(len(site.choices) - 1 for site in bench.space.sites)
    assert plans[0].n_choices == n_choices
    assert first.plan == str(plans[0])
    n_sites = len(bench.space.sites)
    assert steps[:n_sites] == [(n, n_sites) for n in range(1, n_sites + 1)]
    assert steps[-1] == (n_choices - 3, n_choices - 3)
    assert first.damages == site_damages(bench.network, bench.space)
    assert set(first.divergences) == {site.name for site in bench.space.sites}
    for site in bench.space.sites:
        values = [first.divergences[site.name][choice] for choice in site.choices]
        assert values[0] == 0
        assert all(0 < value <= 1 for value in values[1:])
    # Later nothing is to be spent, but all is known.
    assert run("second").divergences == run("first").divergences == first.divergences
    estimates = run("third", has_reuse=False).divergences
    assert estimates != first.divergences
    # What was measured need not be estimated: large divergences of a fold or a width are not of first order.
    measured = OutputDivergence(bench.network, draw_calibration(bench.data.train, bench.seed).inputs)
    site = next(site for site in bench.space.sites if site.technique == "prune")
    strongest = Configuration.of({site.name: site.choices[-1]})
    assert first.divergences[site.name][site.choices[-1]] == pytest.approx(measured.of(strongest), rel=1e-4)


def test_what_is_not_measured_is_estimated(run: Run, monkeypatch: pytest.MonkeyPatch, bench: Workbench) -> None:
    estimates = run("nothing measured").divergences
    monkeypatch.setattr("parefront.search.tables.SensitivityTable.measure", lambda *arguments: None)
    found = run("first", max_seconds=600.0).divergences  # only the three that are timed, of widths
    changed = {name.partition("/")[0] for name in found if found[name] != estimates[name]}
    assert set(found) == {site.name for site in bench.space.sites}
    assert changed == {"prune"}


def test_a_cache_that_cannot_be_written_loses_no_search(
    run: Run, monkeypatch: pytest.MonkeyPatch, bench: Workbench
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(TableFile, "add", full)
    tables = run("first", max_seconds=600.0)
    tables.keep(trial())
    assert "No space left on device" in tables.problem
    assert set(tables.divergences) == {site.name for site in bench.space.sites}


@pytest.mark.parametrize("text", ["", "{}", json.dumps({"observations": 1})])
def test_tables_that_cannot_be_read_are_refused(run: Run, tmp_path: Path, text: str) -> None:
    run("first")
    (tmp_path / "first" / FILE).write_text(text)
    with pytest.raises(SearchError, match=r"tables it began with, but .*tables\.json cannot be read.*another --out"):
        run("first")
