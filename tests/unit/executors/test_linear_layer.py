import numpy as np
import pytest

from router_backend.errors import ConfigurationError
from router_backend.executors.linear_layer import LinearLayer


def tensor(name: str, *dims: int, data_type: str = "TYPE_FP32") -> dict[str, object]:
    return {"name": name, "data_type": data_type, "dims": list(dims)}


def config(**changes: object) -> dict[str, object]:
    return {"max_batch_size": 8, "input": [tensor("x", 3)], "output": [tensor("y", 2)], **changes}


def test_outputs_are_the_inputs_times_the_weights() -> None:
    layer = LinearLayer(config())
    items = np.array([[1, 2, 3], [0, 0, 1]], dtype=np.float32)
    outputs = layer.run(items)
    assert (layer.output_name, outputs.dtype, outputs.shape) == ("y", np.float32, (2, 2))
    np.testing.assert_allclose(
        outputs[0], layer.weights[0] + 2 * layer.weights[1] + 3 * layer.weights[2], 1e-5
    )


def test_the_weights_are_the_same_in_every_variant_and_different_from_one_another() -> None:
    weights = LinearLayer(config()).weights
    np.testing.assert_array_equal(weights, LinearLayer(config(max_batch_size=4)).weights)
    assert len(np.unique(weights)) == weights.size


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_batch_size": 0}, "config.pbtxt: max_batch_size: expected at least 1, found 0"),
        ({"input": []}, "found none"),
        ({"input": [tensor("x", 3), tensor("z", 3)]}, "found x TYPE_FP32 [3], z TYPE_FP32 [3]"),
        ({"input": [tensor("x", -1)]}, "found x TYPE_FP32 [-1]"),
        ({"input": [tensor("x", 3, 4)]}, "found x TYPE_FP32 [3, 4]"),
        ({"output": [tensor("y", 2, data_type="TYPE_INT8")]}, "found y TYPE_INT8 [2]"),
    ],
)
def test_other_tensors_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        LinearLayer(config(**changes))
    (key,) = changes
    assert str(refused.value).startswith(f"config.pbtxt: {key}: expected")
    assert str(refused.value).endswith(message)
