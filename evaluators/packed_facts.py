"""What stands in a `.pare` file beside the network: what was compressed, and how."""

from __future__ import annotations

import importlib.metadata
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from ..spaces import Configuration


class PackedFacts(BaseModel):
    """What stands in the file beside the network.

    Attributes:
        schema_version: Of these facts.
        task: Name of the task.
        configuration: Choices by site.
        input_shape: Of a batch of two.
        input_type: As NumPy names it.
        seed: Of all training.
        version: Of parefront.
    """

    model_config = ConfigDict(populate_by_name=True)

    schema_version: Literal[1] = Field(default=1, alias="schema")
    task: str
    configuration: dict[str, int | str]
    input_shape: list[int]
    input_type: str
    seed: int | None = None
    version: str | None = None

    @classmethod
    def of(cls, task: str, configuration: Configuration, inputs: Tensor, seed: int) -> PackedFacts:
        """The facts of a candidate.

        Args:
            task: Its name.
            configuration: Of the candidate.
            inputs: Of the network, shape (n, ...), at least two.
            seed: Of all training.
        """
        example = inputs[:2].numpy()
        return cls(
            task=task,
            configuration=dict(configuration),
            input_shape=list(example.shape),
            input_type=str(example.dtype),
            seed=seed,
            version=importlib.metadata.version("parefront"),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return self.model_dump(by_alias=True)
