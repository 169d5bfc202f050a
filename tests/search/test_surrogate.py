import random
from collections.abc import Mapping

import numpy as np
import pytest

from parefront.search.damage_scales import NOISE, OFFSET_SPREAD, POINTS_PER_DIVERGENCE, RELATIVE_NOISE
from parefront.search.moves import random_configuration
from parefront.search.surrogate import LEAST_REST, NOISE_PT, POWER, DropSurrogate
from parefront.spaces import Choice, Configuration, SearchSpace, Site

DAMAGES = {
    "fold/a": {"off": 0.0, "on": 1.0},
    "rank/b": {"full": 0.0, "spatial:16": 0.3, "spatial:8": 0.6},
    "prune/a": {32: 0.0, 24: 0.25, 16: 0.5, 8: 0.75},
    "bits/a": {32: 0.0, 8: 0.02},
    "bits/b": {32: 0.0, 8: 0.01},
}


def truth(choices: Mapping[str, Choice]) -> float:
    """On the scale on which sites add up: 0.5 for the fine-tune, 4 d² + 8 d⁶ for pruning, 5 d for ranks, 1.5 per fold,
    20 d for bits."""
    damage = {name: DAMAGES[name][choice] for name, choice in choices.items()}  # type: ignore[index]
    bits = damage.get("bits/a", 0.0) + damage.get("bits/b", 0.0)
    pruned, ranks, folds = damage.get("prune/a", 0.0), damage.get("rank/b", 0.0), damage.get("fold/a", 0.0)
    return 0.5 + 4 * pruned**2 + 8 * pruned**6 + 5 * ranks + 1.5 * folds + 20 * bits


def draw(space: SearchSpace, n: int, seed: int) -> list[Configuration]:
    rng = random.Random(seed)
    return [random_configuration(space, rng) for _ in range(n)]


def in_points(sums: list[float], max_drop: float = 50.0) -> list[float]:
    """Drops that are such sums on the surrogate's scale: see `test_drops_grow_faster_than_what_causes_them`."""
    whole = (1 + max_drop) ** (1 / POWER) - 1
    return [(1 + whole * each / max_drop) ** POWER - 1 for each in sums]


def fitted(space: SearchSpace, observed: list[Configuration], drops: list[float]) -> DropSurrogate:
    surrogate = DropSurrogate(space, DAMAGES, max_drop=50.0)
    surrogate.fit(surrogate.rows(observed), drops)
    return surrogate


def test_rows_are_positions_among_the_choices(small_space: SearchSpace) -> None:
    surrogate = DropSurrogate(small_space, DAMAGES, 5.0)
    rows = surrogate.rows([Configuration(), Configuration.of({"prune/a": 16, "bits/b": 8})])
    assert rows.tolist() == [[0, 0, 0, 0, 0], [0, 0, 2, 0, 1]]


def test_before_anything_is_observed_the_prior_speaks(small_space: SearchSpace) -> None:
    surrogate = DropSurrogate(small_space, DAMAGES, max_drop=50.0)
    assert surrogate.drops([Configuration()])[0] == 0
    # Prior drops at the strongest choices: 2 + 12 points by pruning, 4 by ranks, 3 by folds, 0.3 by bits.
    strongest = {site.name: site.choices[-1] for site in small_space.sites}
    assert surrogate.drops([strongest]) == pytest.approx(in_points([2 + 12 + 4 + 3 + 0.3]))
    mean, deviation = surrogate.predict(surrogate.rows([Configuration(), strongest]))
    assert 0 < deviation[0] < deviation[1]
    surrogate.fit(surrogate.rows([]), [])
    assert surrogate.predict(surrogate.rows([strongest]))[0][0] == mean[1]


