from pathlib import Path

import pytest

from parefront.hardware_profiles.measuring.energy import EnergyCounter


def zone(root: Path, name: str, energy_uj: int, range_uj: int = 1_000_000_000) -> Path:
    folder = root / name
    folder.mkdir()
    (folder / "energy_uj").write_text(f"{energy_uj}\n")
    (folder / "max_energy_range_uj").write_text(f"{range_uj}\n")
    return folder / "energy_uj"


def test_packages_add_up_and_their_parts_do_not_count_twice(tmp_path: Path) -> None:
    packages = [zone(tmp_path, f"intel-rapl:{number}", 100) for number in (0, 1)]
    part = zone(tmp_path, "intel-rapl:0:0", 100)
    counter = EnergyCounter(tmp_path)
    for file, energy_uj in zip([*packages, part], (2_000_100, 500_100, 1_000_100), strict=True):
        file.write_text(str(energy_uj))

    assert counter.joules() == pytest.approx(2.5)
    assert counter.joules() == 0.0  # since the last call


def test_a_counter_that_started_anew_goes_on(tmp_path: Path) -> None:
    package = zone(tmp_path, "intel-rapl:0", 9_000_000, range_uj=9_999_999)
    counter = EnergyCounter(tmp_path)
    package.write_text("500000")
    # 1 J to the end of the range, .5 J from its start.
    assert counter.joules() == pytest.approx(1.5)


def test_without_counters_there_is_no_energy(tmp_path: Path) -> None:
    (tmp_path / "intel-rapl:0").mkdir()  # a zone that may not be read looks like one without files
    counter = EnergyCounter(tmp_path)
    assert not counter.is_available
    assert counter.joules() is None
    assert EnergyCounter(tmp_path / "none").joules() is None
