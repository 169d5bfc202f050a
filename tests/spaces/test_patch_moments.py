import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from parefront.hardware_profiles.errors import SpaceError
from parefront.spaces import patch_moments as module
from parefront.spaces import trace
from parefront.spaces.patch_moments import measure_patch_moments


@pytest.fixture
def images() -> Tensor:
    """(40, 3, 9, 8), more than one batch."""
    return torch.randn(40, 3, 9, 8, generator=torch.Generator().manual_seed(0)) + 1


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(3, 4, 3, padding=1),
        nn.Conv2d(3, 4, 3, padding="same", bias=False),
        nn.Conv2d(3, 4, (3, 5), stride=(1, 2), padding=(1, 0)),
        nn.Conv2d(3, 4, 3, dilation=2, padding=2),
    ],
)
def test_the_moments_are_those_of_what_the_kernel_meets(conv: nn.Conv2d, images: Tensor) -> None:
    network = trace(nn.Sequential(conv), images[:2])
    moment = measure_patch_moments(network.module, images, ["0"])["0"]
    padding = (1, 1) if conv.padding == "same" else conv.padding
    patches = functional.unfold(images, conv.kernel_size, conv.dilation, padding, conv.stride)
    rows = patches.transpose(1, 2).flatten(0, 1).double()
    torch.testing.assert_close(moment.mean, rows.mean(0), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(moment.covariance, torch.cov(rows.T, correction=0), rtol=1e-3, atol=1e-3)
    # The order of the weight: its rows times the patches are the layer's outputs.
    outputs = rows.float() @ conv.weight.flatten(1).T + (0 if conv.bias is None else conv.bias)
    torch.testing.assert_close(outputs, conv(images).movedim(1, -1).flatten(0, 2), rtol=1e-4, atol=1e-4)


def test_a_map_that_is_padded_around_itself(images: Tensor) -> None:
    conv = nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular")
    moment = measure_patch_moments(trace(nn.Sequential(conv), images[:2]).module, images, ["0"])["0"]
    # Every place of the kernel meets every place of the map.
    expected = images.double().mean((0, 2, 3)).repeat_interleave(9)
    torch.testing.assert_close(moment.mean, expected, rtol=1e-5, atol=1e-5)


def test_of_many_places_some_are_drawn(images: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PATCHES", 15)
    network = trace(nn.Sequential(nn.Conv2d(3, 4, 3)), images[:2])
    moments = [measure_patch_moments(network.module, images, ["0"])["0"] for _ in range(2)]
    assert torch.equal(moments[0].covariance, moments[1].covariance)
    # 15 patches of 27 values span 14 directions around their mean.
    values = torch.linalg.eigvalsh(moments[0].covariance)
    assert float(values[12]) < 1e-5 * float(values[-1]) < float(values[13])


def test_there_must_be_samples(images: Tensor) -> None:
    network = trace(nn.Sequential(nn.Conv2d(3, 4, 3)), images[:2])
    with pytest.raises(SpaceError, match="at least one calibration sample, got 0"):
        measure_patch_moments(network.module, images[:0], ["0"])
