from parefront.results.fidelity_data import FidelityPairs, fidelity_data
from parefront.results.fidelity_figure import draw_fidelity
from parefront.search.trial import Trial


def test_candidates_with_two_fidelities_are_pairs(trials: list[Trial]) -> None:
    pairs = fidelity_data(trials)
    assert pairs == (FidelityPairs("short", "full", (5,), (92.5,), (93.75,), None),)  # 94 - 1.5 and 94 - 0.25
    assert [trace.name for trace in draw_fidelity(pairs).data] == ["short → full"]


def test_without_promotions_there_is_nothing_to_compare(trials: list[Trial]) -> None:
    assert fidelity_data(trials[:4]) == ()
    assert not draw_fidelity(()).data
