from pathlib import Path

import numpy as np
import openvino
import pytest
import torch
from torch import nn

from parefront.hardware_profiles import ExportError, PrecisionPlan
from parefront.hardware_profiles.export.openvino_ir import write_ir
from parefront.hardware_profiles.export.qdq import export_onnx


def test_weights_keep_their_precision(tmp_path: Path) -> None:
    layer = nn.Linear(4, 2)
    with torch.no_grad():
        layer.weight.fill_(1 / 3)  # no number of half precision
    export_onnx(
        torch.fx.symbolic_trace(nn.Sequential(layer)), (torch.ones(2, 4),), PrecisionPlan.none(), tmp_path / "m.onnx"
    )
    write_ir(tmp_path / "m.onnx", tmp_path / "m.xml")
    assert {path.name for path in tmp_path.iterdir()} == {"m.onnx", "m.xml", "m.bin"}
    constants = [
        each.data
        for each in openvino.Core().read_model(tmp_path / "m.xml").get_ops()
        if each.get_type_name() == "Constant"
    ]
    (weight,) = [each for each in constants if each.size == 8]
    assert weight.dtype == np.float32
    assert np.all(weight == np.float32(1 / 3))


def test_what_is_no_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_text("nothing")
    with pytest.raises(ExportError, match=r"OpenVINO must be able to convert the network, but: .*: export it as ONNX"):
        write_ir(tmp_path / "m.onnx", tmp_path / "m.xml")
