"""The JSON schema of a profile *file*, for editors: completion, descriptions, and marks at mistakes while typing.

It is that of the pydantic model, with what only files have (`extends`) and what the model checks in code but a schema
can say as well (names of runtimes, precisions). Loading a profile checks more: see `load_profile`.
"""

from __future__ import annotations

import json
from typing import Any

from .profile import HardwareProfile
from .profile_files import profile_names
from .runtimes import BITS, WEIGHT_ONLY_BITS, runtime_names

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_EXTENDS = {
    "type": "string",
    "minLength": 1,
    "description": "A shipped profile, or a path relative to this file; what stands here goes over what stands there.",
}
# Any: a JSON schema nests whatever JSON can hold.
Schema = dict[str, Any]


def profile_schema() -> Schema:
    """Gives the schema as plain data (draft 2020-12).

    A file that extends another one may leave out any field; one that does not must hold the required ones.
    """
    schema = HardwareProfile.model_json_schema()
    definitions: dict[str, Schema] = schema["$defs"]
    capabilities, runtime = definitions["Capabilities"]["properties"], definitions["RuntimeSettings"]["properties"]
    runtime["name"]["enum"] = list(runtime_names())
    capabilities["weight_bits"]["items"] = {"enum": list(BITS)}
    capabilities["weight_only_bits"]["items"] = {"enum": list(WEIGHT_ONLY_BITS)}
    _describe_sections(schema["properties"], definitions)
    needed = _take_required(schema, definitions)
    schema["properties"] = {"extends": {**_EXTENDS, "examples": list(profile_names())}, **schema["properties"]}
    return {
        "$schema": _DIALECT,
        **schema,
        "title": "parefront hardware profile",
        "if": {"not": {"required": ["extends"]}},
        "then": needed,
    }


def schema_text() -> str:
    """Gives the schema as JSON text, indented, with a line's end."""
    return json.dumps(profile_schema(), indent=2) + "\n"


def _describe_sections(properties: dict[str, Schema], definitions: dict[str, Schema]) -> None:
    """A section's field carries the description of what it holds: editors do not look behind the reference."""
    for field in properties.values():
        name = _referred(field)
        if name is not None:
            field.setdefault("description", definitions[name]["description"])


def _take_required(schema: Schema, definitions: dict[str, Schema]) -> Schema:
    """Takes every list of required fields out of a schema, and gives them as a schema of their own."""
    sections = {}
    for field, content in schema["properties"].items():
        required = definitions.get(_referred(content) or "", {}).get("required")
        if required:
            sections[field] = {"required": required}
    needed = {"required": schema.pop("required"), "properties": sections}
    for definition in definitions.values():
        definition.pop("required", None)
    return needed


def _referred(field: Schema) -> str | None:
    """The definition that a field's schema refers to."""
    reference = field.get("$ref")
    return None if reference is None else str(reference).rpartition("/")[2]
