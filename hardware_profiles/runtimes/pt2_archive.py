"""Refuses PyTorch archives (.pt2) that could run code when they are read.

`torch.export.load` is no safe reader by itself: it unpickles weights and constants that the archive marks so, example
inputs that are not plain tensors, and opaque objects; it loads compiled libraries; it hands expressions for sizes to
SymPy, which evaluates them; and nodes may name any function of torch. Our archives hold none of these. So what is in an
archive is checked against what `torch_artefact` writes before torch reads it.

Source: torch/export/pt2_archive/_package.py and torch/_export/serde/serialize.py of PyTorch 2.14.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import MeasurementError

_MEMBERS = re.compile(
    r"archive_format|archive_version|byteorder|\.data/(version|serialization_id)|extra/[\w.]+|models/model\.json"
    r"|data/(weights/weight_\d+|constants/tensor_\d+|(weights/model_weights|constants/model_constants)_config\.json)"
)
_SAMPLE_INPUTS = "data/sample_inputs/model.pt"
_SPARSE = "torch.ops.parefront.csr_linear.default"
_TARGETS = re.compile(
    rf"torch\.ops\.(aten|torchvision)\.\w+(\.\w+)?|{re.escape(_SPARSE)}|torch\.sym_\w+"
    r"|_operator\.(getitem|add|sub|mul|mod|pow|neg|floordiv|truediv|eq|ne|lt|le|gt|ge|and_|or_|not_)"
)
# Numbers, symbols of sizes, and SymPy's functions, which are in capitals: nothing that does more than arithmetic.
_EXPRESSIONS = re.compile(
    r"(Symbol\('[su]\d+'(, [a-z]+=(True|False))*\)|[su]\d+|[A-Z][A-Za-z]+|\d+|[-+*/%(),<>=&|~ ])*"
)


def check_archive(path: Path) -> None:
    """Checks that an archive is complete and holds tensors and a graph of known operators, and nothing else.

    Raises:
        MeasurementError: It is not, or does not.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            if damaged is not None:
                raise MeasurementError(
                    f"{path.name} must be as it was written, got a damaged part {damaged!r}: export it again"
                )
            for reason in _forbidden(archive):
                raise MeasurementError(
                    f"{path.name} must hold tensors and a graph only, got {reason}: export it with parefront"
                )
    except (OSError, zipfile.BadZipFile, ValueError, LookupError, TypeError, AttributeError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise MeasurementError(f"{path.name} must be a PyTorch archive, but: {reason}: export it again") from error


def holds_sparse_layers(path: Path) -> bool:
    """Whether an archive has layers that execute their non-zero weights alone, by an operator of parefront's.

    Raises:
        OSError, ValueError, LookupError, zipfile.BadZipFile: It is no archive.
    """
    with zipfile.ZipFile(path) as archive:
        model = json.loads(archive.read(f"{archive.namelist()[0].partition('/')[0]}/models/model.json"))
    return any(key == "target" and value == _SPARSE for key, value in _strings(model))


def _forbidden(archive: zipfile.ZipFile) -> Iterator[str]:
    names = archive.namelist()
    root = names[0].partition("/")[0]
    members = [name.removeprefix(f"{root}/") for name in names]
    for name, member in zip(names, members, strict=True):
        if member == _SAMPLE_INPUTS:
            if archive.getinfo(name).file_size:
                yield "example inputs"
        elif not _MEMBERS.fullmatch(member):
            yield f"a part called {member[:80]!r}"
    for kind in ("weights", "constants"):
        content = json.loads(archive.read(f"{root}/data/{kind}/model_{kind}_config.json"))
        for name, payload in content["config"].items():
            if payload["use_pickle"] or not re.fullmatch(r"(weight|tensor)_\d+", payload["path_name"]):
                yield f"{kind} {name[:80]!r} that must be unpickled"
    model = json.loads(archive.read(f"{root}/models/model.json"))
    if model.get("guards_code"):
        yield "conditions in Python"
    for key, value in _strings(model):
        if key == "target" and not _TARGETS.fullmatch(value):
            yield f"an operator {value[:80]!r}"
        if key == "expr_str" and not _EXPRESSIONS.fullmatch(value):
            yield f"a size {value[:80]!r}"


def _strings(content: Any, key: str = "") -> Iterator[tuple[str, str]]:  # Any: what a JSON file holds
    """Every string of a JSON value with the key it stands under."""
    if isinstance(content, str):
        yield key, content
    elif isinstance(content, dict):
        for name, value in content.items():
            yield from _strings(value, name)
    elif isinstance(content, list):
        for value in content:
            yield from _strings(value, key)
