import torch

from parefront.spaces import trace
from parefront.tasks.residual_networks import FusedResNet


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
