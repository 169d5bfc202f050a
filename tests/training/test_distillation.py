import math

import pytest
import torch
from torch import Tensor, nn

from parefront.hardware_profiles.errors import TrainingError
from parefront.training import Split, ensemble_logits, predict, soft_target_loss
from parefront.training.distillation import channels_last


def test_a_temperature_of_five_softens_as_published() -> None:
    # METHODS section 8: soft targets .96, .03, 1e-5, 2e-6 become .597, .299, .060, .044 at T = 5. Against a student
    # whose softened answer is uniform the divergence is sum p log p + log 4.
    teacher = torch.tensor([[0.96, 0.03, 1e-5, 2e-6]]).log()
    published = [0.597, 0.299, 0.060, 0.044]
    expected = 25 * (sum(p * math.log(p) for p in published) + math.log(4))
    assert soft_target_loss(torch.zeros(1, 4), teacher, 5.0).item() == pytest.approx(expected, rel=2e-3)


def test_the_divergence_by_hand() -> None:
    # Teacher (3/4, 1/4), student (1/2, 1/2) at T = 1: 3/4 log(3/2) + 1/4 log(1/2); the mean over two equal samples.
    teacher = torch.tensor([[math.log(3.0), 0.0]] * 2)
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert soft_target_loss(torch.zeros(2, 2), teacher, 1.0).item() == pytest.approx(expected)


def test_equal_logits_cost_nothing_whatever_their_offset() -> None:
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    assert soft_target_loss(logits + 7, logits, 4.0).item() == pytest.approx(0, abs=1e-5)


def test_predictions_come_in_the_order_of_the_split() -> None:
    split = Split(torch.arange(5.0)[:, None], torch.arange(5))
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Dropout(0.5)).train()
    with torch.no_grad():
        model[0].weight.fill_(3.0)
    outputs = predict(model, split, batch_size=2)
    assert outputs.tolist() == [[0.0], [3.0], [6.0], [9.0], [12.0]]
    assert not outputs.requires_grad


def test_only_images_change_their_memory_order() -> None:
    images, vectors = torch.zeros(2, 3, 4, 4), torch.zeros(2, 3)
    assert channels_last(images).is_contiguous(memory_format=torch.channels_last)
    assert channels_last(vectors) is vectors


def test_an_ensemble_answers_with_the_mean_of_its_probabilities() -> None:
    first, second = torch.tensor([[0.9, 0.1]]).log(), torch.tensor([[0.5, 0.5]]).log() + 3.0
    assert torch.softmax(ensemble_logits([first, second]), 1).tolist() == [pytest.approx([0.7, 0.3])]


@pytest.mark.parametrize("outputs", [[], [torch.zeros(2, 3), torch.zeros(2, 4)]])
def test_members_of_an_ensemble_answer_alike(outputs: list[Tensor]) -> None:
    with pytest.raises(TrainingError, match="members of an ensemble must give outputs of one shape"):
        ensemble_logits(outputs)
