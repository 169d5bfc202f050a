"""What candidates can be expected to add to the hypervolume, by the predictions of drop and costs."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from ..evaluators.evaluator import Score
from ..spaces import Configuration
from .candidates import Candidate
from .costs import CostModel
from .drop_forecasts import DropForecasts
from .gains import GainBoxes, batch_gains
from .goals import Goals
from .pareto import Point
from .surrogate import DropSurrogate
from .trial import Fidelity, Trial

Array = NDArray[np.float64]

QUANTILES = tuple(NormalDist().inv_cdf((k + 0.5) / 8) for k in range(8))
"""At equal shares of probability: what expectations over a normal distribution are taken at."""
CAUTION = 0.5
"""Standard deviations by which predicted costs are raised: the best of many predictions is mostly a lucky error."""
ANCHORED = 0.4
"""Share of the error that remains where a measured neighbour is the yardstick."""
LEAST_COST_ERROR = 0.01
EXPLORING = 0.05
"""Share of the proposals that are chosen as if the predictions of accuracy were three times as unsure."""
WIDENED = 3.0
UNLIKELY = 0.5 / len(QUANTILES)
"""A chance that a sample of this size does not show."""


class ExpectedGain:
    """Screens candidates."""

    def __init__(self, goals: Goals, baseline: Trial, costs: CostModel, surrogate: DropSurrogate) -> None:
        self._goals, self._baseline = goals, baseline
        self._costs, self._surrogate = costs, surrogate
        self._limits = goals.limits_at(Fidelity.SHORT)

    def choose(
        self,
        candidates: Sequence[Candidate],
        front: Sequence[Point],
        expected: Sequence[Point],
        n: int,
        rng: random.Random,
    ) -> list[Candidate]:
        """The n candidates that together promise most, beside the front and what is under way.

        Args:
            candidates: At least one.
            front: The members' points.
            expected: Where what is under way will come out, see `points`.
            n: How many.
            rng: Says when to explore.
        """
        samples, chances = self._sampled(candidates, WIDENED if rng.random() < EXPLORING else 1.0)
        reference = self._goals.objectives.reference
        # A candidate that breaks a limit adds nothing: so many of its samples as it is likely to break one do not.
        means = samples.mean(axis=1)
        for k, chance in enumerate(chances):
            samples[k, round(chance * samples.shape[1]) :] = reference
        boxes = GainBoxes([*front, *expected], reference)
        picked = batch_gains(samples, boxes, n, believed=means)
        if picked and picked[0][1] > 0:
            return [candidates[position] for position, gain in picked if gain > 0]
        # Nothing is expected to add anything: the least unlikely to, which is what is nearest to keeping all limits, or
        # known least about near the front.
        if self._limits and chances.max() < UNLIKELY:
            order = np.argsort(-chances, kind="stable")
            return [candidates[int(position)] for position in order[:n]]
        drops, deviations = self._surrogate.predict(self._surrogate.rows([c.configuration for c in candidates]))
        order = np.argsort(drops - 2 * deviations, kind="stable")
        return [candidates[int(position)] for position in order[:n]]

    def of_measured(
        self,
        configuration: Configuration,
        scores: Mapping[str, Score],
        front: Sequence[Point],
        expected: Sequence[Point],
        forecasts: DropForecasts,
    ) -> float:
        """What a candidate promises whose structure has been measured, so that its drop alone is to be predicted.

        Args:
            configuration: It.
            scores: Its structural scores by name.
            front: The members' points.
            expected: Where what else is under way will come out, see `points`.
            forecasts: Say how sure the prediction of the drop is.
        """
        means, deviations = self._surrogate.predict(self._surrogate.rows([configuration]))
        deviations = forecasts.widened(deviations)
        values = {name: scores[name].value for name in self._costs.scores if name in scores}
        samples = self._placed([values], means, deviations)
        chance = self._accuracy_chances(means, deviations)
        boxes = GainBoxes([*front, *expected], self._goals.objectives.reference)
        return float(chance[0] * boxes.gains(samples).mean())

    def points(self, configurations: Sequence[Configuration]) -> list[Point]:
        """Where configurations are expected to come out."""
        return [tuple(point) for point in self._sampled([Candidate(c, "") for c in configurations], 0.0)[0][:, 0]]

    def _sampled(self, candidates: Sequence[Candidate], widening: float) -> tuple[Array, Array]:
        """Points at the quantiles of the drop, (candidates, quantiles, objectives), and chances to keep all limits."""
        if not len(candidates):
            return np.zeros((0, len(QUANTILES), len(self._goals.objectives))), np.zeros(0)
        means, deviations = self._surrogate.predict(self._surrogate.rows([c.configuration for c in candidates]))
        deviations = deviations * widening
        anchors = {each.anchor.number: each.anchor for each in candidates if each.anchor is not None}
        of_anchors = {number: self._costs.values(anchor.configuration) for number, anchor in anchors.items()}
        predicted = [self._predicted(candidate, of_anchors) for candidate in candidates]
        return self._placed(predicted, means, deviations), self._chances(predicted, means, deviations)

    def _placed(self, structures: Sequence[Mapping[str, float]], means: Array, deviations: Array) -> Array:
        """Points at the quantiles of the drop, of candidates with those structural scores."""
        objectives = self._goals.objectives
        samples = np.zeros((len(structures), len(QUANTILES), len(objectives)))
        drops = self._surrogate.expanded(means[:, None] + deviations[:, None] * np.array(QUANTILES))
        for axis, objective in enumerate(objectives):
            if objective.is_accuracy:
                samples[:, :, axis] = drops / objective.max_drop
                continue
            base = self._baseline.value(objective.score)
            column = [objective.coordinate(max(values[objective.score], 1e-12), base) for values in structures]
            samples[:, :, axis] = np.array(column)[:, None]
        # Better than the box counts as on its face: to hope for more accuracy than the baseline's is worth nothing.
        return np.asarray(np.maximum(samples, objectives.ideal))

    def _predicted(self, candidate: Candidate, of_anchors: Mapping[int, Mapping[str, float]]) -> dict[str, float]:
        """Structural scores with caution, relative to the measured ones of the candidate's anchor where it has one.

        Args:
            candidate: It.
            of_anchors: What is predicted of the anchors themselves, by number.
        """
        values = self._costs.values(candidate.configuration)
        anchor = candidate.anchor
        if anchor is not None:
            of_anchor = of_anchors[anchor.number]
            for name, value in values.items():
                if name in anchor.scores and of_anchor[name] > 0:
                    values[name] = value * anchor.value(name) / of_anchor[name]
        for name, value in values.items():
            error = self._costs.error(name)
            beyond = CAUTION * ANCHORED * error if anchor is not None else CAUTION * error + self._costs.optimism(name)
            values[name] = value * math.exp(beyond + self._costs.doubt(name, candidate.configuration))
        return {name: values.get(name, self._baseline.value(name)) for name in self._costs.scores}

    def _chances(self, predicted: Sequence[Mapping[str, float]], means: Array, deviations: Array) -> Array:
        """How likely each candidate keeps all limits, shape (candidates,)."""
        normal = NormalDist()
        chances = self._accuracy_chances(means, deviations)
        for limit in self._limits:
            for k, values in enumerate(predicted if limit.is_structural else ()):
                error = max(LEAST_COST_ERROR, self._costs.error(limit.score))
                chances[k] *= normal.cdf(math.log(limit.limit / max(values[limit.score], 1e-12)) / error)
        return chances

    def _accuracy_chances(self, means: Array, deviations: Array) -> Array:
        """How likely each candidate keeps the limits on the drop, shape (candidates,)."""
        normal = NormalDist()
        chances = np.ones(len(means))
        for limit in self._limits:
            if not limit.is_structural:
                compressed = float(self._surrogate.compressed(np.array([limit.limit]))[0])
                distances = (compressed - means) / np.maximum(deviations, 1e-9)
                chances *= [normal.cdf(distance) for distance in distances.tolist()]
        return chances
