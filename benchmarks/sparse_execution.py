"""Which runtime executes a Linear layer of few non-zero weights faster than a dense one, and from which density on.

Measured, not read: every way to hand a sparse weight to a runtime on the CPU takes turns with the same runtime's dense
layer, one thread, and its outputs are compared. 50 % is the 2:4 pattern, two of any four weights in a row; lower
densities are without a pattern, but for `bsr`, which gets whole blocks of 16 x 16. What a runtime refuses is printed.

    OMP_NUM_THREADS=1 taskset -c 0 python -m benchmarks.sparse_execution [--quick]
"""

from __future__ import annotations

import argparse
import io
import json
import warnings
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import onnxruntime
import openvino
import torch
import torch.nn.functional as F
from onnx import SparseTensorProto, TensorProto, helper, numpy_helper
from scipy import sparse
from torch import Tensor

from benchmarks.race import Race, race

SIDES, BATCHES, DENSITIES = (1024, 4096), (1, 8), (0.5, 0.2, 0.1, 0.05)
BLOCK = 16
ROUNDS = 7
SPARSE_FROM = 0.4
"""Share of zeros from which OpenVINO is asked to compress: below that of every weight here."""
TOLERANCES = {"int8": 0.03}
"""Largest error over the largest output; all others compute in fp32."""
TOLERANCE = 1e-4
SEED = 0

Run: TypeAlias = Callable[[], np.ndarray]
Way: TypeAlias = Callable[[np.ndarray, np.ndarray], Run]
"""(weight (out, in), inputs (n, in)) → what computes the outputs (n, out)."""


