from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from parefront.hardware_profiles import ProfileError, load_profile, profile_names


def written(tmp_path: Path, **changes: object) -> str:
    """Writes a valid profile with some of its parts replaced."""
    content: dict[str, object] = {
        "schema_version": 1,
        "name": "mine",
        "runtime": {"name": "onnxruntime", "threads": 1},
        **changes,
    }
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


def test_shipped_profiles_load_under_their_names() -> None:
    assert {"cpu-ort-1t", "cpu-ort-2t"} <= set(profile_names())
    for name in profile_names():
        profile = load_profile(name)
        assert profile.name == name
        assert profile.description
        assert profile.capabilities.weight_bits[0] == 32


def test_a_minimal_file_gets_the_documented_defaults(tmp_path: Path) -> None:
    profile = load_profile(written(tmp_path))

    assert profile.protocol.burst_ms == 40.0
    assert (profile.protocol.min_pairs, profile.protocol.max_pairs) == (8, 60)
    assert profile.capabilities.weight_bits == (32, 8)


def test_a_profile_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        load_profile("cpu-ort-1t").name = "other"


def test_unknown_name_lists_the_shipped_ones() -> None:
    with pytest.raises(ProfileError) as error:
        load_profile("cpu-ort-1")
    assert str(error.value).startswith("unknown profile 'cpu-ort-1': known profiles are cpu-ort-1t, cpu-ort-2t")


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"schema_version": 2}, "schema_version", "2"),
        ({"runtime": {"name": "onnxruntime", "threads": 0}}, "runtime.threads", "0"),
        ({"runtime": {"name": "onnxruntime", "threads": True}}, "runtime.threads", "True"),
        ({"runtime": {"name": "onnxruntme", "threads": 1}}, "runtime.name", "unknown runtime 'onnxruntme'"),
        (
            {"runtime": {"name": "torch", "threads": 1}},
            "profile",
            "executes capabilities.weight_bits of (32, 'bf16'), got 8",
        ),
        ({"target": {"device": "cuda"}}, "profile", "executes on 'cpu', got target.device 'cuda'"),
        ({"target": {"device": "npu"}}, "target.device", "npu"),
        ({"host": {"address": "board"}}, "host.address", "board"),
        ({"host": {"address": "board:1", "command": ["ssh"]}}, "host", "only one of command and address"),
        ({"workload": {"batch_size": 8}}, "workload", "must be 1 in the single-stream scenario, got 8"),
        ({"limits": {"max_size_bytes": 0}}, "limits.max_size_bytes", "0"),
        ({"limits": {"max_latency_ms": -1}}, "limits.max_latency_ms", "-1"),
        ({"fingerprint": "abc"}, "fingerprint", "abc"),
        ({"workload": {"batch": 1}}, "workload.batch", "1"),
        ({"capabilities": {"weight_bits": [8, 32]}}, "capabilities.weight_bits", "must start with 32"),
        ({"capabilities": {"weight_bits": [32, 5]}}, "capabilities.weight_bits", "5"),
        ({"capabilities": {"weight_only_bits": [8, 2]}}, "capabilities.weight_only_bits", "hold each of (8, 4)"),
        ({"capabilities": {"weight_only_bits": [4, 4]}}, "capabilities.weight_only_bits", "at most once"),
        ({"capabilities": {"sparse_density": 0.9}}, "capabilities.sparse_density", "0.9"),
        ({"capabilities": {"sparse_density": 0.1}}, "profile", "executes zeros like other weights, got "),
        ({"protocol": {"min_pairs": 5}}, "protocol.min_pairs", "5"),
        ({"protocol": {"min_pairs": 10, "max_pairs": 9}}, "protocol", "at least min_pairs (10), got 9"),
        ({"protocol": {"half_width": float("nan")}}, "protocol.half_width", "nan"),
    ],
)
def test_a_bad_file_is_one_line_with_field_value_and_rule(
    tmp_path: Path, changes: dict[str, object], field: str, value: str
) -> None:
    with pytest.raises(ProfileError) as error:
        load_profile(written(tmp_path, **changes))

    message = str(error.value)
    assert f"field {field!r}" in message
    assert value in message
    assert "\n" not in message


def test_several_mistakes_are_counted(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"\(1 more after it\)"):
        load_profile(written(tmp_path, colour="red", runtime={"name": "onnxruntime", "threads": 0}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: [", "must be valid YAML, got an error in line 1"),
        ("- a\n- b\n", "got list"),
        ("", "got NoneType"),
    ],
)
def test_a_file_that_holds_no_profile(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ProfileError) as error:
        load_profile(str(path))
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_or_binary_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"none.yaml.*No such file"):
        load_profile(str(tmp_path / "none.yaml"))
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ProfileError, match="not UTF-8"):
        load_profile(str(tmp_path / "binary.yaml"))


def test_content_key_depends_on_what_shapes_results_only(tmp_path: Path) -> None:
    key = load_profile(written(tmp_path)).content_key()

    assert len(key) == 64
    assert load_profile(written(tmp_path, name="other", description="words")).content_key() == key
    elsewhere = written(tmp_path, host={"address": "board:1"}, fingerprint="0" * 16)
    assert load_profile(elsewhere).content_key() == key
    batches = written(tmp_path, workload={"scenario": "throughput", "batch_size": 2})
    assert load_profile(batches).content_key() != key


def test_content_key_depends_on_zeros_where_these_are_skipped(tmp_path: Path) -> None:
    runtime: dict[str, object] = {"runtime": {"name": "torch", "threads": 1}}
    keys = [
        load_profile(written(tmp_path, **runtime, capabilities={"weight_bits": [32], **own})).content_key()
        for own in ({}, {"sparse_density": 0}, {"sparse_density": 0.1})
    ]
    assert keys[0] == keys[1] != keys[2]


def test_the_order_of_widths_is_that_of_the_choices(tmp_path: Path) -> None:
    changes = {"runtime": {"name": "openvino", "threads": 1}, "capabilities": {"weight_bits": [32, 8, "bf16"]}}
    assert load_profile(written(tmp_path, **changes)).capabilities.weight_bits == (32, "bf16", 8)
