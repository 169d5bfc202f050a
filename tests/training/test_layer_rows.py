import pytest
import torch
from torch import nn

from parefront.hardware_profiles.errors import TrainingError
from parefront.training.layer_rows import calls_of, input_rows, matrix_layers, output_rows, weight_rows


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Linear(5, 3), (4, 5)),
        (nn.Linear(5, 3), (4, 2, 5)),
        (nn.Conv1d(4, 6, 3, padding=1, groups=2), (2, 4, 9)),
        (nn.Conv2d(3, 5, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2)), (2, 3, 8, 7)),
        (nn.Conv2d(4, 4, 3, padding="same", groups=4), (2, 4, 5, 5)),
        (nn.Conv2d(2, 3, (2, 4), padding="same"), (2, 2, 5, 6)),
        (nn.Conv2d(2, 3, 3, padding="valid"), (2, 2, 5, 6)),
        (nn.Conv2d(2, 3, 3, padding=1, padding_mode="reflect"), (2, 2, 5, 6)),
        (nn.Conv3d(2, 3, 2, stride=2), (2, 2, 4, 6, 4)),
    ],
)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
def test_rows_times_the_matrix_are_what_the_layer_gives(layer: nn.Module, shape: tuple[int, ...]) -> None:
    inputs = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        outputs = output_rows(layer, layer(inputs))
        products = input_rows(layer, inputs) @ weight_rows(layer).mT  # (groups, rows, out / groups)
        torch.testing.assert_close(products.movedim(0, 1).flatten(1) + layer.bias, outputs)


def test_an_image_is_unfolded_in_the_order_of_the_kernel() -> None:
    image = torch.arange(9.0).reshape(1, 1, 3, 3)
    rows = input_rows(nn.Conv2d(1, 1, 2), image)
    assert rows.tolist() == [[[0, 1, 3, 4], [1, 2, 4, 5], [3, 4, 6, 7], [4, 5, 7, 8]]]


def test_layers_are_found_by_name() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Sequential(nn.Linear(2, 3)))
    assert list(matrix_layers(module)) == ["0", "2.0"]
    assert matrix_layers(module, ["2.0"]) == {"2.0": module[2][0]}
    with pytest.raises(TrainingError, match="must be a convolution or linear, '1' is none of this network"):
        matrix_layers(module, ["0", "1"])


def test_calls_come_batch_by_batch_and_leave_no_hook_behind() -> None:
    layer = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        layer.weight.fill_(2.0)
    module = nn.Sequential(layer)
    calls = list(calls_of(module, ["0"], torch.tensor([[1.0], [2.0], [3.0]]), batch_size=2))
    assert [(name, given.tolist(), output.tolist()) for name, given, output in calls] == [
        ("0", [[1.0], [2.0]], [[2.0], [4.0]]),
        ("0", [[3.0]], [[6.0]]),
    ]
    assert not layer._forward_hooks


def test_no_samples_are_refused() -> None:
    with pytest.raises(TrainingError, match="calibration needs at least one sample, got 0"):
        list(calls_of(nn.Sequential(nn.Linear(1, 1)), ["0"], torch.zeros(0, 1)))
