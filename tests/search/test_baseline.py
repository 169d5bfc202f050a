from pathlib import Path

import numpy as np
import pytest

from parefront.hardware_profiles import SearchError
from parefront.search.baseline import remember
from parefront.search.reuse import MEMORY


@pytest.mark.parametrize("kind", ["no archive", "half an archive", "another archive", "an empty file"])
def test_damaged_results_of_the_baseline_are_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    memory = tmp_path / MEMORY
    np.savez(memory, samples=np.ones(50))
    contents = {
        "no archive": b"not an archive",
        "half an archive": memory.read_bytes()[:100],
        "another archive": memory.read_bytes(),  # without what else belongs to it
        "an empty file": b"",
    }
    memory.write_bytes(contents[kind])
    with pytest.raises(SearchError, match=r"baseline\.npz cannot be read \(.*\): restore it or choose") as error:
        remember(object(), tmp_path)  # type: ignore[arg-type]  # it comes to no use
    assert "\n" not in str(error.value)
