"""The operators that ONNX Runtime's CoreML execution provider supports in the ML Program format."""

SUPPORTED = frozenset(
    """
    Add ArgMax AveragePool Cast Ceil Clip Concat Conv ConvTranspose Cos DepthToSpace Div Elu Erf Exp GatherND
    Gelu Gemm GlobalAveragePool GlobalMaxPool GridSample GroupNormalization HardSigmoid Identity
    InstanceNormalization LayerNormalization LeakyRelu MatMul Max MaxPool Mul PRelu Pow Range Reciprocal
    ReduceMax ReduceMean ReduceSum Relu Reshape Resize Round Shape Sigmoid Sin Slice Softmax Softplus Split
    Sqrt Squeeze Sub Sum Tanh Tile Transpose Unsqueeze com.microsoft.FusedConv com.microsoft.QuickGelu
    """.split()  # noqa: SIM905 - a list would take a line for each
)
"""ONNX Runtime, CoreML Execution Provider, "Supported operators", ML Program; and Sum, which is Add."""

MAX_SPATIAL_DIMENSIONS = 2
"""The same list: "Only 1D/2D Conv is supported", "Only 2D Pool is supported"."""

FOLDED = frozenset({"BatchNormalization", "Constant", "ConstantOfShape", "Dropout"})
"""The operators that the graph optimizer folds away before the provider sees the graph."""


def unsupported(operators: frozenset[str]) -> list[str]:
    """Return the operators that the provider has no kernel for, sorted."""
    return sorted(operators - SUPPORTED - FOLDED)
