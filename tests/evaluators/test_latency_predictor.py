"""Networks whose time follows a known law: what the predictor must find out about it."""

import itertools
from collections.abc import Mapping

import pytest

from parefront.evaluators.cost_tables import CostTables
from parefront.evaluators.latency_predictor import LatencyPredictor, precision_class
from parefront.evaluators.observation import Observation
from parefront.hardware_profiles import OperatorTime
from parefront.spaces import Choice, Configuration, SearchSpace, Site
from parefront.spaces.network import Layer
from parefront.spaces.space import LayerWidths

WIDTHS = (64, 48, 32, 16)
NAMES = "abcd"
US_PER_MAC = {32: 1 / 5000, 8: 1 / 20_000}


@pytest.fixture
def space() -> SearchSpace:
    """Four 3 x 3 convolutions on 16 x 16 pixels, 16 → 64 → 64 → 64 → 64 channels; each has its widths and bits."""
    sites: list[Site] = []
    widths: dict[str, LayerWidths] = {}
    for position, name in enumerate(NAMES):
        before = NAMES[position - 1] if position else ""
        layer = Layer(name, "conv", 64 if before else 16, 64, (3, 3), (1, 1), 1, 256)
        inputs = ((f"prune/{before}", 64, 64),) if before else ()
        widths[name] = LayerWidths(layer, inputs, (f"prune/{name}", 64))
        sites += [Site(f"prune/{name}", (name,), WIDTHS), Site(f"bits/{name}", (name,), (32, 8))]
    return SearchSpace(tuple(sites), (), widths)


class Law:
    """Operators in proportion to their MACs, something for every conversion, and a factor over all of it."""

    def __init__(self, space: SearchSpace, *, conversion_us: float = 0.0, int8_factor: float = 1.0) -> None:
        self._forms = CostTables(space)
        self._conversion_us, self._int8_factor = conversion_us, int8_factor

    def times(self, choices: Mapping[str, Choice]) -> list[OperatorTime]:
        forms = self._forms.forms(choices)
        found = [OperatorTime(f.layer, "Conv", "", f.macs * US_PER_MAC[int(f.bits)]) for f in forms]
        n_conversions = sum(a.bits != b.bits for a, b in itertools.pairwise(forms))
        return [*found, OperatorTime(None, "Pool", "", 40.0 + n_conversions * self._conversion_us)]

    def latency_ms(self, choices: Mapping[str, Choice]) -> float:
        has_int8 = 8 in choices.values()
        total_us = sum(time.microseconds for time in self.times(choices))
        return total_us * (self._int8_factor if has_int8 else 1.0) / 1000


def candidates(n: int, *, has_bits: bool) -> list[dict[str, Choice]]:
    """Different ones, spread over the space by the digits of a number in base 4 and 2."""
    found: list[dict[str, Choice]] = []
    for number in range(n):
        code = (number * 37 + 11) % 256
        choices: dict[str, Choice] = {f"prune/{name}": WIDTHS[code >> 2 * i & 3] for i, name in enumerate(NAMES)}
        if has_bits:
            choices |= {f"bits/{name}": (32, 8)[number * 11 >> i & 1] for i, name in enumerate(NAMES)}
        found.append(choices)
    return found


def learn(space: SearchSpace, law: Law, known: list[dict[str, Choice]]) -> LatencyPredictor:
    predictor = LatencyPredictor(CostTables(space))
    for choices in known:
        predictor.observe(choices, law.times(choices), law.latency_ms(choices), 1000.0)
    return predictor


def errors(predictor: LatencyPredictor, law: Law, unknown: list[dict[str, Choice]]) -> list[float]:
    return [abs(predictor.latency_ms(choices) / law.latency_ms(choices) - 1) for choices in unknown]


def test_a_law_linear_in_the_macs_is_recovered(space: SearchSpace) -> None:
    law, drawn = Law(space), candidates(60, has_bits=False)
    assert max(errors(learn(space, law, drawn[:30]), law, drawn[30:])) < 1e-3


def test_a_cost_per_conversion_is_recovered(space: SearchSpace) -> None:
    law, drawn = Law(space, conversion_us=100.0), candidates(120, has_bits=True)
    predictor = learn(space, law, drawn[:60])
    assert max(errors(predictor, law, drawn[60:])) < 2e-3
    narrow: dict[str, Choice] = {f"prune/{name}": 32 for name in NAMES}
    in_turn: dict[str, Choice] = {**narrow, "bits/a": 8, "bits/c": 8}
    # 2 of the 4 layers at a quarter of the time, 3 conversions.
    assert predictor.latency_ms(in_turn) == pytest.approx(law.latency_ms(in_turn), rel=2e-3)


