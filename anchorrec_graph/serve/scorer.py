"""The score as an ONNX graph, for servers that have no Python."""

from __future__ import annotations

from anchorrec_graph.encoders.base import need
from anchorrec_graph.serve.space import Space

OPSET = 17


def onnx_scorer(space: Space) -> bytes:
    """The k best items of users, as a model.

    Inputs: `user` [B, D] float32 (rows of `user` in arrays.safetensors, or of a stranger), `known` [B, I]
    bool (items to leave out), `k` [1] int64. Outputs: `items` [B, k] int64 (row numbers of items.parquet) and
    `scores` [B, k]; -inf marks a place for which no item was left.

    Raises:
        ConfigError: the package onnx is missing.
    """
    onnx = need("onnx", "onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    item = onnx.numpy_helper.from_array(space.item.T.contiguous().numpy(), "item")
    never = helper.make_tensor("never", kinds.FLOAT, [], [-float("inf")])
    nodes = [
        helper.make_node("MatMul", ["user", "item"], ["all"]),
        helper.make_node("Where", ["known", "never", "all"], ["open"]),
        helper.make_node("TopK", ["open", "k"], ["scores", "items"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "anchorrec_scorer",
        [
            helper.make_tensor_value_info("user", kinds.FLOAT, ["batch", space.item.shape[1]]),
            helper.make_tensor_value_info("known", kinds.BOOL, ["batch", len(space.item)]),
            helper.make_tensor_value_info("k", kinds.INT64, [1]),
        ],
        [
            helper.make_tensor_value_info("items", kinds.INT64, ["batch", None]),
            helper.make_tensor_value_info("scores", kinds.FLOAT, ["batch", None]),
        ],
        [item, never],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=9)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data
