"""Writes networks as OpenVINO's own files: a graph (.xml) and beside it its weights (.bin)."""

from __future__ import annotations

from pathlib import Path

import openvino

from ..errors import ExportError


def write_ir(onnx: Path, path: Path) -> None:
    """Converts an ONNX file, each layer in the precision that it has there.

    Args:
        onnx: The file to convert.
        path: The `.xml` to write; its weights come beside it as `.bin`.

    Raises:
        ExportError: OpenVINO cannot convert it.
    """
    try:
        # Weights would be rounded to half precision by default.
        openvino.save_model(openvino.Core().read_model(str(onnx)), str(path), compress_to_fp16=False)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise ExportError(
            f"OpenVINO must be able to convert the network, but: {reason}: export it as ONNX, which OpenVINO reads too"
        ) from error
