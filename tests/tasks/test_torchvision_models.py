"""Networks of torchvision as they come, with other heads and with weights; nothing is downloaded."""

from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision import models

from parefront.hardware_profiles.errors import TaskError
from parefront.tasks import digest
from parefront.tasks import torchvision_models as module
from parefront.tasks.torchvision_models import build_model, check_model, default_size, model_names


def small(n_classes: int = 7, weights: str = "none") -> nn.Module:
    return build_model("squeezenet1_1", n_classes=n_classes, size=64, weights=weights)


def test_the_classification_networks_are_known() -> None:
    names = model_names()
    assert {"resnet18", "mobilenet_v2", "vit_b_16", "densenet121", "swin_t"} <= set(names)
    assert not any(name.startswith(("fcos", "r3d", "raft", "deeplab", "quantized")) for name in names)


def test_an_unknown_name_is_one_line_with_the_closest() -> None:
    with pytest.raises(TaskError, match=r"unknown model 'resnet19': the closest of \d+ are resnet18, ") as caught:
        check_model("resnet19")
    assert len(str(caught.value)) < 150
    check_model("resnet20", ("resnet20",))


def test_a_network_has_the_asked_number_of_outputs_and_is_always_the_same() -> None:
    assert small().eval()(torch.zeros(2, 3, 64, 64)).shape == (2, 7)
    assert digest(small().state_dict()) == digest(small().state_dict())


def test_the_random_numbers_of_others_stay() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    small()
    assert torch.rand(1).equal(expected)


def test_transformers_are_built_for_the_size() -> None:
    assert default_size("vit_b_32") == 224
    network = build_model("vit_b_32", n_classes=3, size=64, weights="none")
    # 64 / 32 = 2 patches each way, and the class token.
    assert network.get_parameter("encoder.pos_embedding").shape == (1, 5, 768)
    with pytest.raises(TaskError, match=r"vit_b_32 cannot be built for 50 x 50 images \(.*\): choose another size"):
        build_model("vit_b_32", n_classes=3, size=50, weights="none")


def test_no_network_has_an_auxiliary_head() -> None:
    network = build_model("googlenet", n_classes=3, size=64, weights="none").train()
    assert network(torch.zeros(2, 3, 64, 64)).shape == (2, 3)


# --- weights


def test_weights_from_a_file(tmp_path: Path) -> None:
    with torch.no_grad():
        trained = small()
        for parameter in trained.parameters():
            parameter.add_(1)
    for name, content in (("a.pt", trained.state_dict()), ("b.pt", {"state_dict": trained.state_dict()})):
        torch.save(content, tmp_path / name)
        assert digest(small(weights=str(tmp_path / name)).state_dict()) == digest(trained.state_dict())
    torch.save({f"module.{name}": value for name, value in trained.state_dict().items()}, tmp_path / "c.pt")
    assert digest(small(weights=str(tmp_path / "c.pt")).state_dict()) == digest(trained.state_dict())


def test_a_pickle_that_runs_code_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evil.pt"
    torch.save(nn.Linear(2, 2), path)  # a whole module: unpickling it would import and run code
    with pytest.raises(TaskError, match=r"weights must be a readable file of torch.save, got .*evil.pt"):
        small(weights=str(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [([1, 2], "must hold a state dict"), ({"epoch": 3}, "must hold a state dict")],
)
def test_what_is_no_state_dict_is_refused(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(TaskError, match=message):
        small(weights=str(tmp_path / "a.pt"))


def test_weights_of_another_number_of_classes_are_refused(tmp_path: Path) -> None:
    torch.save(small(5).state_dict(), tmp_path / "five.pt")
    with pytest.raises(TaskError, match=r"five.pt must fit the network, but they lack or .* 'classifier.1.weight'"):
        small(7, str(tmp_path / "five.pt"))


def test_weights_that_hold_more_are_refused(tmp_path: Path) -> None:
    torch.save({**small().state_dict(), "more": torch.zeros(1)}, tmp_path / "more.pt")
    with pytest.raises(TaskError, match="but they have beside it 'more'"):
        small(weights=str(tmp_path / "more.pt"))


def test_imagenet_s_classifier_is_replaced_where_the_classes_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = small(1000).state_dict()
    trained = {name: value + 1 for name, value in trained.items()}
    monkeypatch.setattr(module, "_imagenet_weights", lambda name: trained)
    assert digest(small(1000, "imagenet").state_dict()) == digest(trained)
    found = small(7, "imagenet").state_dict()
    assert found["features.0.weight"].equal(trained["features.0.weight"])
    assert found["classifier.1.weight"].equal(small(7).state_dict()["classifier.1.weight"])


def test_imagenet_weights_that_lack_more_than_the_classifier_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    trained = {name: value for name, value in small(1000).state_dict().items() if name != "features.0.bias"}
    monkeypatch.setattr(module, "_imagenet_weights", lambda name: trained)
    with pytest.raises(TaskError, match=r"'features\.0\.bias'"):
        small(7, "imagenet")


def test_without_a_network_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object, **named: object) -> None:
        raise OSError("<urlopen error no route to host>")

    monkeypatch.setattr(type(models.get_model_weights("squeezenet1_1").DEFAULT), "get_state_dict", fail)
    with pytest.raises(TaskError) as caught:
        small(weights="imagenet")
    for text in ("must be downloaded once", "no route to host", "checkpoints, or say weights=none", "squeezenet1_1-"):
        assert text in str(caught.value)