def run(quick: bool = False) -> dict[str, dict[str, float]]:
    """How many times faster than its runtime's dense layer each way is, by case and way, and the dense times in ms."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="Sparse (CSR|BSR) tensor support is in beta state")
    figures = {}
    for side in SIDES[: 1 if quick else None]:
        for batch in BATCHES:
            for density in DENSITIES:
                name = f"{side} x {side}, batch {batch}, density {density:.0%}"
                figures[name] = one_case(side, batch, density, 3 if quick else ROUNDS)
                print(name, "|", ", ".join(f"{what} {value:.3g}" for what, value in figures[name].items()), flush=True)
    return figures


def one_case(side: int, batch: int, density: float, rounds: int) -> dict[str, float]:
    generator = np.random.default_rng(SEED)
    values = generator.standard_normal((side, side), np.float32)
    weight, blocks = values * pattern(generator, side, density), values * block_pattern(generator, side, density)
    inputs = generator.standard_normal((batch, side), np.float32)
    runs = {}
    for name, (_, way) in _WAYS.items():
        own = blocks if name == "torch bsr" else weight
        runs[name] = way(own, inputs)
        check(name, runs[name](), inputs @ own.T)
    with torch.no_grad():
        timed = race(runs, rounds)
    figures = {name: timed.ratio(dense, name)[0] for name, (dense, _) in _WAYS.items() if name != dense}
    times = {f"{dense}, ms": timed.median_ms(dense) for dense in dict.fromkeys(dense for dense, _ in _WAYS.values())}
    return {**figures, **against_the_quickest(timed), **times, "foreign_cpu": timed.foreign_cpu}


def against_the_quickest(timed: Race) -> dict[str, float]:
    """How many times faster the best sparse way is than the best dense one of any runtime, in fp32 and in int8."""
    dense = {dense for dense, _ in _WAYS.values()}
    in_fp32 = {name for name in timed.times_ms if "int8" not in name}
    by_time = sorted(timed.times_ms, key=timed.median_ms)
    best = next(name for name in by_time if name not in dense and name in in_fp32 and name != "torch bsr")
    quickest = next(name for name in by_time if name in dense and name in in_fp32)
    return {
        f"best ({best}) against {quickest}": timed.ratio(quickest, best)[0],
        "best against openvino int8": timed.ratio("openvino int8", best)[0],
    }


def check(name: str, outputs: np.ndarray, expected: np.ndarray) -> None:
    error = float(np.abs(outputs - expected).max() / np.abs(expected).max())
    tolerance = next((most for kind, most in TOLERANCES.items() if kind in name), TOLERANCE)
    assert error <= tolerance, f"{name}: the outputs are {error:.1e} off"


def pattern(generator: np.random.Generator, side: int, density: float) -> np.ndarray:
    if density == 0.5:
        order = generator.random((side, side // 4, 4)).argsort(-1)
        return (order < 2).reshape(side, side)
    return generator.random((side, side)) < density


def block_pattern(generator: np.random.Generator, side: int, density: float) -> np.ndarray:
    return np.kron(generator.random((side // BLOCK, side // BLOCK)) < density, np.ones((BLOCK, BLOCK), bool))


def torch_dense(weight: np.ndarray, inputs: np.ndarray) -> Run:
    return _torch_linear(torch.from_numpy(weight), inputs)


def torch_csr(weight: np.ndarray, inputs: np.ndarray) -> Run:
    return _torch_linear(torch.from_numpy(weight).to_sparse_csr(), inputs)


def torch_bsr(weight: np.ndarray, inputs: np.ndarray) -> Run:
    return _torch_linear(torch.from_numpy(weight).to_sparse_bsr((BLOCK, BLOCK)), inputs)


def torch_csr_product(weight: np.ndarray, inputs: np.ndarray) -> Run:
    """The weight at the left, with the 32-bit indices that MKL takes as they are."""
    long = torch.from_numpy(weight).to_sparse_csr()
    rows, columns = long.crow_indices().int(), long.col_indices().int()
    csr = torch.sparse_csr_tensor(rows, columns, long.values(), long.shape, check_invariants=True)
    x = torch.from_numpy(inputs)
    return lambda: (csr @ x.T).T.numpy()


def _torch_linear(weight: Tensor, inputs: np.ndarray) -> Run:
    x = torch.from_numpy(inputs)
    return lambda: F.linear(x, weight).numpy()


def ort_dense(weight: np.ndarray, inputs: np.ndarray) -> Run:
    return _ort_session(_float_model(weight, inputs), inputs)


def ort_sparse_constant(weight: np.ndarray, inputs: np.ndarray) -> Run:
    transposed = weight.T
    places = np.flatnonzero(transposed)
    constant = SparseTensorProto(dims=transposed.shape)
    constant.values.CopyFrom(numpy_helper.from_array(transposed.ravel()[places], "w"))
    constant.indices.CopyFrom(numpy_helper.from_array(places.astype(np.int64), "w_places"))
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "linear", *_ends(inputs, weight))
    graph.sparse_initializer.append(constant)
    return _ort_session(_bytes(graph), inputs)


def ort_sparse_product(weight: np.ndarray, inputs: np.ndarray) -> Run:
    """ONNX Runtime's own operator, which takes the weight as an input of the network only."""
    node = helper.make_node("SparseToDenseMatMul", ["w", "x"], ["y"], domain="com.microsoft")
    ends = (
        [
            helper.make_sparse_tensor_value_info("w", TensorProto.FLOAT, weight.shape),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, inputs.T.shape),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [len(weight), len(inputs)])],
    )
    session = onnxruntime.InferenceSession(_bytes(helper.make_graph([node], "linear", *ends)), _one_thread())
    csr = sparse.csr_matrix(weight)
    device = onnxruntime.OrtDevice.make("cpu", 0)
    values = onnxruntime.SparseTensor.sparse_csr_from_numpy(
        np.array(weight.shape, np.int64), csr.data, csr.indices.astype(np.int64), csr.indptr.astype(np.int64), device
    )
    feeds = {
        "w": onnxruntime.OrtValue.ort_value_from_sparse_tensor(values),
        "x": onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(inputs.T)),
    }
    return lambda: session.run_with_ort_values(["y"], feeds)[0].numpy().T


def openvino_way(is_int8: bool, is_asked: bool) -> Way:
    def way(weight: np.ndarray, inputs: np.ndarray) -> Run:
        settings: dict[str, object] = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
        if is_asked:
            settings["CPU_SPARSE_WEIGHTS_DECOMPRESSION_RATE"] = SPARSE_FROM
        model = (_int8_model if is_int8 else _float_model)(weight, inputs)
        core = openvino.Core()
        request = core.compile_model(core.read_model(model), "CPU", settings).create_infer_request()
        return lambda: request.infer({0: inputs}, share_inputs=True)[0]

    return way


