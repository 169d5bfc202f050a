import pytest

from parefront.hardware_profiles import Capabilities, HardwareProfile, ProfileError, common_capabilities


def profile(
    name: str, grid: int = 8, bits: tuple[int | str, ...] = (32, 8), alone: tuple[int, ...] = (8, 4)
) -> HardwareProfile:
    """OpenVINO, whose runtime executes every width."""
    return HardwareProfile.model_validate(
        {
            "schema_version": 1,
            "name": name,
            "runtime": {"name": "openvino", "threads": 1},
            "capabilities": {"weight_bits": bits, "weight_only_bits": alone, "channel_grid": grid},
        }
    )


def test_one_profile_keeps_what_it_has() -> None:
    one = profile("a", 12, (32, "bf16", 8), (4,))
    assert common_capabilities([one]) == one.capabilities


def test_only_what_all_execute_is_left() -> None:
    profiles = [profile("a", 8, (32, "bf16", 8), (8, 4)), profile("b", 16, (32, "fp16", 8), (4,)), profile("c", 12)]
    # 48 is the least common multiple of 8, 16 and 12.
    assert common_capabilities(profiles) == Capabilities(weight_bits=(32, 8), weight_only_bits=(4,), channel_grid=48)


def test_zeros_are_skipped_up_to_the_least_density_of_all() -> None:
    eager = {**profile("a").model_dump(), "runtime": {"name": "torch", "threads": 1}}
    densities = {name: {"weight_bits": (32,), "sparse_density": density} for name, density in (("b", 0.2), ("c", 0.1))}
    two = [HardwareProfile.model_validate({**eager, "name": n, "capabilities": own}) for n, own in densities.items()]
    assert common_capabilities(two).sparse_density == 0.1
    assert common_capabilities([*two, profile("d")]).sparse_density == 0


def test_the_neutral_width_is_always_common() -> None:
    common = common_capabilities([profile("a", bits=(32, 8), alone=()), profile("b", bits=(32, "bf16"))])
    assert (common.weight_bits, common.weight_only_bits) == ((32,), ())


def test_profiles_of_one_name_are_refused() -> None:
    with pytest.raises(ProfileError, match="must have different names, got 'b' twice: leave one out"):
        common_capabilities([profile("a"), profile("b"), profile("b", 16)])


def test_grids_that_meet_nowhere_are_refused_with_the_names() -> None:
    # 31 * 37 = 1147.
    profiles = [profile("a", 31), profile("b", 37)]
    with pytest.raises(ProfileError, match="'a' has 31, 'b' has 37, which meet at 1147: set "):
        common_capabilities(profiles)
    assert common_capabilities([profile("a", 2048), profile("b", 8)]).channel_grid == 2048  # asked for as it is
