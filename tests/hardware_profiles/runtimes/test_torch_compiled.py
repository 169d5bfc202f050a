from collections.abc import Callable

import pytest
from torch._inductor import cpp_builder, exc

from parefront.hardware_profiles import MeasurementError, ProfileError, check_runtime, get_runtime
from parefront.hardware_profiles.runtimes import torch_compiled

from .conftest import Exported


def test_a_missing_compiler_is_named_before_any_work(
    monkeypatch: pytest.MonkeyPatch, export: Callable[..., Exported]
) -> None:
    def none() -> str:
        raise exc.InvalidCxxCompiler

    path = export("torch").path
    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", none)
    with pytest.raises(ProfileError, match=r"'torch-compile' must have a C\+\+ compiler, got none: install g\+\+ or"):
        check_runtime("torch-compile")
    with pytest.raises(ProfileError, match="must have a C"):
        get_runtime("torch-compile").open_session(path, 1)


def test_what_inductor_cannot_compile_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(function: object, *, dynamic: bool) -> Callable[..., None]:
        def run(*inputs: object) -> None:
            raise RuntimeError("no kernel\nfor that")

        return run

    monkeypatch.setattr(torch_compiled.torch, "compile", failing)
    with pytest.raises(
        MeasurementError, match=r"Inductor must be able to compile .*: RuntimeError: no kernel for that:"
    ):
        torch_compiled._compiled(lambda x: x)(1)
