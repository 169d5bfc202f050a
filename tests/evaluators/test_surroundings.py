import pytest

from parefront.evaluators.layer_forms import Form, Part
from parefront.evaluators.surroundings import Surroundings
from parefront.spaces import Choice


def layer(name: str, outer: int, bits: Choice = 32) -> Form:
    return Form(name, "plain", bits, (Part(name, bits, (3, 3), (1, 1), 1, 100, 16, outer),))


def network(outer: int = 32, a: Choice = 32, b: Choice = 32, c: Choice = 32) -> list[Form]:
    return [layer("a", outer, a), layer("b", outer, b), layer("c", outer, c)]


def predicted(surroundings: Surroundings, forms: list[Form]) -> float:
    after = [*(form.bits for form in forms[1:]), None]
    return surroundings.fixed_us + sum(map(surroundings.microseconds, forms, after))


def test_without_observations_it_is_nothing() -> None:
    assert predicted(Surroundings(network()), network(a=8)) == 0.0


def test_an_offset_and_a_share_of_the_activations_are_recovered() -> None:
    surroundings = Surroundings(network())
    for outer in (16, 32, 64, 96):
        # 20 µs and 1 µs per 1,000 numbers in outputs.
        surroundings.add(network(outer), 20 + 3 * outer * 100 / 1000, 1000.0)
    assert predicted(surroundings, network(48)) == pytest.approx(20 + 14.4, rel=1e-3)


def test_a_cost_per_conversion_is_recovered() -> None:
    surroundings = Surroundings(network())
    for a in (32, 8):
        for b in (32, 8):
            for c in (32, 8):
                conversions = (a != b) + (b != c)
                surroundings.add(network(32, a, b, c), 10.0 + 5.0 * conversions, 500.0)
    for bits, microseconds in (((32, 32, 32), 10.0), ((8, 32, 32), 15.0), ((8, 32, 8), 20.0), ((8, 8, 8), 10.0)):
        assert predicted(surroundings, network(32, *bits)) == pytest.approx(microseconds, rel=2e-3)


def test_what_is_special_about_one_place_stays_there() -> None:
    surroundings = Surroundings(network())
    for a in (32, 8):
        for b in (32, 8):
            for c in (32, 8):
                # Only from a to b does a conversion to int8 cost anything, and much.
                surroundings.add(network(32, a, b, c), 10.0 + 100.0 * (a == 32 and b == 8), 500.0)
    assert predicted(surroundings, network(32, 32, 8, 8)) == pytest.approx(110.0, rel=0.05)
    assert predicted(surroundings, network(32, 32, 32, 8)) == pytest.approx(10.0, abs=4.0)


def test_widths_that_fill_no_blocks_may_cost_more() -> None:
    surroundings = Surroundings(network())
    for outer in (16, 24, 32, 40, 48):
        surroundings.add(network(outer), 20.0 if outer % 16 else 10.0, 500.0)
    assert predicted(surroundings, network(56)) > 1.5 * predicted(surroundings, network(64))
