import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from parefront.hardware_profiles.errors import TrainingError
from parefront.spaces import Configuration, finish, prepare, trace
from parefront.spaces.linearise import LinearisedActivation
from parefront.training import Batch, Hook, Run, Split, Teacher, TrainingRecipe, finetune, predict


@pytest.fixture
def points() -> Split:
    """64 points of the plane; the class is the sign of the first coordinate."""
    inputs = torch.randn(64, 2, generator=torch.Generator().manual_seed(0))
    return Split(inputs, (inputs[:, 0] > 0).long())


@pytest.fixture
def model() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(2, 8), LinearisedActivation(nn.ReLU()), nn.Dropout(0.1), nn.Linear(8, 2))


def recipe(n_steps: int, **changes: Any) -> TrainingRecipe:
    return TrainingRecipe(**{"n_samples": 16 * n_steps, "learning_rate": 0.1, "batch_size": 16, **changes})


def weights(module: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


def test_it_learns(model: nn.Module, points: Split) -> None:
    before = functional.cross_entropy(predict(model, points), points.targets)
    trained = finetune(model, points, recipe(60), functional.cross_entropy, seed=0)
    accuracy = (predict(model, points).argmax(1) == points.targets).float().mean()
    assert trained.n_steps == 60
    assert trained.seconds > 0
    assert trained.final_loss < 0.5 * before.item()
    assert accuracy > 0.9


def test_the_same_seed_gives_the_same_weights(model: nn.Module, points: Split) -> None:
    results = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        torch.manual_seed(ord(name))  # whatever came before
        copied = copy.deepcopy(model)
        finetune(copied, points, recipe(10), functional.cross_entropy, seed=seed)
        results[name] = weights(copied)
    assert torch.equal(results["a"], results["b"])
    assert not torch.equal(results["a"], results["c"])


def test_activations_end_linear_and_the_module_in_evaluation_mode(model: nn.Module, points: Split) -> None:
    seen: list[float] = []
    finetune(
        model,
        points,
        recipe(8, linearisation=0.5),
        functional.cross_entropy,
        seed=0,
        on_step=lambda step, total: seen.append(float(model[1].alpha)),
    )
    assert seen == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1, 1, 1])
    assert float(model[1].alpha) == 1.0
    assert not any(module.training for module in model.modules())


def test_a_single_step_still_ends_linear(model: nn.Module, points: Split) -> None:
    finetune(model, points, recipe(1, linearisation=1.0), functional.cross_entropy, seed=0)
    assert float(model[1].alpha) == 1.0


def test_progress_counts_the_steps(model: nn.Module, points: Split) -> None:
    steps: list[tuple[int, int]] = []
    finetune(model, points, recipe(3), functional.cross_entropy, seed=0, on_step=lambda *step: steps.append(step))
    assert steps == [(1, 3), (2, 3), (3, 3)]


def test_one_step_by_hand() -> None:
    # y = w x at w = 2, x = 3, loss y: the gradient is 3. The rate of the first step is a 25th of the peak. Nesterov's
    # first step is (1 + momentum) times the gradient: 2 - .5 / 25 * 1.9 * 3.
    model = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(2.0)
    one = Split(torch.tensor([[3.0]]), torch.zeros(1))
    plain = TrainingRecipe(n_samples=1, learning_rate=0.5, batch_size=1, weight_decay=0.0)
    trained = finetune(model, one, plain, lambda outputs, targets: outputs.sum(), seed=0)
    assert model.weight.item() == pytest.approx(2 - 0.5 / 25 * 1.9 * 3)
    assert trained.final_loss == pytest.approx(6.0)


def test_without_momentum_it_is_plain_descent() -> None:
    model = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(2.0)
    plain = TrainingRecipe(n_samples=1, learning_rate=0.5, batch_size=1, weight_decay=0.0, momentum=0.0)
    finetune(model, Split(torch.tensor([[3.0]]), torch.zeros(1)), plain, lambda outputs, _: outputs.sum(), seed=0)
    assert model.weight.item() == pytest.approx(2 - 0.5 / 25 * 3)