def _ort_session(model: bytes, inputs: np.ndarray) -> Run:
    session = onnxruntime.InferenceSession(model, _one_thread())
    return lambda: session.run(None, {"x": inputs})[0]


def _one_thread() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return options


def _float_model(weight: np.ndarray, inputs: np.ndarray) -> bytes:
    constant = numpy_helper.from_array(np.ascontiguousarray(weight.T), "w")
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    return _bytes(helper.make_graph(nodes, "linear", *_ends(inputs, weight), [constant]))


def _int8_model(weight: np.ndarray, inputs: np.ndarray) -> bytes:
    scale = np.maximum(np.abs(weight).max(1), 1e-9) / 127
    constants = {
        "x_scale": np.float32(np.abs(inputs).max() / 127),
        "x_zero": np.uint8(128),
        "w_scale": scale,
        "w_zero": np.zeros(len(weight), np.int8),
        "w_integers": np.ascontiguousarray(np.round(weight / scale[:, None]).astype(np.int8).T),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "x_scale", "x_zero"], ["x_integers"]),
        helper.make_node("DequantizeLinear", ["x_integers", "x_scale", "x_zero"], ["x_rounded"]),
        helper.make_node("DequantizeLinear", ["w_integers", "w_scale", "w_zero"], ["w"], axis=1),
        helper.make_node("MatMul", ["x_rounded", "w"], ["y"]),
    ]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    return _bytes(helper.make_graph(nodes, "linear", *_ends(inputs, weight), tensors))


def _ends(inputs: np.ndarray, weight: np.ndarray) -> tuple[list[object], list[object]]:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, inputs.shape)
    return [x], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [len(inputs), len(weight)])]


def _bytes(graph: object) -> bytes:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


_WAYS: dict[str, tuple[str, Way]] = {
    "torch": ("torch", torch_dense),
    "torch csr": ("torch", torch_csr),
    "torch csr, weight left": ("torch", torch_csr_product),
    "torch bsr": ("torch", torch_bsr),
    "onnxruntime": ("onnxruntime", ort_dense),
    "onnxruntime, sparse constant": ("onnxruntime", ort_sparse_constant),
    "onnxruntime, sparse product": ("onnxruntime", ort_sparse_product),
    "openvino": ("openvino", openvino_way(is_int8=False, is_asked=False)),
    "openvino, asked": ("openvino", openvino_way(is_int8=False, is_asked=True)),
    "openvino int8": ("openvino int8", openvino_way(is_int8=True, is_asked=False)),
    "openvino int8, asked": ("openvino int8", openvino_way(is_int8=True, is_asked=True)),
}
"""By name: the dense layer that it is compared with, and how it is made."""


def refused() -> dict[str, str]:
    """What PyTorch says to the ways that it does not go on a CPU."""
    weight, x = torch.eye(64), torch.ones(8, 64)
    csr = weight.to_sparse_csr()

    class Layer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(csr, requires_grad=False)

        def forward(self, x: Tensor) -> Tensor:
            return F.linear(x, self.weight)

    def archive() -> None:
        torch.export.save(torch.export.export(Layer(), (x,)), io.BytesIO())

    pairs = (torch.arange(64) % 4 < 2).expand(64, 64).half()
    ways: dict[str, Callable[[], object]] = {
        "2:4, torch.sparse": lambda: torch.sparse.to_sparse_semi_structured(pairs),
        "csr, torch.compile": lambda: torch.compile(lambda x: F.linear(x, csr), fullgraph=True)(x),
        "csr, torch.export": archive,
    }
    reasons = {}
    for name, way in ways.items():
        try:
            way()
        except Exception as error:  # The reason is the result.
            reasons[name] = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        else:
            reasons[name] = "not refused"
    return reasons


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    figures, reasons = run(parser.parse_args().quick), refused()
    for name, reason in reasons.items():
        print(f"{name}: {reason}")
    print(json.dumps({"times_faster": figures, "refused": reasons}))


if __name__ == "__main__":
    main()
