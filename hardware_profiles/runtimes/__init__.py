"""The runtimes a network can be executed by; each is imported only when it is asked for."""

from __future__ import annotations

import importlib

from ..errors import ProfileError, unknown_name
from .facts import BITS, WEIGHT_ONLY_BITS, Bits, RuntimeFacts
from .runtime import ExecutedPrecision, OperatorTime, Runtime, Session, executed_precision

# fmt: off
_RUNTIMES = (
    RuntimeFacts("onnxruntime", "onnxruntime_cpu", "OnnxRuntimeCpu", "cpu", ".onnx",
                 weight_bits=(32, 8), weight_only_bits=(8, 4), requirement="onnxruntime"),
    RuntimeFacts("onnxruntime-cuda", "onnxruntime_cuda", "OnnxRuntimeCuda", "cuda", ".onnx",
                 weight_bits=(32, "fp16"), weight_only_bits=(), requirement="onnxruntime-gpu"),
    RuntimeFacts("openvino", "openvino_cpu", "OpenVinoCpu", "cpu", ".onnx",
                 weight_bits=(32, "bf16", "fp16", 8), weight_only_bits=(8, 4), requirement="parefront[openvino]"),
    RuntimeFacts("torch", "torch_eager", "TorchEager", "cpu", ".pt2",
                 weight_bits=(32, "bf16"), weight_only_bits=(), requirement="torch", executes_sparse=True),
    RuntimeFacts("torch-compile", "torch_compiled", "TorchCompiled", "cpu", ".pt2",
                 weight_bits=(32, "bf16"), weight_only_bits=(), requirement="torch", is_slow_to_open=True),
    RuntimeFacts("torch-cuda", "torch_cuda", "TorchCuda", "cuda", ".pt2",
                 weight_bits=(32, "bf16", "fp16"), weight_only_bits=(), requirement="torch"),
)
# fmt: on
_REGISTRY = {facts.name: facts for facts in _RUNTIMES}


def runtime_names() -> tuple[str, ...]:
    """Lists the registered runtimes, sorted."""
    return tuple(sorted(_REGISTRY))


def runtime_facts(name: str) -> RuntimeFacts:
    """Gives what is known of a runtime without loading it; it need not be installed.

    Raises:
        ProfileError: The name is not registered.
    """
    if name not in _REGISTRY:
        raise ProfileError(unknown_name("runtime", name, _REGISTRY))
    return _REGISTRY[name]


def get_runtime(name: str) -> Runtime:
    """Loads a runtime, which can then write artefacts; to run them its device must be there, too: `check_runtime`.

    Raises:
        ProfileError: The name is not registered, or the runtime is not installed.
    """
    facts = runtime_facts(name)
    try:
        module = importlib.import_module(f".{facts.module}", __package__)
    except ModuleNotFoundError as error:
        raise ProfileError(
            f"runtime {name!r} must be installed, but {error.name!r} is missing: pip install {facts.requirement!r}"
        ) from error
    runtime: Runtime = getattr(module, facts.class_name)()
    return runtime


def check_runtime(name: str) -> None:
    """Checks that a runtime can run networks on this machine.

    Raises:
        ProfileError: The name is not registered, the runtime is not installed, or its device or compiler is missing.
    """
    get_runtime(name).check_device()


__all__ = [
    "BITS",
    "WEIGHT_ONLY_BITS",
    "Bits",
    "ExecutedPrecision",
    "OperatorTime",
    "Runtime",
    "RuntimeFacts",
    "Session",
    "check_runtime",
    "executed_precision",
    "get_runtime",
    "runtime_facts",
    "runtime_names",
]
