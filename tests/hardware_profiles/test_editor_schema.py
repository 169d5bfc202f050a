"""The JSON schema for editors, by the reference validator."""

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml

from parefront.hardware_profiles import load_profile, profile_names
from parefront.hardware_profiles.editor_schema import profile_schema, schema_text

jsonschema = pytest.importorskip("jsonschema", reason="validates the schema; installed with ray")

MINIMAL: dict[str, Any] = {"schema_version": 1, "name": "x", "runtime": {"name": "onnxruntime", "threads": 1}}


def mistakes(content: object) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(profile_schema()).iter_errors(content)]


def fields(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every field of every section."""
    sections = {"": schema, **schema["$defs"]}
    return {
        f"{section}.{name}": field for section, part in sections.items() for name, field in part["properties"].items()
    }


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(profile_schema())
    assert json.loads(schema_text()) == profile_schema()


@pytest.mark.parametrize("name", profile_names())
def test_shipped_profiles_are_valid(name: str) -> None:
    text = resources.files("parefront.hardware_profiles").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    assert mistakes(yaml.safe_load(text)) == []


def test_every_field_is_described() -> None:
    found = fields(profile_schema())
    assert {".name", ".extends", ".target", "Capabilities.weight_bits", "MeterProtocol.burst_ms"} <= set(found)
    assert [name for name, field in found.items() if len(field.get("description", "")) < 10] == []


def test_a_whole_profile_needs_its_required_fields() -> None:
    assert mistakes(MINIMAL) == []
    assert mistakes({**MINIMAL, "runtime": {"name": "onnxruntime"}}) == ["'threads' is a required property"]
    without_runtime = {name: value for name, value in MINIMAL.items() if name != "runtime"}
    assert mistakes(without_runtime) == ["'runtime' is a required property"]


def test_a_profile_that_extends_another_needs_none(tmp_path: Path) -> None:
    content = {"extends": "cpu-ort-1t", "name": "mine", "runtime": {"threads": 1}}
    assert mistakes(content) == []
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(content))
    assert load_profile(str(tmp_path / "mine.yaml")).name == "mine"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": "red"}, "'colour' was unexpected"),
        ({"runtime": {"name": "ncnn", "threads": 1}}, "'ncnn' is not one of"),
        ({"runtime": {"name": "onnxruntime", "threads": 0}}, "0 is less than the minimum of 1"),
        ({"capabilities": {"weight_bits": [32, 5]}}, "5 is not one of [32, 'bf16', 'fp16', 8]"),
        ({"protocol": {"half_width": 2}}, "2 is greater than or equal to the maximum of 1.0"),
        ({"fingerprint": "abc"}, "is not valid under any of the given schemas"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_mistakes_are_marked(change: dict[str, Any], message: str) -> None:
    (found,) = mistakes({**MINIMAL, **change})
    assert message in found
