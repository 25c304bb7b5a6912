from collections import Counter

import onnx
import pytest

from router_tools.demo.architecture import ARCHITECTURES, RESNET50, SQUEEZENET, Architecture
from router_tools.demo.graph import servable


def operators(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def tensor(value: onnx.ValueInfoProto) -> tuple[str, int, list[int | str]]:
    kind = value.type.tensor_type
    return value.name, kind.elem_type, [size.dim_param or size.dim_value for size in kind.shape.dim]


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=lambda each: each.name)
class TestServable:
    def test_the_tensors_have_clear_names_and_any_batch_size(self, architecture: Architecture) -> None:
        graph = servable(onnx.load(architecture.path), architecture.name).graph
        assert [tensor(value) for value in graph.input] == [("images", 1, ["batch", 3, 224, 224])]
        assert [tensor(value) for value in graph.output] == [("probabilities", 1, ["batch", 1000])]

    def test_the_opset_knows_quantization_per_channel(self, architecture: Architecture) -> None:
        model = servable(onnx.load(architecture.path), architecture.name)
        assert [(opset.domain, opset.version >= 13) for opset in model.opset_import] == [("", True)]

    def test_the_source_is_left_as_it_is(self, architecture: Architecture) -> None:
        source = onnx.load(architecture.path)
        servable(source, architecture.name)
        assert source == onnx.load(architecture.path)


def test_resnet50_keeps_its_architecture() -> None:
    before = operators(onnx.load(RESNET50.path))
    after = operators(servable(onnx.load(RESNET50.path), "resnet50"))
    assert after == before - Counter({"Sum": 16}) + Counter({"Add": 16, "Reshape": 1})


def test_squeezenet_keeps_its_architecture() -> None:
    before = operators(onnx.load(SQUEEZENET.path))
    after = operators(servable(onnx.load(SQUEEZENET.path), "squeezenet"))
    assert after == before - Counter({"Dropout": 1}) + Counter({"Reshape": 1})
