"""What is installed is what is written: the package list, the types marker, one version, and the wheel."""

import ast
import os
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES: list[str] = PYPROJECT["tool"]["setuptools"]["packages"]


def directory_of(package: str) -> Path:
    """`parefront.x.y` lives in `./x/y`."""
    return ROOT.joinpath(*package.split(".")[1:])


def data_files(package: str) -> set[Path]:
    """Files of a package that are not Python and must be installed all the same."""
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]
    return {
        path for pattern in patterns["*"] + patterns.get(package, []) for path in directory_of(package).glob(pattern)
    }


def test_the_package_list_is_the_directories() -> None:
    tops = [path for path in ROOT.iterdir() if not path.name.startswith(".") and (path / "__init__.py").is_file()]
    directories = [init.parent for top in tops for init in top.rglob("__init__.py")]
    assert sorted(PACKAGES) == sorted(".".join(("parefront", *path.relative_to(ROOT).parts)) for path in directories)


def test_the_root_is_no_package() -> None:
    assert not (ROOT / "__init__.py").exists()


@pytest.mark.parametrize("package", [name for name in PACKAGES if name.count(".") == 1])
def test_every_package_says_that_it_is_typed(package: str) -> None:
    assert (directory_of(package) / "py.typed").is_file()


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_of_a_package_is_left_behind(package: str) -> None:
    files = {path for path in directory_of(package).iterdir() if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert {path.name for path in files - data_files(package)} == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_the_installed_package_is_this_one(package: str) -> None:
    file = import_module(package).__file__
    assert file is not None
    assert Path(file).parent == directory_of(package)


def test_the_version_is_written_once() -> None:
    assert version("parefront") == PYPROJECT["project"]["version"]
    assigned = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for package in PACKAGES
        for path in directory_of(package).glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id == "__version__"
    ]
    assert assigned == []


def test_the_command_leads_to_a_function() -> None:
    module, _, function = PYPROJECT["project"]["scripts"]["parefront"].partition(":")
    assert callable(getattr(import_module(module), function))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by way of the source distribution so that both are tried; nothing is downloaded."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-P", "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    built = subprocess.run(build, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = out.glob("parefront-*.whl")
    return path


@pytest.mark.slow
def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    expected = {
        Path("parefront") / path.relative_to(ROOT)
        for package in PACKAGES
        for path in {*directory_of(package).glob("*.py"), *data_files(package)}
    }
    names = [Path(name) for name in zipfile.ZipFile(wheel).namelist()]
    information = {path for path in names if path.parts[0].endswith(".dist-info")}
    assert set(names) - information == expected
    assert {path.name for path in information} >= {"METADATA", "LICENSE", "entry_points.txt"}


@pytest.mark.slow
def test_the_wheel_answers_help_in_a_bare_environment(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)

    # Lends the libraries this environment has. An editable install is a .pth file, and PYTHONPATH reads none of those,
    # so `parefront` itself can only come from the wheel.
    libraries = os.pathsep.join(dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib")))
    lent = {**os.environ, "PYTHONPATH": libraries}

    where = [str(python), "-c", "import parefront.cli; print(parefront.cli.__file__)"]
    file = subprocess.run(where, env=lent, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()
    assert Path(file).is_relative_to(environment)

    help_ = [str(environment / "bin" / "parefront"), "--help"]
    ran = subprocess.run(help_, env=lent, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "search" in ran.stdout
