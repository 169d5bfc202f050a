from typing import Self

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from parefront.hardware_profiles.validation import first_violation


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    count: int


class File(BaseModel):
    parts: list[Inner]
    name: str = "a"

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        if self.name == "b":
            raise ValueError("a name must not be b")
        return self


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            {"parts": [{"count": "x"}]},
            "field 'parts.0.count': Input should be a valid integer, unable to parse string as an integer, got 'x': "
            "correct it in the file",
        ),
        ({"parts": [{}]}, "field 'parts.0.count': Field required: correct it in the file"),
        ({"parts": [], "name": "b"}, "field 'file': a name must not be b: correct it in the file"),
        (
            {"parts": [{"count": 1, "cuont": 2}, {"count": 1, "c": 2}]},
            "field 'parts.0.cuont': there is no such field, got 2: correct it in the file (1 more after it)",
        ),
    ],
)
def test_the_first_mistake_is_one_line(content: object, line: str) -> None:
    with pytest.raises(ValidationError) as caught:
        File.model_validate(content)
    assert first_violation(caught.value, "file") == line
