import zipfile
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from parefront.hardware_profiles import MeasurementError, PrecisionPlan, get_runtime
from parefront.hardware_profiles.export.sparse_linear import SparseLinear, with_sparse_layers
from parefront.hardware_profiles.runtimes import executed_precision
from parefront.hardware_profiles.runtimes.pt2_archive import holds_sparse_layers
from parefront.hardware_profiles.runtimes.torch_artefact import export_pt2, load_pt2

N = 64
PLAN = PrecisionPlan(sparse=("wide",))


class Network(nn.Module):
    """Of small whole numbers, so that every product and sum is exact."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Linear(N, N)
        self.last = nn.Linear(N, 3, bias=False)
        with torch.no_grad():
            # Output i reads the inputs i and, twice, i + 1.
            self.wide.weight.copy_(torch.eye(N) + 2 * torch.eye(N).roll(1, 1))
            self.wide.bias.copy_(torch.arange(N) % 5)
            self.last.weight.copy_((torch.arange(3 * N).reshape(3, N) % 7) - 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.relu(self.wide(x)))


def vectors(*shape: int) -> Tensor:
    return torch.randint(-4, 5, (*shape, N), generator=torch.Generator().manual_seed(0)).float()


def test_an_archive_holds_and_executes_the_other_weights_alone(tmp_path: Path) -> None:
    runtime, network, path = get_runtime("torch"), Network(), tmp_path / "a.pt2"
    runtime.export(network, (vectors(2),), PLAN, path)
    session = runtime.open_session(path, 1)
    for shape in ((1,), (4,)):
        expected = network(vectors(*shape)).detach().numpy()
        assert (session.run(vectors(*shape).numpy()) == expected).all()
    with zipfile.ZipFile(path) as archive:
        n_bytes = sum(part.file_size for part in archive.infolist() if "/weights/weight_" in part.filename)
    # Two weights an output and their columns, where each output begins, the bias, and the dense layer.
    assert n_bytes == 4 * (2 * 2 * N + (N + 1) + N + 3 * N)
    times = runtime.profile_operators(path, vectors(1).numpy(), 1, 2)
    layers = [(each.layer, each.operator, each.precision) for each in times if each.precision]
    assert layers == [("wide", "parefront.csr_linear", "fp32"), ("last", "aten.linear", "fp32")]
    assert executed_precision(times).sparse_layers == ("wide",)
    assert load_pt2(path)[1] == ("wide", "last")
    assert holds_sparse_layers(path)


def test_more_axes_than_one_in_front_are_kept(tmp_path: Path) -> None:
    network = Network()
    get_runtime("torch").export(network, (vectors(2, 3),), PLAN, tmp_path / "a.pt2")
    found = get_runtime("torch").open_session(tmp_path / "a.pt2", 1).run(vectors(5, 3).numpy())
    assert (found == network(vectors(5, 3)).detach().numpy()).all()


def test_runtimes_that_skip_no_zeros_get_dense_layers(tmp_path: Path) -> None:
    get_runtime("torch-compile").export(Network(), (vectors(2),), PLAN, tmp_path / "a.pt2")
    times = get_runtime("torch").profile_operators(tmp_path / "a.pt2", vectors(1).numpy(), 1, 1)
    assert executed_precision(times).sparse_layers == ()
    assert not holds_sparse_layers(tmp_path / "a.pt2")


def test_places_that_lead_outside_the_weight_are_refused_when_a_file_is_opened(tmp_path: Path) -> None:
    network = with_sparse_layers(Network(), PLAN.sparse)
    network.get_buffer("wide.columns")[0] = N
    export_pt2(network, (vectors(2),), PrecisionPlan(), tmp_path / "a.pt2")
    with pytest.raises(MeasurementError, match=r"rows, columns and values that agree, got .*: export it again"):
        get_runtime("torch").open_session(tmp_path / "a.pt2", 1)


def test_places_that_depend_on_the_input_are_refused(tmp_path: Path) -> None:
    class Computed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.wide = SparseLinear(Network().wide)

        def forward(self, x: Tensor) -> Tensor:
            columns = self.wide.columns + x[0, 0].int()
            held = self.wide
            return torch.ops.parefront.csr_linear(x, held.rows, columns, held.values, None, N)

    export_pt2(Computed(), (vectors(2),), PrecisionPlan(), tmp_path / "a.pt2")
    with pytest.raises(MeasurementError, match="got a vector that is computed"):
        get_runtime("torch").open_session(tmp_path / "a.pt2", 1)
