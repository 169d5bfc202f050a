"""Predicts what is known of a candidate before training: latency on each profile, size, MACs, memory, energy."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..evaluators.cost_tables import CostTables
from ..evaluators.latency_predictor import LatencyPredictor
from ..evaluators.ridge import Ridge
from ..hardware_profiles.runtimes import OperatorTime
from ..spaces import Choice, Configuration, SearchSpace, Site
from .goals import Goals
from .layer_sum import LayerSum, stored_bytes, weight_bytes
from .level_fit import LevelFit
from .proposal import PARENTS
from .tables import Observations
from .trial import State, Trial

OPERATORS = "operators"
"""Detail of a trial: the main profile's operator times; those of another are under `operators@NAME`."""
_LATENCY, _SIZE, _MACS, _MEMORY, _STORED = "latency_ms", "size_bytes", "macs", "memory_bytes", "stored_bytes"
_BYTES_BY_LAYER = {_SIZE: weight_bytes, _MEMORY: weight_bytes, _STORED: stored_bytes}
"""What counts of a layer in scores that are sums of bytes."""
_PENALTY = 2.0
"""As if so many candidates had shown that a score without a table goes with latency and size alike."""
N_ERRORS = 24
"""Latest predictions that say how far the next ones may be off."""
GROWTH = 1.1
"""What layers cost is worked out anew, for the sweeps, whenever there are so many times the observations: each of them
changes all a little, and there are thousands."""
MAX_REMEMBERED = 200_000
LEARNING, FORGETTING = 0.3, 0.97
"""How quickly the optimism of the tables follows what comes out, and is forgotten where nothing does."""
FIRST_ERROR = 0.15
"""Of the logarithm, before there are any."""


