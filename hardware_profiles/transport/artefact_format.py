"""What a worker accepts from others: ONNX files that read nothing but themselves and the weights sent with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import MeasurementError

if TYPE_CHECKING:
    from onnx import TensorProto

ACCEPTED_FORMATS = (".onnx",)
"""Suffixes. Formats that may hold pickled objects, such as PyTorch's, run code of their sender's when loaded."""
_LONGEST_NAME = 200


def check_format(suffix: str) -> None:
    """Checks that a worker elsewhere takes files of this kind.

    Raises:
        MeasurementError: It does not.
    """
    if suffix not in ACCEPTED_FORMATS:
        raise MeasurementError(
            f"a device elsewhere takes files of the format {', '.join(ACCEPTED_FORMATS)} only (never pickles), got "
            f"{suffix[:20]!r}: choose a runtime that loads ONNX, or measure on this machine"
        )


def check_data_name(name: str) -> None:
    """Checks that a name of external data is that of a file in the same folder.

    Raises:
        MeasurementError: It is a path, hidden or not printable.
    """
    is_plain = name.isprintable() and not {"/", "\\"} & set(name) and not name.startswith(".")
    if not is_plain or not 0 < len(name) <= _LONGEST_NAME:
        raise MeasurementError(
            f"weights beside a network must be a file in the same folder, got {name[:80]!r}: export the network again"
        )


def external_names(path: Path) -> tuple[str, ...]:
    """Lists the files that an ONNX network reads weights from, sorted; none is read here.

    Raises:
        MeasurementError: The file is missing, no ONNX network, or names a file outside its folder.
    """
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    model = ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except DecodeError:
        raise MeasurementError("a network must be an ONNX file, got one that cannot be read: export it again") from None
    if model.ir_version < 1 or not model.graph.output:
        raise MeasurementError("a network must be an ONNX file, got one without a graph and outputs: export it again")
    # All entries of a name, as some readers take the first and others the last.
    entries = (entry for tensor in _tensors(model) for entry in tensor.external_data)
    names = {entry.value for entry in entries if entry.key == "location"}
    for name in names:
        check_data_name(name)
    return tuple(sorted(names))


def check_onnx(path: Path, data_names: tuple[str, ...]) -> None:
    """Checks that a file is an ONNX network which reads no other files than the named ones.

    Raises:
        MeasurementError: It is not, or it does.
    """
    for name in external_names(path):
        if name not in data_names:
            raise MeasurementError(
                f"a network may read weights only from the files sent with it ({', '.join(data_names) or 'none'}), "
                f"got {name[:80]!r}: export the network again"
            )


def _tensors(message: Any) -> Iterator[TensorProto]:
    """Every tensor of a network: of graphs within graphs, functions, attributes and sparse tensors too.

    Args:
        message: Any message of ONNX; protobuf's own types have no more exact one.
    """
    from onnx import TensorProto

    if isinstance(message, TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            is_single = hasattr(value, "ListFields")
            for child in [value] if is_single else value:
                yield from _tensors(child)
