import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from parefront.hardware_profiles.errors import TrainingError
from parefront.spaces import Configuration, prepare, trace
from parefront.training import Batch, Hook, Run, Split, TrainingRecipe, finetune
from parefront.training.hints import REGRESSORS, FeatureHints


def network(width: int, seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(16 * width, 2))


@pytest.fixture
def images() -> Split:
    inputs = torch.randn(32, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    return Split(inputs, (inputs.mean((1, 2, 3)) > 0).long())


def recipe(n_steps: int, learning_rate: float = 0.1) -> TrainingRecipe:
    return TrainingRecipe(n_samples=16 * n_steps, learning_rate=learning_rate, batch_size=16, weight_decay=0.0)


def no_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    return outputs.sum() * 0


class Losses(Hook):
    """Notes the last hook's loss without adding one."""

    def __init__(self, hints: FeatureHints) -> None:
        self.hints = hints
        self.values: list[float] = []

    def added_loss(self, run: Run, batch: Batch) -> None:
        self.values.append(float(self.hints.added_loss(run, batch).detach()))


def test_hints_alone_teach_equal_features_without_a_regressor(images: Split) -> None:
    student, teacher = network(3), network(3, seed=1)
    before = copy.deepcopy(teacher.state_dict())
    finetune(
        student,
        images,
        recipe(120, learning_rate=0.5),
        no_loss,
        seed=0,
        hooks=[FeatureHints(teacher, {"0": "0"}, images.inputs[:2])],
    )
    torch.testing.assert_close(student[0].weight, teacher[0].weight, atol=0.02, rtol=0)
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_the_loss_by_hand() -> None:
    # Features 2 x and 5 x of inputs 1 and 3: squared differences 9 and 81, mean 45, at weight .1 4.5.
    def scaling(factor: float) -> nn.Sequential:
        layer = nn.Linear(1, 1, bias=False)
        with torch.no_grad():
            layer.weight.fill_(factor)
        return nn.Sequential(layer)

    inputs = torch.tensor([[1.0], [3.0]])
    hints = FeatureHints(scaling(5.0), {"0": "0"}, inputs, weight=0.1)
    plain = TrainingRecipe(n_samples=2, learning_rate=1e-9, batch_size=2)
    trained = finetune(scaling(2.0), Split(inputs, torch.zeros(2)), plain, no_loss, seed=0, hooks=[hints])
    assert trained.final_loss == pytest.approx(4.5)


def test_regressors_join_where_widths_differ_learn_and_go(images: Split) -> None:
    student, teacher = network(2), network(5, seed=1)
    names = [name for name, _ in student.named_parameters()]
    hints = FeatureHints(teacher, {"0": "0", "3": "3"}, images.inputs[:2])
    seen: list[dict[str, Tensor]] = []

    class Watch(Hook):
        def after_step(self, run: Run) -> None:
            seen.append({name: p.detach().clone() for name, p in run.module.named_parameters() if REGRESSORS in name})

    losses = Losses(hints)
    finetune(student, images, recipe(60), no_loss, seed=0, hooks=[hints, Watch(), losses])
    # A 1 x 1 convolution from 2 to 5 channels for the first pair; the second is as wide as its teacher.
    assert [tuple(value.shape) for value in seen[0].values()] == [(5, 2, 1, 1), (5,)]
    assert not torch.equal(next(iter(seen[0].values())), next(iter(seen[-1].values())))
    assert losses.values[-1] < 0.7 * losses.values[0]
    assert [name for name, _ in student.named_parameters()] == names
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in student.modules())


def test_the_teacher_sees_what_the_student_sees(images: Split) -> None:
    # Both are the same, so that the difference is zero for any inputs that are the same, augmented or not.
    teacher = network(3).eval()
    hints = FeatureHints(teacher, {"0": "0"}, images.inputs[:2])
    trained = finetune(
        network(3),
        images,
        recipe(1, learning_rate=1e-9),
        no_loss,
        seed=0,
        hooks=[hints],
        augment=lambda inputs, generator: -inputs,
    )
    assert trained.final_loss == pytest.approx(0.0, abs=1e-12)


def test_starting_leaves_statistics_and_modes_alone(images: Split) -> None:
    student = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(32, 2))
    student[1].eval()  # as a hook that freezes it leaves it

    class Freeze(Hook):
        def start(self, run: Run) -> None:
            run.module[1].eval()  # type: ignore[index, operator]

    means: list[Tensor] = []

    class Watch(Hook):
        def start(self, run: Run) -> None:
            means.append(run.module[1].running_mean.clone())  # type: ignore[index, union-attr]
            assert run.module.training
            assert not run.module[1].training  # type: ignore[index]

    hints = FeatureHints(network(3), {"0": "0"}, images.inputs[:4])
    finetune(student, images, recipe(1), functional.cross_entropy, seed=0, hooks=[Freeze(), hints, Watch()])
    assert means[0].tolist() == [0.0, 0.0]


def test_regressors_outlive_layers_that_merge() -> None:
    torch.manual_seed(0)
    points = torch.randn(64, 2)
    student = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 2))
    prepared = prepare(trace(student.eval(), points[:2]), Configuration.of({"fold/0": "on"}))
    teacher = nn.Sequential(nn.Linear(2, 6), nn.ReLU())
    hints = FeatureHints(teacher, {"4": "1"}, points[:2])
    n_parameters: list[int] = []
    finetune(
        prepared,
        Split(points, (points[:, 0] > 0).long()),
        recipe(4),
        functional.cross_entropy,
        seed=0,
        hooks=[hints],
        on_step=lambda step, total: n_parameters.append(sum(p.numel() for p in prepared.parameters())),
    )
    # 24 + 16 + 36 + 10, or 12 + 10 after the merge, and a regressor from 4 to 6 with its bias: 30.
    assert n_parameters == [116, 116, 52, 52]
    assert sum(p.numel() for p in prepared.parameters()) == 22


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ({"7": "0"}, "got '7': the student has no such layer"),
        ({"0": "7"}, "got '7': the teacher has no such layer"),
        ({"0": "3"}, r"same shape but for their channels, got \(2, 2, 4, 4\) and \(2, 2\) for '0'"),
    ],
)
def test_pairs_that_do_not_fit_are_refused(images: Split, pairs: dict[str, str], expected: str) -> None:
    student = network(2)
    hints = FeatureHints(network(3), pairs, images.inputs[:2])
    with pytest.raises(TrainingError, match=expected):
        finetune(student, images, recipe(1), no_loss, seed=0, hooks=[hints])
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in student.modules())


def test_a_student_layer_that_is_no_longer_called_ends_the_training(images: Split) -> None:
    class Replaces(Hook):
        def before_step(self, run: Run) -> None:
            if run.step == 1:
                run.module[1] = nn.Tanh()

    hints = FeatureHints(network(2), {"1": "1"}, images.inputs[:2])
    with pytest.raises(TrainingError, match="the student calls '1' not, or no longer"):
        finetune(network(2), images, recipe(3), no_loss, seed=0, hooks=[hints, Replaces()])


def test_no_pairs_and_no_weight_are_refused(images: Split) -> None:
    with pytest.raises(TrainingError, match="at least one pair of layers and a weight above 0, got 0 and 1"):
        FeatureHints(network(2), {}, images.inputs)
    with pytest.raises(TrainingError, match="got 1 and 0"):
        FeatureHints(network(2), {"0": "0"}, images.inputs, weight=0.0)
