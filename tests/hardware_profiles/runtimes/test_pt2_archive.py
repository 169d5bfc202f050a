import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from parefront.hardware_profiles import MeasurementError
from parefront.hardware_profiles.runtimes.pt2_archive import check_archive

from .conftest import Exported

Parts = dict[str, bytes]


@pytest.fixture
def changed(export: Callable[..., Exported], tmp_path: Path) -> Callable[[Callable[[Parts], None]], Path]:
    """Writes a network's archive again with its parts changed."""

    def write(change: Callable[[Parts], None]) -> Path:
        with zipfile.ZipFile(export("torch").path) as archive:
            parts = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
        change(parts)
        with zipfile.ZipFile(tmp_path / "model.pt2", "w") as archive:
            for name, content in parts.items():
                archive.writestr(f"model/{name}", content)
        return tmp_path / "model.pt2"

    return write


def edit(parts: Parts, name: str, change: Callable[[Any], None]) -> None:
    content = json.loads(parts[name])
    change(content)
    parts[name] = json.dumps(content).encode()


def unpickled_weight(parts: Parts) -> None:
    def change(content: Any) -> None:
        content["config"]["fc.weight"]["use_pickle"] = True

    edit(parts, "data/weights/model_weights_config.json", change)


def opaque_constant(parts: Parts) -> None:
    def change(content: Any) -> None:
        content["config"]["c"] = {"path_name": "opaque_obj_0", "use_pickle": False}

    edit(parts, "data/constants/model_constants_config.json", change)


def foreign_function(parts: Parts) -> None:
    def change(content: Any) -> None:
        content["graph_module"]["graph"]["nodes"][0]["target"] = "torch.hub.load"

    edit(parts, "models/model.json", change)


def evaluated_size(parts: Parts) -> None:
    def change(content: Any) -> None:
        content["graph_module"]["metadata"] = {"expr_str": "__import__('os').getcwd()"}

    edit(parts, "models/model.json", change)


def condition(parts: Parts) -> None:
    def change(content: Any) -> None:
        content["guards_code"] = ["print()"]

    edit(parts, "models/model.json", change)


def missing_graph(parts: Parts) -> None:
    del parts["models/model.json"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (unpickled_weight, "got weights 'fc.weight' that must be unpickled"),
        (opaque_constant, "got constants 'c' that must be unpickled"),
        (lambda parts: parts.update({"data/sample_inputs/model.pt": b"x"}), "got example inputs"),
        (lambda parts: parts.update({"data/aotinductor/model/a.so": b"x"}), "got a part called 'data/aotinductor"),
        (foreign_function, "got an operator 'torch.hub.load'"),
        (evaluated_size, 'got a size "__import__'),
        (condition, "got conditions in Python"),
        (missing_graph, "must be a PyTorch archive, but: KeyError"),
    ],
)
def test_what_could_run_code_is_refused(
    change: Callable[[Parts], None], said: str, changed: Callable[[Callable[[Parts], None]], Path]
) -> None:
    with pytest.raises(MeasurementError, match=said.replace("(", r"\(")):
        check_archive(changed(change))


def test_our_own_archives_pass(
    export: Callable[..., Exported], changed: Callable[[Callable[[Parts], None]], Path]
) -> None:
    check_archive(export("torch").path)
    check_archive(changed(lambda parts: None))


def test_a_changed_bit_is_found(export: Callable[..., Exported], tmp_path: Path) -> None:
    path = export("torch").path
    with zipfile.ZipFile(path) as archive:
        place = next(part for part in archive.infolist() if part.filename.endswith("weight_0"))
    content = bytearray(path.read_bytes())
    # Behind the part's header lie its name and padding, then the weight: the last byte is one of its.
    weight = content.find(archive_data(path, place.filename), place.header_offset)
    content[weight] ^= 1
    (tmp_path / "bad.pt2").write_bytes(bytes(content))
    with pytest.raises(MeasurementError, match=r"bad\.pt2 must be as it was written, got a damaged part"):
        check_archive(tmp_path / "bad.pt2")


def archive_data(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)
