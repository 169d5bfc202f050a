"""One configuration that a person chose: trained, exported, verified, beside the uncompressed network."""

from __future__ import annotations

from dataclasses import dataclass

from ..spaces import Configuration
from .evaluation import Evaluation
from .workbench import Workbench

FIDELITIES = ("structure", "short", "full")


@dataclass(frozen=True, slots=True)
class Compressed:
    """A configuration and what it is compared with.

    Attributes:
        baseline: The uncompressed network, with the better accuracy of as it came and with the same fine-tune.
        candidate: The compressed one.
    """

    baseline: Evaluation
    candidate: Evaluation


def compress_by_hand(workbench: Workbench, configuration: Configuration, fidelity: str) -> Compressed:
    """Evaluates a configuration as the search evaluates a final member.

    Args:
        workbench: Not yet anchored.
        configuration: Canonical.
        fidelity: `structure` (latency, size and MACs; nothing is trained), or the fine-tune `short` or `full`.
    """
    workbench.anchor()
    if fidelity == "structure":
        neutral = workbench.structure(Configuration(), "baseline")
        return Compressed(neutral, workbench.structure(configuration, "compressed"))
    recipe = workbench.task.full_recipe if fidelity == "full" else workbench.task.short_recipe
    # As in a search: an undertrained baseline must not flatter the result.
    plain = workbench.baseline("baseline")
    tuned = workbench.full(Configuration(), "baseline-tuned", recipe)
    better = max((plain, tuned), key=lambda evaluation: evaluation.scores["accuracy"].value)
    assert better.samples is not None
    assert better.test_samples is not None
    workbench.set_reference(better.samples, better.test_samples)
    return Compressed(workbench.with_drops(better), workbench.full(configuration, "compressed", recipe))
