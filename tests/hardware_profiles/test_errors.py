import pytest

from parefront.hardware_profiles import errors
from parefront.hardware_profiles.errors import ParefrontError, unknown_name


def test_unknown_name_lists_the_closest_first() -> None:
    message = unknown_name("profile", "cpu-ort-2", ["cpu-ort-1t", "gpu", "cpu-ort-2t"])

    assert message == "unknown profile 'cpu-ort-2': known profiles are cpu-ort-2t, cpu-ort-1t, gpu"


def test_unknown_name_orders_equally_close_names_alphabetically() -> None:
    assert unknown_name("profile", "cpu-ort-1", ["cpu-ort-2t", "cpu-ort-1t"]) == (
        "unknown profile 'cpu-ort-1': known profiles are cpu-ort-1t, cpu-ort-2t"
    )
    assert unknown_name("site", "zzz", ["b", "a", "b"]) == "unknown site 'zzz': known sites are a, b"


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (["onnxruntime"], "unknown runtime 'x': the only known runtime is onnxruntime"),
        ([], "unknown runtime 'x': no runtime is known here"),
    ],
)
def test_unknown_name_with_one_or_no_alternative(known: list[str], expected: str) -> None:
    assert unknown_name("runtime", "x", known) == expected


def test_every_error_is_a_parefront_error() -> None:
    names = ["Profile", "Space", "Task", "Search", "Training", "Measurement", "Export"]

    assert all(issubclass(getattr(errors, f"{name}Error"), ParefrontError) for name in names)


def test_of_many_names_only_the_closest_are_listed() -> None:
    message = unknown_name("site", "bits/7", [f"bits/layer{i}" for i in range(40)])
    assert message.startswith("unknown site 'bits/7': the closest of 40 are bits/layer7, ")
    assert message.count("bits/layer") == 5
