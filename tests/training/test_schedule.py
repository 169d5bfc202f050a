from typing import Any

import pytest
import yaml

from parefront.hardware_profiles.errors import TrainingError
from parefront.training import TrainingRecipe
from parefront.training.schedule import Schedule, parse_schedule, stage_recipes

BASE = TrainingRecipe(n_samples=500, learning_rate=0.2, batch_size=16)
FILE = """
training: {n_epochs: 4, learning_rate: 0.05}
stages:
  - name: prune
    prune: {threshold: {"*": 0.8, fc: off}, rounds: 3}
  - name: share
    share: {bits: {"conv?": 5, "*": 4}, initial: linear}
    training: {n_samples: 100, optimiser: adamw}
"""


def read(text: str) -> Schedule:
    return parse_schedule(yaml.load(text, Loader=yaml.BaseLoader), "x.yaml")


def test_a_file_becomes_a_value() -> None:
    prune, share = read(FILE).stages
    assert prune.prune is not None
    assert (prune.does, prune.n_rounds, prune.prune.rates) == ("prune", 3, {"*": 0.8, "fc": None})
    assert share.share is not None
    assert (share.does, share.n_rounds, share.share.bits, share.share.initial) == (
        *("share", 1),
        {"conv?": 5, "*": 4},
        "linear",
    )


def test_what_a_file_does_not_say_is_as_in_the_base() -> None:
    first, second = stage_recipes(read(FILE), BASE)
    assert (first.n_epochs, first.n_samples, first.learning_rate, first.batch_size) == (4.0, 0, 0.05, 16)
    assert (second.n_epochs, second.n_samples, second.learning_rate, second.optimiser) == (0.0, 100, 0.05, "adamw")
    plain = read("stages: [{name: train}]")
    assert stage_recipes(plain, BASE) == (BASE,)
    assert plain.stages[0].does == "train"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stages: []", r"schedule 'x.yaml', field 'stages': Tuple should have at least 1 item"),
        ("stages: [{name: a, shar: {}}]", r"field 'stages.0.shar': there is no such field"),
        ("stages: [{name: a, share: {bits: {'*': 9}}}]", r"field 'stages.0.share.bits.\*': .* equal to 8, got '9'"),
        ("stages: [{name: a, share: {bits: {'*': 2.5}}}]", r"stages.0.share.bits.\*': .*valid integer.* got '2.5'"),
        ("stages: [{name: a, levels: {bits: {fc: 5}}}]", r"bits of levels must be one of 8, 4, 2, 1, got 5 for 'fc'"),
        (
            "stages: [{name: a, prune: {rounds: 2}}]",
            r"field 'stages.0.prune': either density or threshold must be given",
        ),
        (
            "stages: [{name: a, gradual: {density: {fc: 0}}}]",
            r"stages.0.gradual.density.fc': .*greater than 0, got '0'",
        ),
        (
            "stages: [{name: a, share: {bits: {fc: 4}}, levels: {bits: {fc: 4}}}]",
            r"a stage must have one technique at most, got share and levels; make two stages of it",
        ),
        ("stages: [{name: a}, {name: a}]", r"stages must differ in name, but two are called 'a'"),
    ],
)
def test_a_mistake_is_one_line_with_its_place(text: str, message: str) -> None:
    with pytest.raises(TrainingError, match=message) as caught:
        read(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"learning_rat": "1"}, r"stage 'a': unknown field of training 'learning_rat': .*learning_rate"),
        ({"learning_rate": "fast"}, r"stage 'a': training, field 'learning_rate': .* got 'fast'"),
        ({"learning_rate": "-1"}, r"stage 'a': learning_rate must be above 0, got -1"),
    ],
)
def test_a_mistake_in_how_to_train_is_one_line(training: dict[str, Any], message: str) -> None:
    schedule = parse_schedule({"stages": [{"name": "a", "training": training}]}, "x.yaml")
    with pytest.raises(TrainingError, match=message):
        stage_recipes(schedule, BASE)
