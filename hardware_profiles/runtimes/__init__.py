"""The runtimes a network can be executed by; each is imported only when it is asked for."""

from __future__ import annotations

import importlib

from ..errors import ProfileError, unknown_name
from .runtime import ExecutedPrecision, OperatorTime, Runtime, Session, executed_precision

# Name in a profile -> (module here, class in it).
_REGISTRY = {
    "onnxruntime": ("onnxruntime_cpu", "OnnxRuntimeCpu"),
}


def runtime_names() -> tuple[str, ...]:
    """Lists the registered runtimes, sorted."""
    return tuple(sorted(_REGISTRY))


def get_runtime(name: str) -> Runtime:
    """Loads a runtime.

    Raises:
        ProfileError: The name is not registered, or the runtime is not installed.
    """
    if name not in _REGISTRY:
        raise ProfileError(unknown_name("runtime", name, _REGISTRY))
    module_name, class_name = _REGISTRY[name]
    try:
        module = importlib.import_module(f".{module_name}", __package__)
    except ModuleNotFoundError as error:
        raise ProfileError(
            f"runtime {name!r} must be installed, but {error.name!r} is missing: pip install it"
        ) from error
    runtime: Runtime = getattr(module, class_name)()
    return runtime


__all__ = [
    "ExecutedPrecision",
    "OperatorTime",
    "Runtime",
    "Session",
    "executed_precision",
    "get_runtime",
    "runtime_names",
]
