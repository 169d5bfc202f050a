"""The lines of docs/export.md and of the cards load what was exported, and nothing but the runtime is needed."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "export.md").read_text(), re.DOTALL)
MODELS = ["model.onnx", "model.pt2", "model.xml", "model"]


@pytest.fixture
def elsewhere(exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the models and the user's task."""
    folder = Path(shutil.copytree(exported, tmp_path / "elsewhere"))
    shutil.copyfile(ROOT / "tests" / "tiny_task.py", folder / "my_task.py")
    monkeypatch.chdir(folder)
    return folder


def lines_of_card(model: Path) -> str:
    card = model / "card.json" if model.is_dir() else model.with_name(f"{model.name}.card.json")
    return str(json.loads(card.read_text())["loading"])


@pytest.mark.parametrize(("name", "block"), list(zip(MODELS, BLOCKS, strict=True)))
def test_the_lines_load_the_model(elsewhere: Path, name: str, block: str) -> None:
    written = lines_of_card(elsewhere / name)
    for code in (block, written):
        assert f'"{name}"' in code
        assert len([line for line in code.splitlines() if line]) <= 5
        names: dict[str, object] = {}
        exec(compile(code, name, "exec"), names)
        assert tuple(names["outputs"].shape) == (1, 4)  # type: ignore[attr-defined]
    # The card's lines are the page's, but for what they say of the inputs.
    assert re.sub(r"  #.*", "", written).split() == re.sub(r"  #.*", "", block).split()


def test_a_program_needs_torch_alone(elsewhere: Path) -> None:
    code = f"import sys\n{BLOCKS[1]}assert not any(name.startswith(('parefront', 'onnx')) for name in sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
