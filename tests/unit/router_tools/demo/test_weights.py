import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from router_tools.demo.architecture import RESNET50, SQUEEZENET, Architecture
from router_tools.demo.graph import servable
from router_tools.demo.weights import fill_with_random_weights


def filled(architecture: Architecture, seed: int = 0) -> onnx.ModelProto:
    model = servable(onnx.load(architecture.path), architecture.name)
    fill_with_random_weights(model, seed)
    return model


def arrays(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}


@pytest.fixture(scope="module")
def resnet50() -> onnx.ModelProto:
    return filled(RESNET50)


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert filled(SQUEEZENET, 7).SerializeToString() == filled(SQUEEZENET, 7).SerializeToString()


def test_another_seed_gives_other_weights() -> None:
    assert not np.array_equal(
        arrays(filled(SQUEEZENET, 7))["conv1_w_0"], arrays(filled(SQUEEZENET, 8))["conv1_w_0"]
    )


def test_no_constant_weight_is_left(resnet50: onnx.ModelProto) -> None:
    assert not [node for node in resnet50.graph.node if node.op_type == "ConstantOfShape"]


def test_every_initializer_is_used(resnet50: onnx.ModelProto) -> None:
    used = {name for node in resnet50.graph.node for name in node.input}
    assert set(arrays(resnet50)) <= used


def test_convolutions_have_the_deviation_of_he(resnet50: onnx.ModelProto) -> None:
    weights = arrays(resnet50)["res3_1_branch2b_w_0"]
    assert weights.shape == (128, 128, 3, 3)
    assert weights.std() == pytest.approx(np.sqrt(2 / (128 * 3 * 3)), rel=0.02)
    assert weights.mean() == pytest.approx(0, abs=1e-3)


def test_normalisations_change_nothing_but_the_end_of_a_residual_branch(resnet50: onnx.ModelProto) -> None:
    weights = arrays(resnet50)
    parts = {part: set(weights[f"res3_1_branch2b_bn_{part}_0"].tolist()) for part in ("s", "b", "rm", "riv")}
    assert parts == {"s": {1.0}, "b": {0.0}, "rm": {0.0}, "riv": {1.0}}
    assert set(weights["res3_1_branch2c_bn_s_0"].tolist()) == {0.25}
