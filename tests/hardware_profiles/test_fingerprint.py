import dataclasses
import json
import platform
from typing import Any

import onnxruntime
import pytest

from parefront.hardware_profiles import Fingerprint, ProfileError, fingerprint, load_profile
from parefront.hardware_profiles.measuring.cores import available_cores


def test_it_names_this_machine_and_its_versions() -> None:
    found = fingerprint(load_profile("cpu-ort-1t"))

    assert found.n_cores == len(available_cores())
    assert found.python == platform.python_version()
    assert found.runtime == f"onnxruntime {onnxruntime.__version__}"
    assert found.cpu_model
    assert found == fingerprint(load_profile("cpu-ort-2t"))


def test_the_key_changes_with_every_field() -> None:
    base = Fingerprint("cpu", ("avx2",), 2, "Linux 6 x86_64", "3.11.7", "onnxruntime 1.31", "2.4")
    changes: dict[str, Any] = {field.name: "other" for field in dataclasses.fields(base)}
    changes |= {"isa_flags": ("avx512_vnni",), "n_cores": 3}
    others = [dataclasses.replace(base, **{name: value}) for name, value in changes.items()]

    assert len(base.key) == 16
    assert len({base.key, *(other.key for other in others)}) == 8
    assert json.loads(base.to_json())["isa_flags"] == ["avx2"]


def test_an_unknown_runtime_is_refused() -> None:
    profile = load_profile("cpu-ort-1t")
    settings = profile.runtime.model_copy(update={"name": "other"})
    with pytest.raises(ProfileError, match="unknown runtime 'other'"):
        fingerprint(profile.model_copy(update={"runtime": settings}))