def test_divergences_are_on_one_scale_for_all_techniques(small_space: SearchSpace) -> None:
    surrogate = DropSurrogate(
        small_space, DAMAGES, 50.0, {name: {c: d / 9 for c, d in each.items()} for name, each in DAMAGES.items()}
    )
    for name, damages in DAMAGES.items():
        choice, damage = list(damages.items())[-1]
        assert surrogate.drops([{name: choice}]) == pytest.approx(in_points([POINTS_PER_DIVERGENCE * damage / 9]))


def test_a_scale_that_all_are_off_by_is_learnt_from_one_of_them(small_space: SearchSpace) -> None:
    surrogate = DropSurrogate(small_space, DAMAGES, 50.0, DAMAGES)
    before = surrogate.site_drops()["rank/b"]["spatial:8"]
    observed = [Configuration.of({"prune/a": width}) for width in (24, 16, 8)]
    surrogate.fit(surrogate.rows(observed), in_points([5 * DAMAGES["prune/a"][width] for width in (24, 16, 8)]))
    assert surrogate.site_drops()["rank/b"]["spatial:8"] < 0.5 * before


@pytest.mark.parametrize("seed", range(3))
def test_a_table_that_misleads_is_not_believed_for_long(small_space: SearchSpace, seed: int) -> None:
    """What is harmless is said to be ruinous, and the other way round: the next table is right, or none at all."""
    wrong = {
        name: {c: (d > 0) * (max(each.values()) + 0.01 - d) for c, d in each.items()} for name, each in DAMAGES.items()
    }
    observed, others = draw(small_space, 24, seed), draw(small_space, 40, seed + 10)
    drops = in_points([truth(each) for each in observed])
    errors = []
    for tables in ((DAMAGES, None), (DAMAGES, wrong), (wrong, wrong)):
        surrogate = DropSurrogate(small_space, tables[0], 50.0, tables[1])
        surrogate.fit(surrogate.rows(observed), drops)
        means, _ = surrogate.predict(surrogate.rows(others))
        errors.append(float(np.abs(means - [truth(each) for each in others]).mean()))
    assert errors[1] == pytest.approx(errors[0])
    assert errors[2] < 1.0


def test_a_sum_over_sites_is_recovered(small_space: SearchSpace) -> None:
    observed = draw(small_space, 200, seed=0)
    surrogate = fitted(small_space, observed, in_points([truth(configuration) for configuration in observed]))
    table = surrogate.site_drops()
    assert table["fold/a"]["on"] == pytest.approx(1.5, abs=0.5)
    assert table["rank/b"]["spatial:8"] == pytest.approx(3.0, abs=0.5)
    assert table["prune/a"][8] == pytest.approx(3.67, abs=0.5)  # 4 * .75² + 8 * .75⁶
    others = draw(small_space, 50, seed=1)
    means, _ = surrogate.predict(surrogate.rows(others))
    assert means == pytest.approx([truth(each) for each in others], abs=0.3)


def test_a_table_that_is_flat_where_drops_rise_is_mended_there_alone(small_space: SearchSpace) -> None:
    """As of a layer that looks redundant until another is compressed: the last widths cost 3 points each, not none."""
    flat = {name: dict(each) for name, each in DAMAGES.items()}
    flat["prune/a"] = {c: min(d, DAMAGES["prune/a"][24]) for c, d in DAMAGES["prune/a"].items()}

    def drop(choices: Mapping[str, Choice]) -> float:
        return truth({**choices, "prune/a": 24}) + {16: 3.0, 8: 6.0}.get(int(choices.get("prune/a", 24)), 0.0)

    observed, others = draw(small_space, 40, seed=0), draw(small_space, 40, seed=1)
    surrogate = DropSurrogate(small_space, flat, 50.0, flat)
    surrogate.fit(surrogate.rows(observed), in_points([drop(each) for each in observed]))
    table = surrogate.site_drops()["prune/a"]
    assert table[16] - table[24] == pytest.approx(3.0, abs=0.7)
    assert table[8] - table[16] == pytest.approx(3.0, abs=0.7)
    means, _ = surrogate.predict(surrogate.rows(others))
    assert means == pytest.approx([drop(each) for each in others], abs=0.7)


