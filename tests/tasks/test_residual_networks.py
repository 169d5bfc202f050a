import torch

from parefront.spaces import trace
from parefront.tasks.residual_networks import CifarResNet, FusedResNet


def test_macs_by_hand() -> None:
    network = trace(FusedResNet(16, (1, 1, 2)), torch.zeros(1, 1, 32, 32))
    # 32 x 32 images; the stem has stride 2, so the stages run on 16², 8² and 4² pixels at widths 16, 32, 64.
    stem = 256 * 9 * 1 * 16
    stage1 = 256 * (9 * 16 * 32 + 32 * 16)
    stage2 = 64 * (9 * 16 * 64 + 64 * 32 + 16 * 32)
    stage3 = 16 * (9 * 32 * 128 + 128 * 64 + 32 * 64) + 16 * (9 * 64 * 128 + 128 * 64)
    assert network.macs == stem + stage1 + stage2 + stage3 + 64 * 10


def test_a_shortcut_is_projected_only_where_the_shape_changes() -> None:
    network = trace(FusedResNet(16, (2, 1, 1)), torch.zeros(1, 1, 32, 32))
    shortcuts = [layer.name for layer in network.layers if "shortcut" in layer.name]
    assert shortcuts == ["stage2.0.shortcut.0", "stage3.0.shortcut.0"]


def test_resnet20_has_the_published_parameters_and_macs() -> None:
    network = CifarResNet(3)
    convolutions = 9 * 3 * 16 + 6 * 9 * 16 * 16 + 9 * 16 * 32 + 5 * 9 * 32 * 32 + 9 * 32 * 64 + 5 * 9 * 64 * 64
    norms = 2 * (16 + 6 * 16 + 6 * 32 + 6 * 64)
    shortcuts = 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64  # two projections with their norms
    n_parameters = sum(parameter.numel() for parameter in network.parameters())
    assert n_parameters == convolutions + norms + shortcuts + 64 * 10 + 10
    assert round(n_parameters / 1e6, 2) == 0.27  # He et al. 2016, table 6
    # Each stage has a quarter of the pixels of the one before: 32², 16², 8².
    macs = 1024 * (9 * 3 * 16 + 6 * 9 * 16 * 16) + 256 * (9 * 16 * 32 + 5 * 9 * 32 * 32 + 16 * 32)
    macs += 64 * (9 * 32 * 64 + 5 * 9 * 64 * 64 + 32 * 64) + 640
    assert trace(network, torch.zeros(1, 3, 32, 32)).macs == macs


def test_the_depth_is_that_of_its_name() -> None:
    layers = trace(CifarResNet(9), torch.zeros(1, 3, 32, 32)).layers
    assert sum("shortcut" not in layer.name for layer in layers) == 56