def test_distillation_mixes_both_losses() -> None:
    # One step at no rate worth mentioning, so the loss is that of the initial student, whose answer is uniform:
    # plain: log 2. Soft: teacher (3/4, 1/4) at T = 1, as in test_distillation.
    model = nn.Linear(1, 2)
    with torch.no_grad():
        model.weight.zero_()
        model.bias.zero_()
    split = Split(torch.ones(1, 1), torch.zeros(1, dtype=torch.long))
    mixed = TrainingRecipe(1, 1e-9, batch_size=1, distillation_weight=0.9, temperature=1.0)
    teacher = torch.tensor([[math.log(3.0), 0.0]])
    soft = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    trained = finetune(copy.deepcopy(model), split, mixed, functional.cross_entropy, seed=0, teacher=Teacher(teacher))
    assert trained.final_loss == pytest.approx(0.1 * math.log(2) + 0.9 * soft)
    alone = finetune(copy.deepcopy(model), split, mixed, functional.cross_entropy, seed=0)
    assert alone.final_loss == pytest.approx(math.log(2))


def test_each_sample_follows_its_own_teacher_output() -> None:
    # The teacher's answer to sample i is a one-hot of class i; a student that follows it in shuffled batches learns
    # the identity, which mixed-up indices would not allow.
    split = Split(torch.eye(6), torch.zeros(6, dtype=torch.long))
    model = nn.Linear(6, 6)
    taught = TrainingRecipe(1_200, 0.5, batch_size=3, distillation_weight=1.0, temperature=1.0, weight_decay=0.0)
    finetune(model, split, taught, functional.cross_entropy, seed=0, teacher=Teacher(10 * torch.eye(6)))
    assert predict(model, split).argmax(1).tolist() == [0, 1, 2, 3, 4, 5]


def test_a_loss_that_is_no_number_ends_the_training_with_its_step(model: nn.Module, points: Split) -> None:
    calls = iter(range(100))

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        value = functional.cross_entropy(outputs, targets)
        return value * float("nan") if next(calls) == 3 else value

    with pytest.raises(TrainingError, match="the loss must stay finite, got nan at step 3: lower the learning rate"):
        finetune(model, points, recipe(10), loss, seed=0)


def test_a_gradient_that_is_no_number_ends_it_too(model: nn.Module, points: Split) -> None:
    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.square().sum() * 0).sqrt()  # 0, with an infinite slope

    with pytest.raises(TrainingError, match="the gradient must stay finite, got nan at step 0"):
        finetune(model, points, recipe(1), loss, seed=0)


def test_layers_are_merged_once_their_activation_is_linear(points: Split) -> None:
    inner = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    configuration = Configuration.of({"fold/0": "on"})
    prepared = prepare(trace(inner, points.inputs[:2]), configuration)
    n_parameters: list[int] = []
    finetune(
        prepared,
        points,
        recipe(40, linearisation=0.5),
        functional.cross_entropy,
        seed=0,
        on_step=lambda step, total: n_parameters.append(sum(p.numel() for p in prepared.parameters())),
    )
    # 2 x 8 + 8, the norm's 16 and 8 x 2 + 2, until the activation is linear: then 2 x 2 + 2.
    assert n_parameters == [58] * 20 + [6] * 20
    assert (predict(prepared, points).argmax(1) == points.targets).float().mean() > 0.9
    finished = finish(prepared, configuration, points.inputs)
    with torch.no_grad():
        torch.testing.assert_close(finished.module(points.inputs), prepared(points.inputs))


def test_each_batch_is_augmented(model: nn.Module, points: Split) -> None:
    copied = copy.deepcopy(model)
    mirrored = Split(-points.inputs, points.targets)
    finetune(model, mirrored, recipe(10), functional.cross_entropy, seed=0)
    finetune(copied, points, recipe(10), functional.cross_entropy, seed=0, augment=lambda inputs, generator: -inputs)
    assert torch.equal(weights(model), weights(copied))