class CostModel:
    """Cost tables for each profile that has operator profiles, and for all other scores a fit on latency and size.

    Where operators were not profiled, as in a study of somebody's own, a score is a sum over the layers that is fitted
    to the networks as a whole: see `LayerSum`.

    Attributes:
        scores: The structural scores that it predicts.
    """

    def __init__(
        self, space: SearchSpace, tables: CostTables, goals: Goals, observations: Observations | None = None
    ) -> None:
        """Begins without a measurement, but for what the tables hold.

        Args:
            space: What may be chosen.
            tables: Of the main profile; those of other profiles begin empty.
            goals: Which scores count.
            observations: What earlier searches measured, by profile; that of the main one has an empty name.
        """
        self._space = space
        self.scores = tuple(name for name in goals.scores if name != "accuracy_drop")
        profiles = {name.partition("@")[2] for name in self.scores}
        self._predictors = {
            name: LatencyPredictor(tables if not name else CostTables(space)) for name in profiles | {""}
        }
        for name, seen in (observations or {}).items():
            if name in self._predictors:
                self._predictors[name].replay(seen)
        learned = (name for name in self.scores if name.partition("@")[0] not in (_LATENCY, _SIZE, _MACS, _STORED))
        self._learned = {name: _Learned() for name in learned}
        plain = tables.layers({})
        self._sums = {
            name: LayerSum(plain, _BYTES_BY_LAYER.get(name.partition("@")[0])) for name in self.scores if name != _MACS
        }
        self._levels = {name: LevelFit(space) for name in self.scores if name != _MACS}
        self._baseline: dict[str, float] = {}
        self._layers = {site.name: tables.layers_under(site) for site in space.sites}
        under = {layer: [name for name, layers in self._layers.items() if layer in layers] for layer in space.widths}
        self._sites_of = {layer: tuple(names) for layer, names in under.items()}
        self._n_observed = 0
        self._n_shared = 0
        self._shares: dict[tuple[Choice | None, ...], tuple[float, ...]] = {}
        self._wholes: dict[str, float] = {}
        self._optimism = dict.fromkeys(self.scores, 0.0)
        self._errors: dict[str, deque[float]] = {name: deque(maxlen=N_ERRORS) for name in self.scores}

    @property
    def main(self) -> LatencyPredictor:
        """The main profile's."""
        return self._predictors[""]

    def observe(self, trial: Trial) -> None:
        """Adds what was measured of a trial's structure; nothing where that never came about."""
        if trial.state is State.FAILED or trial.parent is not None or not self._is_measured(trial):
            return  # a promotion measures nothing anew
        self._compare(trial)
        self._n_observed += 1
        if self._n_observed >= GROWTH * self._n_shared or len(self._shares) > MAX_REMEMBERED:
            self._shares, self._wholes, self._n_shared = {}, {}, self._n_observed
        for name, predictor in self._predictors.items():
            at = f"@{name}" if name else ""
            times = [OperatorTime(*row) for row in trial.details.get(f"{OPERATORS}{at}", ())]
            if times and f"{_LATENCY}{at}" in trial.scores:
                size = trial.scores.get(f"{_SIZE}{at}", trial.scores[_SIZE])
                predictor.observe(trial.configuration, times, trial.value(f"{_LATENCY}{at}"), size.value)
        if not trial.configuration:
            self._baseline = {name: score.value for name, score in trial.scores.items()}
        for name, learned in self._learned.items():
            if min(_measured(trial, name), self._baseline.get(name, 0.0)) > 0 and self._has_tables:
                learned.add(self._ratios(trial), trial.value(name) / self._baseline[name])
        layers = self.main.tables.layers(trial.configuration)
        for name, fit in self._sums.items():
            if _measured(trial, name) > 0 and not self._by_tables(name):
                fit.add(layers, trial.value(name))

    def values(self, configuration: Configuration) -> dict[str, float]:
        """Predicted scores, each in its unit; those of profiles that measured nothing so far are left out."""
        by_levels = [name for name, fit in self._levels.items() if fit.is_believed and name in self._baseline]
        found = self._by_layers(configuration, [name for name in self.scores if name not in by_levels])
        for name in by_levels:
            found[name] = self._baseline[name] * math.exp(self._levels[name].log_ratio(configuration))
        return found

    def _by_layers(self, configuration: Configuration, scores: Sequence[str]) -> dict[str, float]:
        """What the tables say of some scores."""
        found = {name: self._by_table(name, configuration) for name in scores}
        return {name: value for name, value in found.items() if value is not None}

    def _by_table(self, name: str, configuration: Configuration) -> float | None:
        base, _, profile = name.partition("@")
        predictor = self._predictors[profile]
        if base == _MACS:
            return float(predictor.tables.macs(configuration))
        if not self._by_tables(name):
            fit = self._sums[name]
            return fit.value(self.main.tables.layers(configuration)) if fit.n_observed else None
        if name in self._learned:
            ratio = self._learned[name].ratio(self._predicted_ratios(configuration))
            return self._baseline[name] * ratio if name in self._baseline else None
        return predictor.latency_ms(configuration) if base == _LATENCY else predictor.tables.size_bytes(configuration)

    def error(self, score: str) -> float:
        """Standard deviation of the logarithm of a predicted score, by the median of the latest errors."""
        seen = self._errors[score]
        return 1.4826 * float(np.median(seen)) if len(seen) >= N_ERRORS // 4 else FIRST_ERROR

    def optimism(self, score: str) -> float:
        """By how much, in the logarithm, what the tables held best has come out dearer lately; at least 0."""
        return max(0.0, self._optimism[score])

    def doubt(self, score: str, configuration: Configuration) -> float:
        """By how much, in the logarithm, a prediction may be too low because nothing of a kind was measured yet."""
        base, _, profile = score.partition("@")
        if base != _LATENCY or not self._by_tables(score) or self._levels[score].is_believed:
            return 0.0
        cost = self._predictors[profile].tables.cost(configuration)
        return math.log1p(cost.doubt_ms / max(cost.latency_ms, 1e-12))

    @property
    def n_observed(self) -> int:
        """How many candidates were measured: without any, predictions mean nothing."""
        return self._n_observed

    def shares(self, layer: str, choices: Mapping[str, Choice]) -> tuple[float, ...]:
        """What one layer costs, as a share of the baseline's cost in each of `scores`; a little out of date.

        Args:
            layer: Of the original network.
            choices: Of all sites; neutral where one is missing.
        """
        key = (layer, *map(choices.get, self._sites_of[layer]))
        if key not in self._shares:
            costs = {name: each.tables.layer_cost(layer, choices) for name, each in self._predictors.items()}
            self._shares[key] = tuple(self._share(name, layer, choices, costs) for name in self.scores)
        return self._shares[key]

    @property
    def n_shared(self) -> int:
        """The number of observations that `shares` follow from."""
        return self._n_shared

    def sites_of(self, layer: str) -> tuple[str, ...]:
        """The sites that the cost of a layer depends on."""
        return self._sites_of[layer]

    def layers_under(self, site: Site) -> tuple[str, ...]:
        """The layers whose cost depends on a site."""
        return self._layers[site.name]

    def _share(
        self,
        name: str,
        layer: str,
        choices: Mapping[str, Choice],
        costs: Mapping[str, tuple[float, float]],
    ) -> float:
        base, _, profile = name.partition("@")
        tables = self._predictors[profile].tables
        if base == _MACS:
            return tables.layer_macs(layer, choices) / self._whole(name)
        if not self._by_tables(name):
            cost = tables.layer(layer, choices)
            return 0.0 if cost is None else self._sums[name].share(cost)
        ms, size = costs[profile]
        if base == _LATENCY:
            return ms / self._whole(name)
        if base == _SIZE:
            return size / self._whole(name)
        latency, bytes_ = self._learned[name].exponents
        at = f"@{profile}" if profile else ""
        return latency * ms / self._whole(f"{_LATENCY}{at}") + bytes_ * size / self._whole(f"{_SIZE}{at}")

    def _compare(self, trial: Trial) -> None:
        """Learns from what was predicted of a trial, before anything else does."""
        self._note_errors(trial)
        predicted = self._by_layers(trial.configuration, self.scores) if self._n_observed else {}
        for name, fit in self._levels.items():
            measured, whole = _measured(trial, name), self._baseline.get(name, 0.0)
            if trial.configuration and min(measured, whole) > 0:  # of a score that may be nothing there is no ratio
                value = predicted.get(name, 0.0)
                by_tables = math.log(value / whole) if value > 0 else None
                fit.add(trial.configuration, math.log(measured / whole), by_tables)

    def _note_errors(self, trial: Trial) -> None:
        if self._n_observed:
            for name, value in self.values(trial.configuration).items():
                if value > 0 and _measured(trial, name) > 0:
                    error = math.log(trial.value(name) / value)
                    self._errors[name].append(abs(error))
                    # What the tables alone chose was chosen for being cheap by them: their errors in it are no chance.
                    is_chosen = PARENTS not in trial.details
                    self._optimism[name] += LEARNING * (error - self._optimism[name]) if is_chosen else 0.0
                    self._optimism[name] *= 1.0 if is_chosen else FORGETTING

    def _is_measured(self, trial: Trial) -> bool:
        return any(name in trial.scores for name in (*self.scores, _LATENCY))

    @property
    def _has_tables(self) -> bool:
        return self.main.n_observed > 0 and _LATENCY in self._baseline and _SIZE in self._baseline

    def _by_tables(self, name: str) -> bool:
        """Whether a score comes from operator profiles rather than from networks as a whole."""
        if name in self._learned:
            return self._has_tables
        if name == _STORED:
            return False
        return self._predictors[name.partition("@")[2]].n_observed > 0

    def _whole(self, name: str) -> float:
        """The baseline's, as the tables have it."""
        if name not in self._wholes:
            base, _, profile = name.partition("@")
            tables = self._predictors[profile].tables
            if base == _MACS:
                whole = float(tables.macs({}))
            else:
                whole = tables.latency_ms({}) if base == _LATENCY else tables.size_bytes({})
            self._wholes[name] = max(1e-12, whole)
        return self._wholes[name]

    def _ratios(self, trial: Trial) -> NDArray[np.float64]:
        return np.log([trial.value(name) / self._baseline[name] for name in (_LATENCY, _SIZE)])

    def _predicted_ratios(self, configuration: Configuration) -> NDArray[np.float64]:
        predicted = self.main.latency_ms(configuration), self.main.tables.size_bytes(configuration)
        return np.log([value / self._baseline[name] for value, name in zip(predicted, (_LATENCY, _SIZE), strict=True)])


def _measured(trial: Trial, name: str) -> float:
    """A score of a trial; 0, of which no ratio can be learnt, where it was not measured."""
    return trial.value(name) if name in trial.scores else 0.0


class _Learned:
    """The logarithm of a score's ratio to the baseline as a weighted sum of those of latency and size."""

    def __init__(self) -> None:
        self._ridge = Ridge((_PENALTY, _PENALTY))
        self.exponents = (0.5, 0.5)

    def add(self, ratios: NDArray[np.float64], ratio: float) -> None:
        start = np.array([0.5, 0.5])
        self._ridge.add(ratios, math.log(ratio) - float(start @ ratios), 1.0)
        latency, size = np.maximum(start + self._ridge.coefficients(), 0.0)
        self.exponents = (float(latency), float(size))

    def ratio(self, ratios: NDArray[np.float64]) -> float:
        return math.exp(float(np.dot(self.exponents, ratios)))
