"""The operators that ONNX Runtime's CoreML provider has for the ML Program format."""

SUPPORTED = frozenset(
    {
        "Add",
        "ArgMax",
        "AveragePool",
        "Cast",
        "Ceil",
        "Clip",
        "Concat",
        "Conv",
        "ConvTranspose",
        "Cos",
        "DepthToSpace",
        "Div",
        "Elu",
        "Erf",
        "Exp",
        "GatherND",
        "Gelu",
        "Gemm",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "GridSample",
        "GroupNormalization",
        "HardSigmoid",
        "Identity",
        "InstanceNormalization",
        "LayerNormalization",
        "LeakyRelu",
        "MatMul",
        "Max",
        "MaxPool",
        "Mul",
        "PRelu",
        "Pow",
        "Range",
        "Reciprocal",
        "ReduceMax",
        "ReduceMean",
        "ReduceSum",
        "Relu",
        "Reshape",
        "Resize",
        "Round",
        "Shape",
        "Sigmoid",
        "Sin",
        "Slice",
        "Softmax",
        "Softplus",
        "Split",
        "Sqrt",
        "Squeeze",
        "Sub",
        "Tanh",
        "Tile",
        "Transpose",
        "Unsqueeze",
    }
)
"""ONNX Runtime, CoreML Execution Provider, "Supported operators", ML Program."""

FOLDED = frozenset({"BatchNormalization", "Constant", "ConstantOfShape", "Dropout"})
"""What the graph optimizer computes or merges into others before a provider sees the graph."""


def lacking(operators: frozenset[str]) -> list[str]:
    """Those that the provider has no kernel for, sorted."""
    return sorted(operators - SUPPORTED - FOLDED)
