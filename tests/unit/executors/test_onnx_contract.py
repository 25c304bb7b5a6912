from collections.abc import Sequence
from typing import Any

import pytest

from router_backend.errors import ConfigurationError
from router_backend.executors.onnx_contract import TensorSpec, check_tensors

IMAGES = TensorSpec("images", "tensor(float)", (None, 3, 224, 224))


def entry(
    name: str = "images", data_type: str = "TYPE_FP32", dims: Sequence[str] = ("3", "224", "224")
) -> Any:
    """Return an entry as Triton passes it: 64-bit integers are strings in protobuf's JSON."""
    return {"name": name, "data_type": data_type, "dims": list(dims)}


def refusal(declared: Sequence[Any], found: Sequence[TensorSpec], max_batch_size: int = 8) -> str:
    with pytest.raises(ConfigurationError) as refused:
        check_tensors("input", declared, found, max_batch_size)
    return str(refused.value)


def test_matching_tensors_are_accepted() -> None:
    check_tensors("input", [entry()], [IMAGES], max_batch_size=8)


def test_without_batching_dims_include_every_dimension() -> None:
    check_tensors("input", [entry(dims=("1", "3", "224", "224"))], [IMAGES], max_batch_size=0)


def test_a_dynamic_dimension_of_the_file_may_be_fixed_in_the_configuration() -> None:
    check_tensors("input", [entry(dims=("5",))], [TensorSpec("images", "tensor(float)", (None, None))], 8)


def test_other_names_are_refused_with_both_lists() -> None:
    assert refusal([entry("image")], [IMAGES]) == (
        "config.pbtxt: input: expected the inputs of the ONNX file, 'images', found 'image'; use the same "
        "names"
    )


def test_a_missing_tensor_is_refused() -> None:
    assert refusal([], [IMAGES]) == (
        "config.pbtxt: input: expected the inputs of the ONNX file, 'images', found none; use the same names"
    )


def test_another_type_is_refused_with_the_expected_one() -> None:
    assert refusal([entry(data_type="TYPE_FP16")], [IMAGES]) == (
        "config.pbtxt: input 'images': expected TYPE_FP32, as in the ONNX file (tensor(float)), found "
        "TYPE_FP16"
    )


def test_an_unsupported_type_is_refused() -> None:
    spec = TensorSpec("images", "tensor(string)", (None,))
    message = refusal([entry(data_type="TYPE_STRING", dims=())], [spec])
    assert message.startswith("ONNX file: input 'images': expected one of TYPE_BOOL, ")
    assert message.endswith("found tensor(string); change the model")


@pytest.mark.parametrize("dims", [("3", "224"), ("3", "224", "225"), ("3", "224", "-1")])
def test_other_dimensions_are_refused_with_both_shapes(dims: Sequence[str]) -> None:
    assert refusal([entry(dims=dims)], [IMAGES]) == (
        "config.pbtxt: input 'images': expected the shape of the ONNX file, [-1, 3, 224, 224], found "
        f"[-1, {', '.join(dims)}] with the batch dimension; write the same dims"
    )


def test_batching_requires_a_dynamic_first_dimension() -> None:
    spec = TensorSpec("images", "tensor(float)", (1, 3, 224, 224))
    assert refusal([entry()], [spec], max_batch_size=32) == (
        "ONNX file: input 'images': expected a free batch dimension, since config.pbtxt has a max_batch_size "
        "of 32, found a first dimension of 1; export the model with a free batch dimension, or set "
        "max_batch_size to 0 and "
        "write all dims"
    )