def test_the_posterior_between_two_observations_is_exact() -> None:
    """One site of three choices without damage: only the smooth rest is left, which can be worked out by hand."""
    site = Site("bits/a", ("a",), (32, 8, 4))
    space = SearchSpace((site,), (), {})
    surrogate = DropSurrogate(space, {"bits/a": {32: 0.0, 8: 0.0, 4: 0.0}}, max_drop=50.0)
    surrogate.fit(surrogate.rows([{}, {"bits/a": 4}]), in_points([1.0, 3.0]))
    mean, deviation = surrogate.predict(surrogate.rows([{"bits/a": 8}, {}, {"bits/a": 4}]))
    # What all lose: the mean of 1 and 3 with their weights, drawn to 0.
    weights = [1 / (NOISE**2 + (RELATIVE_NOISE * each) ** 2) for each in (1.0, 3.0)]
    offset = (weights[0] + 3 * weights[1]) / (sum(weights) + 1 / OFFSET_SPREAD**2)
    # Choices lie at 0, 1 and 2 (half of the way is 1), with the kernel s² exp(-d² / 2 l²).
    s2 = surrogate._spreads.rest**2 * (LEAST_REST**2 + offset**2)
    l2, n2 = surrogate._spreads.length**2, NOISE_PT**2
    near, far = np.exp(-1 / (2 * l2)), np.exp(-4 / (2 * l2))
    # The inverse of ((a, b), (b, a)) takes (k, k) to (k, k) / (a + b).
    assert mean[0] == pytest.approx(offset + s2 * near * (1 - offset + 3 - offset) / (s2 + n2 + s2 * far), abs=1e-6)
    # For (k, k) it gives k² * 2 / (a + b).
    assert deviation[0] ** 2 == pytest.approx(s2 - 2 * (s2 * near) ** 2 / (s2 + n2 + s2 * far), rel=1e-6)
    # Of two equal and opposite residuals (-1, 1) the part that is left is (a - n² - b) / (a - b).
    halves = (mean[2] - mean[1]) / 2
    assert halves == pytest.approx((s2 - s2 * far) / (s2 + n2 - s2 * far), abs=1e-6)


def test_its_deviations_are_those_of_its_errors(tiny_space: SearchSpace) -> None:
    """On functions drawn from what it believes (sites that deviate from their technique by a third), z is normal."""
    damages = {
        site.name: {c: i / (len(site.choices) - 1) for i, c in enumerate(site.choices)} for site in tiny_space.sites
    }
    squares = []
    for seed in range(8):
        rng = random.Random(seed)
        prior = DropSurrogate(tiny_space, damages, max_drop=500.0).site_drops()
        scales = {site.name: max(0.05, 1 + 0.4 * rng.gauss(0, 1)) for site in tiny_space.sites}

        def drawn(choices: Mapping[str, Choice], prior: object = prior, scales: object = scales) -> float:
            return sum(scales[name] * prior[name][choice] for name, choice in choices.items())  # type: ignore[index]

        seen, others = draw(tiny_space, 40, seed), draw(tiny_space, 40, seed + 100)
        surrogate = DropSurrogate(tiny_space, damages, max_drop=500.0)
        noisy = [drawn(each) + abs(rng.gauss(0, NOISE_PT)) for each in seen]
        surrogate.fit(surrogate.rows(seen), in_points(noisy, 500.0))
        mean, deviation = surrogate.predict(surrogate.rows(others))
        squares += [((drawn(each) - m) / d) ** 2 for each, m, d in zip(others, mean, deviation, strict=True)]
    # Correlated within a function, so the mean of z² is known roughly only.
    assert 0.3 < sum(squares) / len(squares) < 2
    assert sum(square < 4 for square in squares) / len(squares) > 0.85


