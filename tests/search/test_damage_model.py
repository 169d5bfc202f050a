import random
from collections.abc import Mapping

import pytest

from parefront.search.damage_model import DamageModel
from parefront.spaces import Choice, Configuration, SearchSpace

DAMAGES = {
    "fold/a": {"off": 0.0, "on": 1.0},
    "rank/b": {"full": 0.0, "spatial:16": 0.3, "spatial:8": 0.6},
    "prune/a": {32: 0.0, 24: 0.25, 16: 0.5, 8: 0.75},
    "bits/a": {32: 0.0, 8: 0.02},
    "bits/b": {32: 0.0, 8: 0.01},
}


def truth(choices: Mapping[str, Choice]) -> float:
    """Linear: 0.5 points for the fine-tune, 4 d² + 8 d⁶ for pruning, 5 d for ranks, 1.5 per fold, 20 d for bits."""
    damage = {name: DAMAGES[name][choice] for name, choice in choices.items()}  # type: ignore[index]
    bits = damage.get("bits/a", 0.0) + damage.get("bits/b", 0.0)
    pruned, ranks, folds = damage.get("prune/a", 0.0), damage.get("rank/b", 0.0), damage.get("fold/a", 0.0)
    return 0.5 + 4 * pruned**2 + 8 * pruned**6 + 5 * ranks + 1.5 * folds + 20 * bits


def draw(space: SearchSpace, n: int, seed: int) -> list[Configuration]:
    rng = random.Random(seed)
    return [space.canonical({site.name: rng.choice(site.choices) for site in space.sites}) for _ in range(n)]


@pytest.fixture
def fitted(small_space: SearchSpace) -> DamageModel:
    model = DamageModel(small_space, DAMAGES)
    observed = draw(small_space, 200, seed=0)
    model.fit(observed, [truth(configuration) for configuration in observed])
    return model


def test_a_linear_truth_is_recovered(small_space: SearchSpace, fitted: DamageModel) -> None:
    assert fitted.offset == pytest.approx(0.5, abs=0.1)
    table = fitted.site_drops()
    assert table["fold/a"]["on"] == pytest.approx(1.5, abs=0.15)
    assert table["rank/b"]["spatial:8"] == pytest.approx(3.0, abs=0.3)
    assert table["prune/a"][8] == pytest.approx(3.67, abs=0.25)  # 4 * .75² + 8 * .75⁶
    for configuration in draw(small_space, 50, seed=1):
        assert fitted.drop(configuration) == pytest.approx(truth(configuration), abs=0.25)


def test_it_is_never_negative_and_grows_with_the_damage(small_space: SearchSpace, fitted: DamageModel) -> None:
    noisy = DamageModel(small_space, DAMAGES)
    observed = draw(small_space, 12, seed=3)
    rng = random.Random(0)
    noisy.fit(observed, [rng.gauss(0, 5) for _ in observed])
    for model in (fitted, noisy, DamageModel(small_space, DAMAGES)):
        for site in small_space.sites:
            drops = [model.site_drops()[site.name][choice] for choice in site.choices]  # by rising damage
            assert drops[0] == 0
            assert drops == sorted(drops)
            assert drops[-1] > 0
            predicted = [model.drop({site.name: choice}) for choice in site.choices]
            assert predicted == sorted(predicted)


def test_what_is_observed_to_be_harmless_is_predicted_cheaper(small_space: SearchSpace) -> None:
    """Pruning that costs nothing in every observation is predicted below the prior, folds that cost much above it."""
    model, prior = DamageModel(small_space, DAMAGES), DamageModel(small_space, DAMAGES)
    observed: list[Configuration] = []
    drops: list[float] = []
    for width in (24, 16, 8):
        observed += [Configuration.of({"prune/a": width}), Configuration.of({"fold/a": "on"})]
        drops += [0.0, 9.0]
    model.fit(observed, drops)
    assert model.drop({"prune/a": 8}) < prior.drop({"prune/a": 8})
    assert model.drop({"fold/a": "on"}) > prior.drop({"fold/a": "on"})


def test_before_anything_is_observed_the_prior_speaks(small_space: SearchSpace) -> None:
    model = DamageModel(small_space, DAMAGES)
    model.fit([], [])
    assert model.offset == 0
    assert model.drop({}) == 0
    # Prior drops at the strongest choices: 2 + 12 points by pruning, 4 by ranks, 3 by folds, 0.3 by bits.
    strongest = {site.name: site.choices[-1] for site in small_space.sites}
    assert model.drop(strongest) == pytest.approx(2 + 12 + 4 + 3 + 0.3)


def test_coupled_layers_count_each(tiny_space: SearchSpace) -> None:
    """A width that three layers share destroys in each of them."""
    shared = next(site for site in tiny_space.sites if site.technique == "prune" and len(site.layers) > 1)
    single = next(site for site in tiny_space.sites if site.technique == "prune" and len(site.layers) == 1)
    damages = {
        site.name: {choice: i / (len(site.choices) - 1) for i, choice in enumerate(site.choices)}
        for site in tiny_space.sites
    }
    table = DamageModel(tiny_space, damages).site_drops()
    ratio = table[shared.name][shared.choices[-1]] / table[single.name][single.choices[-1]]
    assert ratio == pytest.approx(len(shared.layers))


def test_the_fit_does_not_remember_earlier_fits(small_space: SearchSpace) -> None:
    observed = draw(small_space, 20, seed=5)
    drops = [truth(configuration) for configuration in observed]
    twice, once = DamageModel(small_space, DAMAGES), DamageModel(small_space, DAMAGES)
    twice.fit(observed[:7], [20.0] * 7)
    twice.fit(observed, drops)
    once.fit(observed, drops)
    assert twice.site_drops() == once.site_drops()
    assert twice.offset == once.offset