def test_the_seed_decides_the_augmentation(model: nn.Module, points: Split) -> None:
    def drawn(seed: int) -> list[float]:
        found: list[float] = []

        def augment(inputs: Tensor, generator: torch.Generator) -> Tensor:
            found.append(float(torch.rand(1, generator=generator)))
            return inputs

        finetune(copy.deepcopy(model), points, recipe(3), functional.cross_entropy, seed=seed, augment=augment)
        return found

    assert drawn(0) == drawn(0)
    assert len(set(drawn(0))) == 3
    assert drawn(0) != drawn(1)


class Recorder(Hook):
    """Notes when it is called, and adds a constant to the loss."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def start(self, run: Run) -> None:
        self.calls.append("start")

    def before_step(self, run: Run) -> None:
        self.calls.append(f"before {run.step}")

    def added_loss(self, run: Run, batch: Batch) -> Tensor:
        return torch.tensor(7.0)

    def after_step(self, run: Run) -> None:
        self.calls.append(f"after {run.step}")

    def end(self, run: Run) -> None:
        self.calls.append("end")


def test_hooks_join_in_at_their_points(model: nn.Module, points: Split) -> None:
    hook = Recorder()
    copied = copy.deepcopy(model)
    trained = finetune(model, points, recipe(2), functional.cross_entropy, seed=0, hooks=[hook])
    alone = finetune(copied, points, recipe(2), functional.cross_entropy, seed=0)
    assert hook.calls == ["start", "before 0", "after 0", "before 1", "after 1", "end"]
    assert trained.final_loss == pytest.approx(alone.final_loss + 7.0)
    assert torch.equal(weights(model), weights(copied))  # a constant has no gradient


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        (torch.zeros(63, 2), "must have answered each of the 64 training samples, got 63"),
        (torch.full((64, 2), torch.nan), "outputs must be finite"),
        (torch.zeros(64, 3), r"must have the student's shape \(2,\) per sample, got \(3,\)"),
    ],
)
def test_another_teacher_is_refused(model: nn.Module, points: Split, outputs: Tensor, expected: str) -> None:
    taught = recipe(2, distillation_weight=0.5)
    with pytest.raises(TrainingError, match=expected):
        finetune(model, points, taught, functional.cross_entropy, seed=0, teacher=Teacher(outputs))


def test_a_distance_of_ones_own_takes_the_place_of_the_soft_targets(points: Split) -> None:
    model = nn.Linear(2, 1)
    taught = recipe(200, distillation_weight=1.0, learning_rate=0.05, weight_decay=0.0)
    truth = points.inputs @ torch.tensor([[2.0], [-1.0]])
    teacher = Teacher(truth, distance=functional.mse_loss)
    finetune(model, points, taught, lambda outputs, targets: outputs.sum() * 0, seed=0, teacher=teacher)
    assert model.weight.detach().flatten().tolist() == pytest.approx([2.0, -1.0], abs=0.01)


def test_a_loss_that_is_not_finite_at_the_start_names_what_to_check(model: nn.Module, points: Split) -> None:
    with pytest.raises(TrainingError, match="got nan at step 0: check the data, the loss and the weights"):
        finetune(model, points, recipe(2), lambda outputs, targets: outputs.sum() * torch.nan, seed=0)


def test_a_loss_that_runs_away_ends_the_training(points: Split) -> None:
    losses = iter([1.0] * 5 + [1e4] * 100)
    with pytest.raises(TrainingError, match=r"the loss must not run away, got .* after 1 at the start"):
        finetune(
            nn.Linear(2, 2),
            points,
            recipe(50),
            lambda outputs, targets: outputs.sum() * 0 + next(losses),
            seed=0,
        )


def test_what_does_not_fit_into_memory_is_one_line(points: Split) -> None:
    class Greedy(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 999 bytes.")

    with pytest.raises(TrainingError, match="step 0 with batch_size 16 does not: lower batch_size"):
        finetune(Greedy(2, 2), points, recipe(2), functional.cross_entropy, seed=0)


def test_mixed_precision_learns_in_float(model: nn.Module, points: Split) -> None:
    finetune(model, points, recipe(30, precision="bf16"), functional.cross_entropy, seed=0)
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert (predict(model, points).argmax(1) == points.targets).float().mean() > 0.9
