import torch
from torch import nn

from parefront.hardware_profiles import TensorQuantization
from parefront.hardware_profiles.export.weight_only import WeightOnlyLinear, packed, weight_blocks


def test_of_two_integers_in_a_byte_the_first_is_the_low_half() -> None:
    # With the zero point 8 in the middle: -8, 7, 0, -1 are 0, 15, 8, 7.
    assert packed(torch.tensor([[[-8, 7, 0, -1]]]), 4).tolist() == [[[0xF0, 0x78]]]
    assert packed(torch.tensor([[[-128, 127, 0]]]), 8).tolist() == [[[0, 255, 128]]]


def test_the_last_block_is_filled_up_with_zeros() -> None:
    blocks = weight_blocks(torch.ones(2, 20), 16)
    assert blocks.shape == (2, 2, 16)
    assert blocks.sum((0, 2)).tolist() == [32.0, 8.0]


def test_a_layer_by_hand() -> None:
    layer = nn.Linear(17, 1)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.weight[0, 16] = 30.0
        layer.bias.fill_(0.5)
    # Steps of .4 in the first block: 1 is 2.5 of them, which rounds to the even 2; steps of 3 in the second: 30 is 10,
    # clipped to 7.
    quantization = TensorQuantization(4, (0.4, 3.0), (0,), axis=0, is_signed=True, block_size=16)
    found = WeightOnlyLinear(layer, quantization)(torch.ones(1, 17))
    torch.testing.assert_close(found, torch.tensor([[16 * 0.8 + 21.0 + 0.5]]))
