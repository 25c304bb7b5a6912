"""Detection of a model's quantization, by its operators and the types of its parameters."""

from collections.abc import Iterable, Mapping

from onnx import TensorProto

from router_backend.core.records.characteristics import Quantization

OPERATORS = {
    "QuantizeLinear": Quantization.QDQ,
    "DequantizeLinear": Quantization.QDQ,
    "ConvInteger": Quantization.INTEGER,
    "MatMulInteger": Quantization.INTEGER,
    "DynamicQuantizeLinear": Quantization.INTEGER,
    "MatMulNBits": Quantization.INT4_WEIGHTS,
}
TYPES = {
    TensorProto.FLOAT16: Quantization.FP16,
    TensorProto.BFLOAT16: Quantization.BF16,
    TensorProto.INT8: Quantization.INT8_WEIGHTS,
    TensorProto.UINT8: Quantization.INT8_WEIGHTS,
    TensorProto.INT4: Quantization.INT4_WEIGHTS,
    TensorProto.UINT4: Quantization.INT4_WEIGHTS,
}


def quantization(operators: Mapping[str, int], weight_types: Iterable[int]) -> frozenset[Quantization]:
    """Return the kinds of quantization by a model's operators and the ONNX element types of its parameters.

    Operators of custom domains are prefixed with the domain; scalars, which may be zero points, are left out.
    """
    names = [name.rpartition(".")[2] for name in operators]
    by_operator = {OPERATORS[name] for name in names if name in OPERATORS}
    if any(name.startswith("QLinear") for name in names):
        by_operator.add(Quantization.QLINEAR)
    return frozenset(by_operator | {TYPES[each] for each in weight_types if each in TYPES})
