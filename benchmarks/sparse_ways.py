"""Ways to hand a Linear layer's weight, most of it zero, to a runtime on the CPU; see `benchmarks.sparse_execution`."""

from __future__ import annotations

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

from parefront.hardware_profiles.export.sparse_linear import SparseLinear, csr_matrix, sparse_product

BLOCK = 16
SPARSE_FROM = 0.4
"""Share of zeros from which OpenVINO is asked to compress: below that of every weight here."""

Run: TypeAlias = Callable[[], np.ndarray]
Way: TypeAlias = Callable[[np.ndarray, np.ndarray], Run]
"""(weight (out, in), inputs (n, in)) → what computes the outputs (n, out)."""


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


def torch_csr_session(weight: np.ndarray, inputs: np.ndarray) -> Run:
    """As the runtime `torch` executes it: a single vector by the routine for vectors."""
    layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    layer.weight = torch.nn.Parameter(torch.from_numpy(weight))
    held = SparseLinear(layer)
    csr = csr_matrix(held.rows, held.columns, held.values, held.in_features)
    x = torch.from_numpy(inputs)
    return lambda: sparse_product(x, csr, None).numpy()


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


WAYS: dict[str, tuple[str, Way]] = {
    "torch": ("torch", torch_dense),
    "torch csr": ("torch", torch_csr),
    "torch csr, weight left": ("torch", torch_csr_product),
    "torch csr, as in a session": ("torch", torch_csr_session),
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
