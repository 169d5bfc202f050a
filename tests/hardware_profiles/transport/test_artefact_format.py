from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from parefront.hardware_profiles import MeasurementError
from parefront.hardware_profiles.transport.artefact_format import (
    check_data_name,
    check_format,
    check_onnx,
    external_names,
)

WriteNetwork = Callable[..., Path]


@pytest.mark.parametrize("suffix", [".pt2", ".pt", ".pkl", "", ".ort", ".ONNX"])
def test_only_named_formats_are_taken(suffix: str) -> None:
    check_format(".onnx")
    with pytest.raises(MeasurementError, match=r"format \.onnx only \(never pickles\), got"):
        check_format(suffix)


@pytest.mark.parametrize("name", ["", "..", ".hidden", "../up", "a/b", "/etc/passwd", "a\\b", "a\nb", "x" * 201])
def test_external_data_lies_in_the_same_folder(name: str) -> None:
    check_data_name("trial 1.onnx.data")
    with pytest.raises(MeasurementError, match="must be a file in the same folder, got"):
        check_data_name(name)


def test_a_network_with_its_own_weights_names_no_file(write_network: WriteNetwork) -> None:
    assert external_names(write_network()) == ()
    assert external_names(write_network(data_name="w.data")) == ("w.data",)


@pytest.mark.parametrize("content", [b"", b"no network", b"PK\x03\x04 a zip file", b"\x80\x04\x95 a pickle"])
def test_what_is_no_network_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(content)
    with pytest.raises(MeasurementError, match="must be an ONNX file, got one"):
        check_onnx(path, ())


def test_a_truncated_network_is_refused(write_network: WriteNetwork) -> None:
    path = write_network()
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(MeasurementError, match="must be an ONNX file"):
        check_onnx(path, ())


def test_weights_may_come_only_from_what_was_sent(write_network: WriteNetwork) -> None:
    path = write_network(data_name="w.data")
    check_onnx(path, ("w.data",))
    with pytest.raises(MeasurementError, match=r"only from the files sent with it \(none\), got 'w.data'"):
        check_onnx(path, ())


@pytest.mark.parametrize("place", ["initializer", "constant", "subgraph", "function", "sparse"])
@pytest.mark.parametrize("name", ["/etc/shadow", "../secret", "*/_ORT_MEM_ADDR_/*"])
def test_no_tensor_anywhere_may_name_a_file_outside(write_network: WriteNetwork, place: str, name: str) -> None:
    path = write_network()
    model = onnx.ModelProto.FromString(path.read_bytes())
    tensor = TensorProto(name="t", data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="harmless")
    tensor.external_data.add(key="location", value=name)
    constant = helper.make_node("Constant", [], ["c"], value=tensor)
    if place == "initializer":
        model.graph.initializer.append(tensor)
    elif place == "sparse":
        model.graph.sparse_initializer.add().values.CopyFrom(tensor)
    elif place == "constant":
        model.graph.node.append(constant)
    elif place == "function":
        model.functions.add(name="f").node.append(constant)
    else:
        branch = helper.make_graph([constant], "branch", [], [])
        model.graph.node.append(helper.make_node("If", ["b"], ["z"], then_branch=branch, else_branch=branch))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(MeasurementError, match="in the same folder, got"):
        check_onnx(path, ("harmless",))
