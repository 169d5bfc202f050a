"""Residual networks for 32 x 32 images, defined here so that nothing is downloaded.

`CifarResNet` is the network of He et al. (2016), section 4.2. The block of `FusedResNet` is the fused inverted residual
(a 3 x 3 convolution that expands, a 1 x 1 that projects; EfficientNetV2, Tan & Le 2021, without squeeze-excite) with
the activation after the addition of CIFAR ResNets.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FusedResidualBlock(nn.Module):
    """expand 3 x 3 → BN → ReLU → project 1 x 1 → BN → + shortcut → ReLU."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        middle = out_channels * expansion
        self.expand = nn.Conv2d(in_channels, middle, 3, stride, 1, bias=False)
        self.expand_norm = nn.BatchNorm2d(middle)
        self.expand_relu = nn.ReLU()
        self.project = nn.Conv2d(middle, out_channels, 1, bias=False)
        self.project_norm = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()
        self.shortcut = _shortcut(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(n, in, h, w) → (n, out, h/stride, w/stride)."""
        middle = self.expand_relu(self.expand_norm(self.expand(x)))
        out: Tensor = self.relu(self.project_norm(self.project(middle)) + self.shortcut(x))
        return out


class FusedResNet(nn.Module):
    """A stem of stride 2, three stages of fused residual blocks of widths w, 2w, 4w, average pooling, a classifier."""

    def __init__(self, width: int, n_blocks: tuple[int, int, int], expansion: int = 2, n_classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, 2, 1, bias=False)
        self.stem_norm = nn.BatchNorm2d(width)
        self.stem_relu = nn.ReLU()
        channels = width
        for stage, count in enumerate(n_blocks):
            blocks = []
            for block in range(count):
                out = width * 2**stage
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(FusedResidualBlock(channels, out, stride, expansion))
                channels = out
            self.add_module(f"stage{stage + 1}", nn.Sequential(*blocks))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 1, h, w) → logits (n, classes)."""
        x = self.stem_relu(self.stem_norm(self.stem(x)))
        x = self.get_submodule("stage3")(self.get_submodule("stage2")(self.get_submodule("stage1")(x)))
        logits: Tensor = self.classifier(torch.flatten(self.pool(x), 1))
        return logits


class BasicBlock(nn.Module):
    """3 x 3 → BN → ReLU → 3 x 3 → BN → + shortcut → ReLU; a 1 x 1 projection where the shape changes."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu2 = nn.ReLU()
        self.shortcut = _shortcut(in_channels, out_channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(n, in, h, w) → (n, out, h/stride, w/stride)."""
        out = self.relu1(self.bn1(self.conv1(x)))
        added: Tensor = self.relu2(self.bn2(self.conv2(out)) + self.shortcut(x))
        return added


class CifarResNet(nn.Module):
    """The ResNet for CIFAR of depth 6n + 2: three stages of n blocks with 16, 32 and 64 channels.

    ResNet-20 has n = 3 and 0.27 M parameters. Where the shape changes the shortcut is a projection (the paper's option
    B; its CIFAR table has option A, zeros for the new channels, which leaves nothing to choose there).
    """

    def __init__(self, n_blocks: int, n_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        self.layer1 = self._stage(16, 16, 1, n_blocks)
        self.layer2 = self._stage(16, 32, 2, n_blocks)
        self.layer3 = self._stage(32, 64, 2, n_blocks)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, n_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(n, 3, h, w) → logits (n, classes)."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.fc(torch.flatten(self.pool(x), 1))
        return logits

    @staticmethod
    def _stage(in_channels: int, out_channels: int, stride: int, n_blocks: int) -> nn.Sequential:
        rest = [BasicBlock(out_channels, out_channels, 1) for _ in range(n_blocks - 1)]
        return nn.Sequential(BasicBlock(in_channels, out_channels, stride), *rest)


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """The input itself, or a 1 x 1 projection where the shape changes."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels))
