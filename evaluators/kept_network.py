"""What a final member leaves beside its file: its trained network, so that it can be written in other formats later.

A torch archive of tensors and text, read with `weights_only`; no module is pickled.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from ..hardware_profiles.errors import ExportError
from ..hardware_profiles.precision import PrecisionPlan
from ..packing import CirculantWeight, CodedWeight, StoredWeight, TiedWeight
from ..spaces import Finished, simulate
from ..spaces.encode import Stored
from ..spaces.rebuild import Sizes, sizes_of

SCHEMA = 1
PROBE_BYTES = 1_000_000
"""Most that the probe inputs of one network may hold, as far as that leaves `LEAST_PROBES` of them."""
LEAST_PROBES, MOST_PROBES = 4, 32


@dataclass(frozen=True, slots=True)
class KeptNetwork:
    """A finished network as plain data, with inputs on which it can be recognised.

    Attributes:
        state: Parameters and buffers of the float module.
        plan: Where it computes in low precision.
        stored: What is stored of weights in few bits, by layer.
        sizes: See `spaces.rebuild`.
        inputs: A few validation samples, shape (n, ...).
        outputs: What torch makes of them, with the plan's rounding, shape (n, ...).
    """

    state: Mapping[str, Tensor]
    plan: PrecisionPlan
    sizes: Sizes
    inputs: Tensor
    outputs: Tensor
    stored: Stored = field(default_factory=dict)

    @classmethod
    def of(cls, finished: Finished, inputs: Tensor) -> KeptNetwork:
        """Runs the network on the first of some inputs.

        Args:
            finished: The network.
            inputs: Shape (n, ...).
        """
        probes = inputs[: n_probes(inputs)].clone()
        with torch.no_grad():
            outputs = simulate(finished.module, finished.plan)(probes)
        # Cloned, as a tensor that is part of a larger one, as pruned ones may be, would be stored with all of it.
        state = {name: value.detach().clone() for name, value in finished.module.state_dict().items()}
        return cls(state, finished.plan, sizes_of(finished.module), probes, outputs, finished.stored)

    def write(self, path: Path) -> None:
        """Writes it whole or not at all."""
        content = {
            "schema": SCHEMA,
            "state": dict(self.state),
            "plan": self.plan.to_json(),
            "sizes": {name: dict(held) for name, held in self.sizes.items()},
            "inputs": self.inputs,
            "outputs": self.outputs,
            "stored": {name: _as_tensors(coded) for name, coded in self.stored.items()},
        }
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        torch.save(content, partial)
        partial.replace(path)

    @classmethod
    def read(cls, path: Path) -> KeptNetwork:
        """Reads what `write` wrote.

        Raises:
            ExportError: There is none, it is damaged, or an earlier version wrote the weights alone.
        """
        try:
            content = torch.load(path, weights_only=True)
        except Exception as error:  # torch.load raises errors of many classes
            raise ExportError(
                f"a final member's network must be as it was written, got {path} ({type(error).__name__}): search again"
            ) from error
        if not isinstance(content, dict) or content.get("schema") != SCHEMA:
            raise ExportError(
                f"a final member must have left its network with its precision, got weights alone in {path}, from an "
                "earlier version: search again, or export the file that the run holds"
            )
        plan = PrecisionPlan.from_json(content["plan"])
        # Runs of earlier versions had nothing stored in few bits.
        stored = {name: _from_tensors(tensors) for name, tensors in content.get("stored", {}).items()}
        return cls(content["state"], plan, content["sizes"], content["inputs"], content["outputs"], stored)


def _as_tensors(coded: StoredWeight) -> dict[str, Tensor]:
    """Its fields; the scale only where it has one."""
    fields = {each.name: getattr(coded, each.name) for each in dataclasses.fields(coded)}
    return {name: value for name, value in fields.items() if value is not None}


def _from_tensors(tensors: Mapping[str, Tensor]) -> StoredWeight:
    by_field: dict[str, type[StoredWeight]] = {"codebook": CodedWeight, "base": TiedWeight, "rows": CirculantWeight}
    return next(kind for field_name, kind in by_field.items() if field_name in tensors)(**tensors)


def kept_path(artefact: Path) -> Path:
    """Where the network of an exported file lies."""
    return artefact.with_suffix(".pt")


def n_probes(inputs: Tensor) -> int:
    """How many inputs are kept to recognise a network on."""
    sample_bytes = inputs[:1].numel() * inputs.element_size()
    return min(MOST_PROBES, max(LEAST_PROBES, PROBE_BYTES // max(1, sample_bytes)))
