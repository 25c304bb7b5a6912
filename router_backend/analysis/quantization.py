"""Detection of a model's quantization, by its operators and the types of its parameters."""

from collections.abc import Iterable

from onnx import TensorProto

from router_backend.core.records.characteristics import Quantization

OPERATORS = {
    "QuantizeLinear": Quantization.QDQ,
    "ConvInteger": Quantization.INTEGER,
    "MatMulInteger": Quantization.INTEGER,
    "DynamicQuantizeLinear": Quantization.INTEGER,
    "DynamicQuantizeMatMul": Quantization.INTEGER,
    "MatMulIntegerToFloat": Quantization.INTEGER,
    "QGemm": Quantization.QLINEAR,
}
TYPES = {
    TensorProto.FLOAT16: Quantization.FP16,
    TensorProto.BFLOAT16: Quantization.BF16,
    TensorProto.INT8: Quantization.INT8_WEIGHTS,
    TensorProto.UINT8: Quantization.INT8_WEIGHTS,
    TensorProto.INT4: Quantization.INT4_WEIGHTS,
    TensorProto.UINT4: Quantization.INT4_WEIGHTS,
}


def quantization(operators: Iterable[str], weight_types: Iterable[int]) -> frozenset[Quantization]:
    """Return the kinds of quantization.

    Args:
        operators: those that work on more than constants, without domains. A model that only converts stored
            weights does not compute with integers.
        weight_types: the ONNX element types of its parameters, without scalars, which may be zero points.
    """
    names = set(operators)
    by_operator = {OPERATORS[name] for name in names if name in OPERATORS}
    if any(name.startswith("QLinear") for name in names):
        by_operator.add(Quantization.QLINEAR)
    return frozenset(by_operator | {TYPES[each] for each in weight_types if each in TYPES})
