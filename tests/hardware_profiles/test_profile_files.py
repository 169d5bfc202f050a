from pathlib import Path

import pytest

from parefront.hardware_profiles import ProfileError, load_profile


def test_a_file_extends_a_shipped_profile_field_by_field(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nextends: cpu-ort-1t\nprotocol: {half_width: 0.02}\n")
    mine, shipped = load_profile(str(path)), load_profile("cpu-ort-1t")

    assert (mine.name, mine.description) == ("mine", "")
    assert mine.protocol == shipped.protocol.model_copy(update={"half_width": 0.02})
    assert (mine.runtime, mine.capabilities) == (shipped.runtime, shipped.capabilities)


def test_lists_are_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nextends: cpu-ort-1t\ncapabilities: {weight_bits: [32]}\n")
    assert load_profile(str(path)).capabilities.weight_bits == (32,)


def test_a_path_to_extend_is_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "boards").mkdir()
    (tmp_path / "base.yaml").write_text("name: base\nextends: cpu-ort-1t\nlimits: {max_size_bytes: 9}\n")
    path = tmp_path / "boards" / "mine.yaml"
    path.write_text("name: mine\nextends: ../base.yaml\nlimits: {max_latency_ms: 2.5}\n")

    limits = load_profile(str(path)).limits
    assert (limits.max_size_bytes, limits.max_latency_ms) == (9, 2.5)


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("mine.yaml", "a profile must not extend itself"),
        ("none.yaml", r"none.yaml.*No such file"),
        ("cpu-ort", "unknown profile 'cpu-ort'"),
        ("[a]", "field 'extends': must be a profile's name or path"),
    ],
)
def test_what_cannot_be_extended_is_one_line(tmp_path: Path, base: str, expected: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"name: mine\nextends: {base}\n")
    with pytest.raises(ProfileError, match=expected) as error:
        load_profile(str(path))
    assert "\n" not in str(error.value)


def test_a_rule_over_several_fields_does_not_print_the_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nextends: cpu-ort-1t\nprotocol: {min_pairs: 70}\n")
    with pytest.raises(ProfileError) as error:
        load_profile(str(path))
    assert str(error.value).endswith("max_pairs must be at least min_pairs (70), got 60: correct it in the file")
