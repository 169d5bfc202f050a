import json
import re
from typing import Any

import pytest

from parefront.hardware_profiles import ExportError, PrecisionPlan, TensorQuantization

WEIGHT = TensorQuantization(8, (0.5, 0.25), (0, 0), axis=0, is_signed=True)
ACTIVATION = TensorQuantization(8, (0.1,), (128,), axis=None, is_signed=False)


def test_ranges_of_the_integers() -> None:
    assert (WEIGHT.qmin, WEIGHT.qmax) == (-128, 127)
    assert (ACTIVATION.qmin, ACTIVATION.qmax) == (0, 255)
    four_bits = TensorQuantization(4, (1.0,), (0,), axis=None, is_signed=True)
    assert (four_bits.qmin, four_bits.qmax) == (-8, 7)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"bits": 32}, "bits must be from 2 to 8, got 32"),
        ({"scale": (0.0, 0.25)}, "every scale must be finite and above 0"),
        ({"scale": (float("nan"), 0.25)}, "every scale must be finite and above 0"),
        ({"zero_point": (0,)}, "one value per scale"),
        ({"block_size": 32}, "one value per scale (2; in blocks one in all), got 2"),
        ({"block_size": 24}, "block_size must be a power of two from 16 on, with an axis, got 24"),
        ({"block_size": 8}, "block_size must be a power of two from 16 on, with an axis, got 8"),
        ({"axis": None}, "without an axis there must be one scale, got 2"),
        ({"zero_point": (0, 128)}, "zero_point must lie in -128..127"),
    ],
)
def test_impossible_quantisations_are_refused(change: dict[str, Any], rule: str) -> None:
    values: dict[str, Any] = {
        "bits": 8,
        "scale": (0.5, 0.25),
        "zero_point": (0, 0),
        "axis": 0,
        "is_signed": True,
    } | change
    with pytest.raises(ExportError, match=re.escape(rule)):
        TensorQuantization(**values)


def test_a_plan_survives_json() -> None:
    plan = PrecisionPlan({"b.weight": WEIGHT, "a.value": ACTIVATION})

    assert PrecisionPlan.from_json(plan.to_json()) == plan
    assert list(json.loads(plan.to_json())["tensors"]) == ["a.value", "b.weight"]
    assert PrecisionPlan.from_json(PrecisionPlan.none().to_json()) == PrecisionPlan.none()


def test_layers_are_those_with_an_int8_weight() -> None:
    blocks = TensorQuantization(4, (0.5, 0.25), (0,), axis=0, is_signed=True, block_size=32)
    plan = PrecisionPlan({"l.1.weight": WEIGHT, "l.2.weight": blocks, "relu.value": ACTIVATION})

    assert plan.layers == ("l.1",)
    assert plan.weight_only_layers == ("l.2",)
    assert plan.values == ("relu",)
    assert PrecisionPlan.none().layers == ()


def test_halves_survive_json_and_are_sorted() -> None:
    plan = PrecisionPlan({"a.value": ACTIVATION}, {"z": "fp16", "b": "bf16"})
    assert PrecisionPlan.from_json(plan.to_json()) == plan
    assert json.loads(plan.to_json())["halves"] == {"b": "bf16", "z": "fp16"}
    assert list(plan.halves) == ["b", "z"]


def test_plans_from_before_there_were_halves_are_read() -> None:
    tensors = json.loads(PrecisionPlan({"b.weight": WEIGHT}).to_json())["tensors"]
    assert PrecisionPlan.from_json(json.dumps({"schema": 2, "tensors": tensors})) == PrecisionPlan({"b.weight": WEIGHT})


def test_sparse_layers_survive_json_sorted_and_earlier_plans_have_none() -> None:
    plan = PrecisionPlan(halves={"a": "bf16"}, sparse=("z", "b"))
    assert plan.sparse == ("b", "z")
    assert PrecisionPlan.from_json(plan.to_json()) == plan
    assert PrecisionPlan(sparse=("b",)).is_neutral  # they compute in float32
    before = '{"schema": 3, "tensors": {}, "halves": {"a": "bf16"}}'
    assert PrecisionPlan.from_json(before) == PrecisionPlan(halves={"a": "bf16"})
    for few in ({"tensors": {"b.weight": WEIGHT}}, {"halves": {"b": "bf16"}}):
        with pytest.raises(ExportError, match="a sparse layer must be in float32, got few bits for 'b'"):
            PrecisionPlan(**few, sparse=("b",))  # type: ignore[arg-type]


def test_only_a_plan_of_nothing_is_neutral() -> None:
    assert PrecisionPlan.none().is_neutral
    assert not PrecisionPlan({"b.weight": WEIGHT}).is_neutral
    assert not PrecisionPlan(halves={"b": "bf16"}).is_neutral


def test_a_layer_has_one_precision_that_exists() -> None:
    with pytest.raises(ExportError, match="one precision, got fp16 and quantised weights for 'b'"):
        PrecisionPlan({"b.weight": WEIGHT}, {"b": "fp16"})
    with pytest.raises(ExportError, match="one of bf16, fp16, got 'fp8' for 'b'"):
        PrecisionPlan({}, {"b": "fp8"})  # type: ignore[dict-item]


@pytest.mark.parametrize("name", ["conv", "conv.bias", "conv.input", ".weight"])
def test_names_must_end_in_a_role(name: str) -> None:
    with pytest.raises(ExportError, match="must be named"):
        PrecisionPlan({name: WEIGHT})


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"schema": 1, "tensors": {}}', '{"schema": 2, "tensors": {"a": 1}}'),
        *('{"schema": 3, "tensors": {}}', '{"schema": 3, "tensors": {}, "halves": ["a"]}'),
    ],
)
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ExportError, match="a precision plan must"):
        PrecisionPlan.from_json(text)
