"""What one member of a run can be exported from: its file, and the trained network that a final member left."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..evaluators.deploy import MAX_FLOAT_ERROR, MAX_INT8_ERROR, parity_limit
from ..evaluators.kept_network import LEAST_PROBES, KeptNetwork, kept_path
from ..hardware_profiles.errors import ExportError, ProfileError
from ..hardware_profiles.runtimes import check_runtime, get_runtime, runtime_facts
from ..search.trial import Fidelity, Trial
from ..spaces import Finished
from ..spaces.rebuild import rebuild_finished
from ..tasks import Task
from .load import ResultsError, Run
from .probe import Probe
from .sessions import open_file
from .task_by_name import task_by_name

TORCH, ITSELF = "PyTorch, with the rounding of the model", "the file that the run holds, in its runtime"
"""Whose outputs are expected."""


class Source:
    """One member, and what is known of its network.

    Attributes:
        run: The run.
        member: One of its trials.
        artefact: The member's file.
        given_task: What the run was about, where it was said.
    """

    def __init__(self, run: Run, member: Trial, task: Task | None = None) -> None:
        """Takes the member's file.

        Args:
            run: The run.
            member: One of its trials, with a file.
            task: What the run was about, where it cannot be found by its name.

        Raises:
            ResultsError: The file is gone.
        """
        artefact = run.fetched_artefact(member)
        if artefact is None:
            raise ResultsError(f"#{member.number} must have its file in {run.artefacts}, but it is gone: search again")
        self.run, self.member, self.artefact, self.given_task = run, member, artefact, task

    @cached_property
    def runtime(self) -> str:
        """The runtime that loads the member's file here: the profile's, else one for files of that suffix."""
        name: str = self.run.manifest["profile"]["runtime"]["name"]
        try:
            check_runtime(name)
        except ProfileError:
            return "torch" if runtime_facts(name).suffix == ".pt2" else "onnxruntime"
        return name

    @cached_property
    def kept(self) -> KeptNetwork:
        """The trained network.

        Raises:
            ExportError: The member left none, or left it in the form of an earlier version.
        """
        path = kept_path(self.artefact)
        if not path.is_file():
            finals = [f"#{t.number}" for t in self.run.front if t.fidelity is Fidelity.FULL and t.configuration]
            remedy = f"pick one of {', '.join(finals)}, or" if finals else "wait for the final members, or"
            raise ExportError(
                f"only a final member leaves its trained network, which this format is made from, got "
                f"#{self.member.number}: {remedy} export the file that the run holds ({self.artefact.suffix})"
            )
        return KeptNetwork.read(path)

    @cached_property
    def task(self) -> Task:
        """What the network is built from.

        Raises:
            ResultsError: It cannot be found by its name.
        """
        return self.given_task or task_by_name(str(self.run.manifest["task"]))

    @cached_property
    def finished(self) -> Finished:
        """The network in torch, as it was when it was exported."""
        kept = self.kept
        module = rebuild_finished(
            self.task.build_network(), kept.inputs, self.member.configuration, kept.state, kept.sizes
        )
        return Finished(module, kept.plan, kept.stored)

    @cached_property
    def expected_from(self) -> str:
        """Whose outputs the probe holds: torch's where the network was kept."""
        try:
            return TORCH if self.kept.state else ITSELF
        except ExportError:
            return ITSELF

    @cached_property
    def probe(self) -> Probe:
        """Inputs with the outputs that any export must give."""
        if self.expected_from == TORCH:
            return Probe(self.kept.inputs.numpy(), self.kept.outputs.numpy())
        session = get_runtime(self.runtime).open_session(self.artefact, 1)
        zeros = session.zeros(LEAST_PROBES)[0]
        is_float = np.issubdtype(zeros.dtype, np.floating)
        inputs = np.random.default_rng(0).standard_normal(zeros.shape).astype(zeros.dtype) if is_float else zeros
        return Probe(inputs, open_file(self.artefact, self.runtime)(inputs))

    @property
    def tolerance(self) -> float:
        """What outputs may differ by, over their deviation; see `evaluators.deploy`."""
        if self.expected_from == TORCH:
            return parity_limit(self.kept.plan)
        has_bits = any(site.startswith("bits/") for site in self.member.configuration)
        return MAX_INT8_ERROR if has_bits else MAX_FLOAT_ERROR
