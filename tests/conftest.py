"""What every test may use: one tiny network, its input, one thread, and a cache of its own."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

# Read when torch is imported, so it must be said before: the networks are tiny and threads only add noise.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from torch import Tensor, nn

from parefront.hardware_profiles import HardwareProfile, fingerprint, load_profile
from parefront.search import RunDirectory
from parefront.spaces import Network, SearchSpace, find_space, trace
from parefront.tasks import Task, load_task

TINY_TASK = Path(__file__).parent / "tiny_task.py"
FAST_PROFILE = Path(__file__).parent / "fast.yaml"
N_TRIALS, N_FINALS = 7, 2


HALVES_EXECUTED_BY = {"bf16": {"avx512_bf16", "amx_bf16", "bf16"}, "fp16": {"avx512_fp16", "fphp"}}
"""Instruction sets, of which a processor needs one for OpenVINO to compute in a type rather than in float."""


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut, as in a CIFAR ResNet; a 1x1 projection where the shape changes."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample = (
            nn.Identity()
            if stride == 1 and in_channels == out_channels
            else nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False), nn.BatchNorm2d(out_channels)
            )
        )
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu1(self.bn1(self.conv1(x)))
        return self.relu2(self.bn2(self.conv2(out)) + self.downsample(x))


class TinyResidualNetwork(nn.Module):
    """Stem, identity block, projecting block of stride 2, pooling, linear layer: (n, 3, h, w) -> (n, classes)."""

    def __init__(self, width: int = 16, n_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.layer1 = nn.Sequential(BasicBlock(width, width, stride=1))
        self.layer2 = nn.Sequential(BasicBlock(width, 2 * width, stride=2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(2 * width, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer2(self.layer1(self.relu(self.bn1(self.conv1(x)))))
        return self.fc(self.flatten(self.pool(x)))


def randomise_batch_norms(network: nn.Module, generator: torch.Generator) -> None:
    """Give every BatchNorm the statistics of a trained one; fresh ones are the identity and would hide mistakes."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0.0, 0.5, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            with torch.no_grad():
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.normal_(0.0, 0.2, generator=generator)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Side by side, a file's tests stay together; all that may meet a Ray run in one process, and begin first."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        place = Path(__file__).parent / "search"
        is_of_ray = item.path.is_relative_to(place) or item.get_closest_marker("cluster") is not None
        item.add_marker(pytest.mark.xdist_group("ray" if is_of_ray else str(item.path)))
    items.sort(key=lambda item: item.get_closest_marker("xdist_group").args[0] != "ray")


@pytest.fixture
def needs_halves() -> Callable[[Iterable[object]], None]:
    """Skips a test where this processor does not execute one of the types among some choices of bits."""
    flags = set(fingerprint(load_profile("cpu-ort-1t")).isa_flags)

    def check(bits: Iterable[object]) -> None:
        for half in sorted(HALVES_EXECUTED_BY.keys() & set(bits)):
            if flags.isdisjoint(HALVES_EXECUTED_BY[half]):
                pytest.skip(f"this processor computes in float what is to be in {half}")

    return check


@pytest.fixture(scope="session")
def tiny_residual_network() -> Callable[..., nn.Module]:
    """A factory: each call builds the same network anew, in evaluation mode; its arguments vary it."""

    def build(seed: int = 0, width: int = 16, n_classes: int = 10) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = TinyResidualNetwork(width, n_classes)
        randomise_batch_norms(network, torch.Generator().manual_seed(seed))
        return network.eval()

    return build


@pytest.fixture
def tiny_images() -> Tensor:
    """Eight images for the tiny network, (8, 3, 16, 16), standard normal."""
    return torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="session", autouse=True)
def own_cache_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the tests, and the programs they start, out of the user's cache; trained baselines last for the session."""
    directory = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(directory))
        yield directory


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Hold torch to one thread even where OMP_NUM_THREADS says otherwise."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_task() -> Task:
    """See `tiny_task.py`."""
    return load_task(str(TINY_TASK))


@pytest.fixture(scope="session")
def fast_profile() -> HardwareProfile:
    """One thread, measured quickly."""
    return load_profile(str(FAST_PROFILE))


@pytest.fixture(scope="session")
def tiny_network(tiny_task: Task) -> Network:
    """The network of `tiny_task.py`, untrained."""
    return trace(tiny_task.build_network().eval(), torch.zeros(2, 1, 8, 8))


@pytest.fixture(scope="session")
def tiny_space(tiny_network: Network, fast_profile: HardwareProfile) -> SearchSpace:
    """What may be chosen in it."""
    return find_space(tiny_network, fast_profile.capabilities)


Parefront = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def program() -> str:
    """The installed command."""
    return str(Path(sys.executable).with_name("parefront"))


@pytest.fixture(scope="session")
def parefront(program: str, own_cache_directory: Path) -> Parefront:
    """Runs the installed command as a user does, in a process of its own."""

    def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        command = [program, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, cwd=cwd)

    return run


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A search that has come to its end, and what it printed."""

    directory: RunDirectory
    command: tuple[str, ...]
    output: str
    progress: str


@pytest.fixture(scope="session")
def finished_run(parefront: Parefront, tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    """One real search of the tiny task by the command line; tests must not change its directory."""
    root = tmp_path_factory.mktemp("runs") / "tiny"
    amount = ("--trials", str(N_TRIALS), "--finals", str(N_FINALS))
    # What is measured again depends on the machine's noise, stored tables on the tests before; tests count trials.
    amount = (*amount, "--remeasure", "0", "--no-stored-tables")
    command = ("search", str(TINY_TASK), "--hardware", str(FAST_PROFILE), *amount, "--out", str(root))
    done = parefront(*command)
    assert done.returncode == 0, done.stderr
    return FinishedRun(RunDirectory(root), command, done.stdout, done.stderr)
