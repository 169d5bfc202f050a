"""How far a schedule is, in memory and on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor, fx, nn

from ..packing import CodedWeight
from ..spaces.fold import merge_linear_segments
from ..spaces.linearise import set_linearity
from .schedule_hooks import Code


@dataclass(frozen=True, slots=True)
class StageReport:
    """What a network is worth behind a stage.

    Attributes:
        name: Of the stage.
        does: Its technique; `train` for none.
        accuracy: As the caller scores it.
        kept_share: Of the weights of convolutions and linear layers, those that are not zero.
        bits: Mean bits of a weight that is not zero, before entropy coding; 32 where it is stored in full.
        size_bytes: Of the network's tensors as a `.pare` file.
    """

    name: str
    does: str
    accuracy: float
    kept_share: float
    bits: float
    size_bytes: int


@dataclass(slots=True)
class ScheduleState:
    """All that a killed schedule needs besides the network's tensors.

    Attributes:
        n_rounds: Trainings that have ended, over all stages.
        masks: What stays zero, by layer.
        codes: How layers are stored.
        weights: What is stored of weights in few bits, by layer.
        reports: Of the stages that have ended.
    """

    n_rounds: int = 0
    masks: dict[str, Tensor] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    weights: dict[str, CodedWeight] = field(default_factory=dict)
    reports: list[StageReport] = field(default_factory=list)

    def to_plain(self, module: nn.Module) -> dict[str, Any]:
        """Tensors and plain data, with the network's, for a checkpoint."""
        return {
            "module": module.state_dict(),
            "n_rounds": self.n_rounds,
            "masks": self.masks,
            "codes": {name: (code.kind, code.bits) for name, code in self.codes.items()},
            "weights": {name: (each.indices, each.codebook, each.scale) for name, each in self.weights.items()},
            "reports": [asdict(report) for report in self.reports],
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], module: nn.Module) -> ScheduleState:
        """The inverse of `to_plain`; gives the module, in place, its tensors of then."""
        if plain["n_rounds"] and isinstance(module, fx.GraphModule):
            # What was folded has merged in the first training.
            set_linearity(module, 1.0)
            merge_linear_segments(module)
        module.load_state_dict(plain["module"])
        return cls(
            plain["n_rounds"],
            plain["masks"],
            {name: Code(*each) for name, each in plain["codes"].items()},
            {name: CodedWeight(*each) for name, each in plain["weights"].items()},
            [StageReport(**each) for each in plain["reports"]],
        )
