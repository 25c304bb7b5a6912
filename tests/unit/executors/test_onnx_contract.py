from collections.abc import Sequence
from typing import Any

import pytest

from router_backend.errors import ConfigurationError
from router_backend.executors.onnx_contract import check_tensors
from router_backend.executors.onnx_session import TensorSpec

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
        "config.pbtxt has the inputs 'image', the ONNX file has 'images': name the same ones"
    )


def test_a_missing_tensor_is_refused() -> None:
    assert refusal([], [IMAGES]) == (
        "config.pbtxt has the inputs none, the ONNX file has 'images': name the same ones"
    )


def test_another_type_is_refused_with_the_expected_one() -> None:
    assert refusal([entry(data_type="TYPE_FP16")], [IMAGES]) == (
        "input 'images' is TYPE_FP16 in config.pbtxt and tensor(float) in the ONNX file: write TYPE_FP32"
    )


def test_an_unsupported_type_is_refused() -> None:
    spec = TensorSpec("images", "tensor(string)", (None,))
    assert refusal([entry(data_type="TYPE_STRING", dims=())], [spec]).startswith(
        "input 'images' of the ONNX file is tensor(string), which this executor does not serve; "
        "it serves TYPE_BOOL"
    )


@pytest.mark.parametrize("dims", [("3", "224"), ("3", "224", "225"), ("3", "224", "-1")])
def test_other_dimensions_are_refused_with_both_shapes(dims: Sequence[str]) -> None:
    assert refusal([entry(dims=dims)], [IMAGES]) == (
        f"input 'images' has the shape [-1, {', '.join(dims)}] in config.pbtxt with the batch dimension "
        "and [-1, 3, 224, 224] in the ONNX file: write the same dims"
    )


def test_batching_requires_a_dynamic_first_dimension() -> None:
    spec = TensorSpec("images", "tensor(float)", (1, 3, 224, 224))
    assert refusal([entry()], [spec], max_batch_size=32) == (
        "input 'images' has a fixed first dimension of 1 in the ONNX file, but config.pbtxt has a "
        "max_batch_size of 32: export the model with a free batch dimension, or set max_batch_size to 0 and "
        "write all dims"
    )
