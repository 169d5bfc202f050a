"""The order of the house: who may import whom, read from the source without running it."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# From the ground up: a floor imports from itself and from the floors before it.
FLOORS = ("hardware_profiles", "packing", "spaces", "training", "tasks", "evaluators", "search", "results", "cli")

# Who may import a library at all; a name that ends in "/" allows the whole floor.
OWNERS = {
    "ray": (
        "search/ray_cluster.py",
        "search/ray_devices.py",
        "search/open_ray_executor.py",
        "search/ray_executor.py",
        "search/tune_searcher.py",
        "search/sweep.py",
        "search/ray_jobs.py",
    ),
    "tensorly": ("spaces/cp.py",),
    "torch_pruning": (),  # the opponent in a benchmark
    "optuna": ("search/",),
    "psycopg": ("search/database.py",),
    "fsspec": ("search/artefact_copies.py",),
    "constriction": ("packing/entropy.py",),
    "plotly": ("results/",),
    "dash": ("results/",),
}

# What costs too much time for `parefront --help` to wait for it.
HEAVY = (
    "dash",
    "onnx",
    "onnxruntime",
    "optuna",
    "pandas",
    "plotly",
    "ray",
    "sklearn",
    "torch",
    "torch_pruning",
    "torchvision",
)


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module, as its absolute name."""

    file: str
    line: int
    module: str
    is_relative: bool
    is_at_import_time: bool

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def read_imports(file: str, source: str) -> list[Import]:
    """List what `file`, a path from the root, imports anywhere, inside functions too."""
    package = ("parefront", *Path(file).parent.parts)
    found = []
    for node, is_at_import_time in walk(ast.parse(source, file)):
        if isinstance(node, ast.Import):
            found += [Import(file, node.lineno, alias.name, False, is_at_import_time) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            # `from ..spaces import site`: one dot is the package itself, each further dot one up.
            base = package[: len(package) - node.level + 1] if node.level else ()
            start = ".".join((*base, *([node.module] if node.module else [])))
            # From the root itself (`from .. import spaces`) the names are the modules.
            modules = [f"parefront.{alias.name}" for alias in node.names] if start == "parefront" else [start]
            found += [Import(file, node.lineno, module, node.level > 0, is_at_import_time) for module in modules]
    return found


def walk(node: ast.AST, is_at_import_time: bool = True) -> Iterator[tuple[ast.AST, bool]]:
    """Yield every node, and whether it runs when the file is imported."""
    yield node, is_at_import_time
    is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    is_for_types = isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
    for child in ast.iter_child_nodes(node):
        is_deferred = is_function or (is_for_types and child in node.body)
        yield from walk(child, is_at_import_time and not is_deferred)


def above(item: Import) -> bool:
    """Tell whether the import climbs to a floor above the file's own."""
    parts = item.module.split(".")
    if parts[0] != "parefront":
        return False
    assert parts[1] in FLOORS, f"{item}: no such floor"
    return FLOORS.index(parts[1]) > FLOORS.index(Path(item.file).parts[0])


def trespasses(item: Import) -> bool:
    """Tell whether the file imports a library that belongs to others."""
    owners = OWNERS.get(item.module.split(".")[0])
    return owners is not None and not any(
        item.file.startswith(owner) if owner.endswith("/") else item.file == owner for owner in owners
    )


def is_slow_start(item: Import) -> bool:
    """Tell whether the command line would load a heavy library before it knows what is asked."""
    return item.file.startswith("cli/") and item.is_at_import_time and item.module.split(".")[0] in HEAVY


@pytest.fixture(scope="module")
def imports() -> list[Import]:
    """Every import of every file of the packages."""
    files = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))
    return [
        item
        for path in files
        for item in read_imports(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
    ]


def test_every_floor_exists() -> None:
    assert [floor for floor in FLOORS if not (ROOT / floor / "__init__.py").is_file()] == []


def test_a_floor_imports_only_from_below(imports: list[Import]) -> None:
    assert [str(item) for item in imports if above(item)] == []


def test_imports_inside_the_house_are_relative(imports: list[Import]) -> None:
    assert [str(item) for item in imports if item.module.split(".")[0] == "parefront" and not item.is_relative] == []


def test_a_library_is_imported_only_by_its_owners(imports: list[Import]) -> None:
    assert [str(item) for item in imports if trespasses(item)] == []


def test_the_command_line_imports_nothing_heavy_at_once(imports: list[Import]) -> None:
    assert [str(item) for item in imports if is_slow_start(item)] == []


def test_the_command_line_loads_nothing_heavy_indirectly() -> None:
    code = f"import sys, parefront.cli.main; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    ran = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == []


# The reader itself, on sources whose answer is plain to see.


@pytest.mark.parametrize(
    ("file", "source", "module"),
    [
        ("spaces/prune.py", "from .site import Site", "parefront.spaces.site"),
        ("spaces/prune.py", "from ..training import recipe", "parefront.training"),
        ("spaces/prune.py", "from .. import tasks", "parefront.tasks"),
        ("hardware_profiles/runtimes/ort.py", "from ..qdq import write", "parefront.hardware_profiles.qdq"),
        ("hardware_profiles/runtimes/ort.py", "from ...spaces.site import Site", "parefront.spaces.site"),
        ("hardware_profiles/runtimes/__init__.py", "from .ort import run", "parefront.hardware_profiles.runtimes.ort"),
        ("cli/main.py", "import torch.nn", "torch.nn"),
    ],
)
def test_the_reader_names_modules_absolutely(file: str, source: str, module: str) -> None:
    assert [item.module for item in read_imports(file, source)] == [module]


@pytest.mark.parametrize(
    ("source", "is_at_import_time"),
    [
        ("import torch", True),
        ("try:\n    import torch\nexcept ImportError:\n    pass", True),
        ("class A:\n    import torch", True),
        ("def f():\n    import torch", False),
        ("def f():\n    if f:\n        import torch", False),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch", False),
        ("if TYPE_CHECKING:\n    pass\nelse:\n    import torch", True),
    ],
)
def test_the_reader_tells_what_runs_at_import(source: str, is_at_import_time: bool) -> None:
    found = [item for item in read_imports("cli/main.py", source) if item.module == "torch"]
    assert [item.is_at_import_time for item in found] == [is_at_import_time]
    assert [is_slow_start(item) for item in found] == [is_at_import_time]


@pytest.mark.parametrize(
    ("file", "source", "is_above"),
    [
        ("spaces/prune.py", "from ..hardware_profiles import Profile", False),
        ("spaces/prune.py", "from .site import Site", False),
        ("spaces/prune.py", "from ..training import finetune", True),
        ("hardware_profiles/runtimes/ort.py", "def f():\n    from ...cli import main", True),
    ],
)
def test_the_rule_of_floors_is_enforced(file: str, source: str, is_above: bool) -> None:
    assert [above(item) for item in read_imports(file, source)] == [is_above]


@pytest.mark.parametrize(
    ("file", "source", "is_trespass"),
    [
        ("search/ray_executor.py", "import ray", False),
        ("search/engine.py", "import ray", True),
        ("search/engine.py", "from optuna.study import Study", False),
        ("cli/main.py", "def f():\n    import optuna", True),
        ("spaces/prune.py", "import torch_pruning as tp", True),
        ("spaces/prune.py", "import torch", False),
        ("results/figures.py", "import plotly.graph_objects as go", False),
    ],
)
def test_the_rule_of_owners_is_enforced(file: str, source: str, is_trespass: bool) -> None:
    assert [trespasses(item) for item in read_imports(file, source)] == [is_trespass]