def test_what_was_observed_is_surer_than_what_was_not(small_space: SearchSpace) -> None:
    observed = [Configuration.of({"prune/a": 8})] * 6
    surrogate = fitted(small_space, observed, in_points([3.0] * 6))
    mean, deviation = surrogate.predict(surrogate.rows([observed[0], Configuration.of({"fold/a": "on"})]))
    assert mean[0] == pytest.approx(3.0, abs=0.2)
    assert deviation[0] / mean[0] < 0.6 * deviation[1] / mean[1]
    assert deviation[0] < NOISE_PT


def test_more_damage_never_helps_a_site(small_space: SearchSpace) -> None:
    """Whatever noise says: a negative scale would send the search to ruin a site."""
    rng, observed = random.Random(0), draw(small_space, 12, seed=3)
    noisy = fitted(small_space, observed, [rng.gauss(0, 5) for _ in observed])
    for table in (noisy.site_drops(), *(noisy.site_drops(np.random.default_rng(seed)) for seed in range(20))):
        for site in small_space.sites:
            drops = [table[site.name][choice] for choice in site.choices]  # by rising damage
            assert drops[0] == 0
            assert drops == sorted(drops)
            assert drops[-1] > 0


def test_what_is_observed_to_be_harmless_is_predicted_cheaper(small_space: SearchSpace) -> None:
    prior = DropSurrogate(small_space, DAMAGES, max_drop=50.0)
    pruned, folded = [Configuration.of({"prune/a": width}) for width in (24, 16, 8)], Configuration.of({"fold/a": "on"})
    surrogate = fitted(small_space, [*pruned, folded, folded, folded], [0.0] * 3 + [9.0] * 3)
    assert surrogate.drops([pruned[2]])[0] < prior.drops([pruned[2]])[0]
    assert surrogate.drops([folded])[0] > prior.drops([folded])[0]


def test_drops_grow_faster_than_what_causes_them(small_space: SearchSpace) -> None:
    surrogate = DropSurrogate(small_space, DAMAGES, max_drop=5.0)
    drops = np.array([-2.0, 0.0, 1.0, 5.0, 13.0, 80.0])
    compressed = surrogate.compressed(drops)
    assert compressed[[1, 3]] == pytest.approx([0.0, 5.0])  # nothing stays nothing, and the largest that counts itself
    # (1 + drop) to the power 1 / 1.3: 2 -> 1.7044, 6 -> 3.9680, 14 -> 7.6145.
    assert compressed[2] == pytest.approx(5 * 0.7044 / 2.9680, abs=1e-3)
    assert compressed[4] == pytest.approx(5 * (1 + np.log(6.6145 / 2.9680)), abs=1e-3)  # logarithmic beyond
    # Gains are in proportion, with the slope that drops begin with.
    assert compressed[0] == pytest.approx(-2 * 5 / (1.3 * 2.9680), abs=1e-3)
    assert (np.diff(compressed) > 0).all()
    assert surrogate.expanded(compressed) == pytest.approx(drops)


def test_coupled_layers_count_each(tiny_space: SearchSpace) -> None:
    """A width that three layers share destroys in each of them."""
    shared = next(site for site in tiny_space.sites if site.technique == "prune" and len(site.layers) > 1)
    single = next(site for site in tiny_space.sites if site.technique == "prune" and len(site.layers) == 1)
    damages = {
        site.name: {c: i / (len(site.choices) - 1) for i, c in enumerate(site.choices)} for site in tiny_space.sites
    }
    table = DropSurrogate(tiny_space, damages, 5.0).site_drops()
    ratio = table[shared.name][shared.choices[-1]] / table[single.name][single.choices[-1]]
    assert ratio == pytest.approx(len(shared.layers))


def test_of_very_many_observations_the_best_and_the_latest_are_kept(small_space: SearchSpace) -> None:
    observed = draw(small_space, 700, seed=0)
    surrogate = fitted(small_space, observed, in_points([truth(each) for each in observed]))
    means, _ = surrogate.predict(surrogate.rows(observed[:50]))
    assert means == pytest.approx([truth(each) for each in observed[:50]], abs=0.5)