def test_without_a_lasting_error_the_tables_stand(space: SearchSpace) -> None:
    law, drawn = Law(space), candidates(40, has_bits=False)
    predictor = learn(space, law, drawn[:3])
    assert not predictor.is_correcting
    for choices in drawn[3:]:
        assert predictor.latency_ms(choices) == predictor.tables.latency_ms(choices)


def test_a_lasting_error_of_the_tables_is_corrected(space: SearchSpace) -> None:
    class Forgetful(CostTables):
        """Tables that never learn that int8 candidates take a quarter longer than their operators."""

        def observe(
            self, choices: Mapping[str, Choice], operator_times: object, latency_ms: float, size_bytes: float
        ) -> None:
            super().observe(choices, law.times(choices), plain.latency_ms(choices), size_bytes)

    law, plain = Law(space, int8_factor=1.25), Law(space)
    predictor, drawn = LatencyPredictor(Forgetful(space)), candidates(120, has_bits=True)
    for choices in drawn[:80]:
        predictor.observe(choices, law.times(choices), law.latency_ms(choices), 1000.0)
    assert predictor.is_correcting
    int8 = [choices for choices in drawn[80:] if 8 in choices.values()]
    for choices in int8:
        assert predictor.tables.latency_ms(choices) == pytest.approx(plain.latency_ms(choices), rel=0.02)
        assert predictor.latency_ms(choices) == pytest.approx(law.latency_ms(choices), rel=0.04)


def test_wider_layers_take_longer(space: SearchSpace) -> None:
    law = Law(space)
    predictor = learn(space, law, candidates(30, has_bits=False))
    for name in NAMES:
        found = [predictor.latency_ms({f"prune/{name}": width}) for width in WIDTHS]
        assert found == sorted(found, reverse=True)


def test_the_same_observations_give_the_same_predictions(space: SearchSpace) -> None:
    law, drawn = Law(space, conversion_us=50.0), candidates(40, has_bits=True)
    first, second = (learn(space, law, drawn[:20]) for _ in range(2))
    assert [first.latency_ms(c) for c in drawn] == [second.latency_ms(c) for c in drawn]


def test_asking_changes_nothing(space: SearchSpace) -> None:
    law, drawn = Law(space, conversion_us=50.0), candidates(40, has_bits=True)
    asked, silent = learn(space, law, drawn[:10]), learn(space, law, drawn[:10])
    for choices in drawn[10:20]:
        asked.latency_ms(choices)
        for predictor in (asked, silent):
            predictor.observe(choices, law.times(choices), law.latency_ms(choices), 1000.0)
    assert [asked.latency_ms(c) for c in drawn] == [silent.latency_ms(c) for c in drawn]


@pytest.mark.parametrize(
    ("choices", "name"),
    [
        ({}, "fp32"),
        ({"prune/a": 8, "bits/b": 32}, "fp32"),
        ({"bits/a": 8, "bits/b": 8, "rank/a": "svd:8"}, "int8"),
        ({"bits/a": 8, "bits/b": "bf16"}, "bf16 + int8"),
        ({"bits/a": "w4"}, "w4"),
    ],
)
def test_the_precision_class_names_what_is_not_fp32(choices: dict[str, Choice], name: str) -> None:
    assert precision_class(choices) == name


def observations(law: Law, known: list[dict[str, Choice]]) -> list[Observation]:
    return [Observation(Configuration.of(c), tuple(law.times(c)), law.latency_ms(c), 1000.0) for c in known]


def test_what_earlier_searches_measured_is_learnt_at_once(space: SearchSpace) -> None:
    law, drawn = Law(space, int8_factor=1.2, conversion_us=5.0), candidates(60, has_bits=True)
    replayed = LatencyPredictor(CostTables(space))
    replayed.replay(observations(law, drawn[:40]))
    assert replayed.n_observed == 40
    one_by_one = learn(space, law, drawn[:40])
    # The tables know the same; the correction, asked in blocks, about the same.
    for choices in drawn[40:]:
        assert replayed.tables.cost(choices) == one_by_one.tables.cost(choices)
    assert max(errors(replayed, law, drawn[40:])) < 1.2 * max(errors(one_by_one, law, drawn[40:])) + 0.01


def test_all_costs_at_once_have_the_corrected_latency(space: SearchSpace) -> None:
    law, drawn = Law(space, int8_factor=1.3), candidates(60, has_bits=True)
    predictor = learn(space, law, drawn[:50])
    for choices in drawn[50:]:
        cost = predictor.cost(choices)
        assert cost.latency_ms == predictor.latency_ms(choices)
        assert cost.macs == predictor.tables.macs(choices)
        assert cost.size_bytes == predictor.tables.size_bytes(choices)


def test_replaying_nothing_changes_nothing(space: SearchSpace) -> None:
    predictor = LatencyPredictor(CostTables(space))
    predictor.replay([])
    assert predictor.n_observed == 0
