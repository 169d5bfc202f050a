"""A compression schedule as a value: which technique, when, on which layers, at which rate. `docs/schedules.md`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from ..hardware_profiles.errors import TrainingError, unknown_name
from ..hardware_profiles.validation import first_violation
from ..spaces.quantized_weight import WEIGHT_BITS
from .gradual_pruning import N_UPDATES
from .recipe import TrainingRecipe
from .sparse_regularisation import Penalty
from .weight_sharing import MOST_BITS, Initial

OFF = "off"
"""The rate of a layer that is left alone although a pattern matches it."""
_LENGTHS = frozenset({"n_epochs", "n_samples"})
TECHNIQUES = ("prune", "gradual", "penalise", "share", "levels")


def _unless_off(value: object) -> object:
    return None if value == OFF else value


_Density = Annotated[Annotated[float, Field(gt=0, le=1)] | None, BeforeValidator(_unless_off)]
_Amount = Annotated[Annotated[float, Field(ge=0)] | None, BeforeValidator(_unless_off)]
_Bits = Annotated[Annotated[int, Field(ge=1, le=MOST_BITS)] | None, BeforeValidator(_unless_off)]
_Share = Annotated[float, Field(gt=0, le=1)]
Rates: TypeAlias = Mapping[str, float | None]
"""By layer or pattern of layers; None leaves a layer alone."""


class _Frozen(BaseModel):
    """A value read from a file: immutable, and a misspelt field is an error rather than ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Prune(_Frozen):
    """Removes weights and trains the rest, round after round; each round takes the stage's whole training.

    Attributes:
        density: Share of a layer's weights that stays behind the last round; each round takes the same share of what is
            left.
        threshold: Standard deviations of what is left of a layer, below which a weight goes in each round.
        rounds: How many.
    """

    density: dict[str, _Density] | None = None
    threshold: dict[str, _Amount] | None = None
    rounds: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _has_one_rate(self) -> Self:
        if (self.density is None) == (self.threshold is None):
            raise ValueError("either density or threshold must be given")
        return self

    @property
    def rates(self) -> Rates:
        """Whichever is given."""
        rates: Rates | None = self.density if self.density is not None else self.threshold
        assert rates is not None
        return rates


class Gradual(_Frozen):
    """Removes weights in many small steps over the first `duration` of the training (Zhu & Gupta 2017)."""

    density: dict[str, _Density]
    duration: _Share = 0.5
    updates: Annotated[int, Field(ge=1)] = N_UPDATES

    @property
    def rates(self) -> Rates:
        """Densities."""
        return self.density


class Penalise(_Frozen):
    """Trains under a penalty on the weights, `l1` or `l0`; what is zero at the end stays removed."""

    penalty: Penalty = "l1"
    strength: dict[str, _Amount]

    @property
    def rates(self) -> Rates:
        """Strengths."""
        return self.strength


class Share(_Frozen):
    """Shares 2^bits values per layer over the last `duration` of the training, and trains these values."""

    bits: dict[str, _Bits]
    duration: _Share = 1.0
    initial: Initial = "optimal"

    @property
    def rates(self) -> Rates:
        """Bits."""
        return self.bits


class Levels(_Frozen):
    """Rounds weights to evenly spaced levels per channel over the last `duration` of the training, and trains them."""

    bits: dict[str, _Bits]
    duration: _Share = 1.0

    @model_validator(mode="after")
    def _has_known_bits(self) -> Self:
        for pattern, bits in self.bits.items():
            if bits is not None and bits not in WEIGHT_BITS:
                raise ValueError(
                    f"bits of levels must be one of {', '.join(map(str, WEIGHT_BITS))}, got {bits} for {pattern!r}"
                )
        return self

    @property
    def rates(self) -> Rates:
        """Bits."""
        return self.bits


Technique: TypeAlias = Prune | Gradual | Penalise | Share | Levels


class Stage(_Frozen):
    """One technique, or none, and the training that goes with it; what earlier stages did is kept up.

    Attributes:
        name: For people.
        training: Fields of a `TrainingRecipe` that differ from the schedule's.
    """

    name: Annotated[str, Field(min_length=1)]
    prune: Prune | None = None
    gradual: Gradual | None = None
    penalise: Penalise | None = None
    share: Share | None = None
    levels: Levels | None = None
    training: dict[str, str] = {}

    @model_validator(mode="after")
    def _has_one_technique(self) -> Self:
        given = [name for name in TECHNIQUES if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(
                f"a stage must have one technique at most, got {' and '.join(given)}; make two stages of it"
            )
        return self

    @property
    def technique(self) -> Technique | None:
        """The one that is given."""
        given: Technique | None = next((each for name in TECHNIQUES if (each := getattr(self, name)) is not None), None)
        return given

    @property
    def does(self) -> str:
        """The name of the technique; `train` where there is none."""
        return next((name for name in TECHNIQUES if getattr(self, name) is not None), "train")

    @property
    def n_rounds(self) -> int:
        """How often it trains."""
        return self.prune.rounds if self.prune is not None else 1


class Schedule(_Frozen):
    """What a person wants done to a network, in order.

    Attributes:
        stages: In order.
        structure: Choices for sites, as `parefront compress --set` takes them, made before the first stage.
        training: Fields of a `TrainingRecipe` that differ from the task's full fine-tune, for all stages.
        seed: Orders the batches.
    """

    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    structure: dict[str, str] = {}
    training: dict[str, str] = {}
    seed: int = 0

    @model_validator(mode="after")
    def _has_different_names(self) -> Self:
        names = [stage.name for stage in self.stages]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"stages must differ in name, but two are called {name!r}")
        return self


def parse_schedule(content: Mapping[Any, Any], where: str) -> Schedule:
    """The schedule that a file describes.

    Args:
        content: As read from YAML; numbers may be text.
        where: The file, for messages.

    Raises:
        TrainingError: It breaks a rule; the first one is named.
    """
    try:
        return Schedule.model_validate(content)
    except ValidationError as error:
        raise TrainingError(f"schedule {where!r}, {first_violation(error, 'schedule')}") from error


def stage_recipes(schedule: Schedule, base: TrainingRecipe) -> tuple[TrainingRecipe, ...]:
    """How each stage is trained.

    Args:
        schedule: What differs from the base.
        base: Usually the task's full fine-tune.

    Raises:
        TrainingError: A field is unknown or out of range.
    """
    return tuple(_recipe(stage.name, (schedule.training, stage.training), base) for stage in schedule.stages)


_RECIPE = TypeAdapter(TrainingRecipe)


def _recipe(stage: str, changes: Sequence[Mapping[str, str]], base: TrainingRecipe) -> TrainingRecipe:
    """The base with changes, the later ones over the earlier."""
    values: dict[str, Any] = dataclasses.asdict(base)
    for changed in changes:
        for name in changed:
            if name not in values:
                raise TrainingError(f"stage {stage!r}: {unknown_name('field of training', name, values)}")
        # Either says how long it takes.
        lengths = {"n_epochs": 0.0, "n_samples": 0} if not changed.keys().isdisjoint(_LENGTHS) else {}
        values |= {**lengths, **changed}
    try:
        return _RECIPE.validate_python(values)
    except ValidationError as error:
        raise TrainingError(f"stage {stage!r}: training, {first_violation(error, 'training')}") from error
    except TrainingError as error:
        raise TrainingError(f"stage {stage!r}: {error}") from error
