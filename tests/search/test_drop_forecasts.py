from dataclasses import replace

import numpy as np
import pytest

from parefront.search.drop_forecasts import FORETOLD, N_BELIEVED, N_LATEST, DropForecasts
from parefront.search.surrogate import NOISE_PT, DropSurrogate
from parefront.search.trial import Fidelity, State, Trial
from parefront.spaces import Configuration, SearchSpace

from .conftest import scores

MAX_DROP = 10.0
DEVIATIONS = np.array([0.1, 1.0])


@pytest.fixture
def surrogate(small_space: SearchSpace) -> DropSurrogate:
    damages = {site.name: {c: float(k) for k, c in enumerate(site.choices)} for site in small_space.sites}
    return DropSurrogate(small_space, damages, MAX_DROP)


@pytest.fixture
def forecasts(surrogate: DropSurrogate) -> DropForecasts:
    return DropForecasts(surrogate)


def trained(forecasts: DropForecasts, surrogate: DropSurrogate, n_deviations: float, deviation: float = 1.0) -> Trial:
    """A trial whose drop is so many standard deviations, of the process and of the noise, above what was said."""
    said = forecasts.of(3.0, deviation)
    total = float(np.hypot(deviation, NOISE_PT))
    drop = float(surrogate.expanded(np.array([3.0 + n_deviations * total]))[0])
    trial = Trial(1, Configuration(), Fidelity.SHORT, State.COMPLETE, scores(drop, 1.0, 1e6))
    return replace(trial, details={FORETOLD: said})


def test_what_a_trial_keeps_is_in_points(forecasts: DropForecasts, surrogate: DropSurrogate) -> None:
    mean, low, high = forecasts.of(3.0, 1.0)
    assert low < mean < high
    assert surrogate.compressed(np.array([mean, low, high])) == pytest.approx([3.0, 2.0, 4.0], abs=0.01)


def test_it_believes_what_is_said_until_told_otherwise(forecasts: DropForecasts, surrogate: DropSurrogate) -> None:
    assert forecasts.widened(DEVIATIONS) == pytest.approx(DEVIATIONS)
    for n_deviations in (0.5, -1.0, 0.0, 0.8):
        forecasts.observe(trained(forecasts, surrogate, n_deviations))
    assert forecasts.widened(DEVIATIONS) == pytest.approx(DEVIATIONS)


def test_it_is_as_unsure_as_it_was_wrong(forecasts: DropForecasts, surrogate: DropSurrogate) -> None:
    """Two predictions that were four deviations off, beside those that count as right; the noise grows no less."""
    for sign in (-1, 1):
        forecasts.observe(trained(forecasts, surrogate, 4.0 * sign, 0.3))
    factor = (N_BELIEVED + 2 * 16) / (N_BELIEVED + 2)
    whole = np.hypot(forecasts.widened(DEVIATIONS), NOISE_PT)
    assert whole == pytest.approx(np.sqrt(factor) * np.hypot(DEVIATIONS, NOISE_PT), rel=0.02)


def test_only_the_latest_count(forecasts: DropForecasts, surrogate: DropSurrogate) -> None:
    forecasts.observe(trained(forecasts, surrogate, 6.0))
    assert (forecasts.widened(DEVIATIONS) > 2 * DEVIATIONS).all()
    for _ in range(N_LATEST):
        forecasts.observe(trained(forecasts, surrogate, 0.0))
    assert forecasts.widened(DEVIATIONS) == pytest.approx(DEVIATIONS)


def test_what_was_not_foretold_teaches_nothing(forecasts: DropForecasts) -> None:
    forecasts.observe(Trial(1, Configuration(), Fidelity.SHORT, State.COMPLETE, scores(40.0, 1.0, 1e6)))
    assert forecasts.widened(DEVIATIONS) == pytest.approx(DEVIATIONS)
