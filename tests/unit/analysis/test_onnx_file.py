"""Invalid files are refused with the path and a fix."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from router_backend.analysis.onnx_analysis import analyze_onnx
from router_backend.analysis.onnx_file import LARGEST_BYTES
from router_backend.errors import ConfigurationError
from tests.onnx_models import constant, floats, write_doubler


def refusal(path: Path) -> str:
    with pytest.raises(ConfigurationError) as error:
        analyze_onnx(path)
    message = str(error.value)
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


def save(path: Path, nodes: list[onnx.NodeProto], opset: int = 17) -> Path:
    graph = helper.make_graph(nodes, "g", [floats("x", 4)], [floats("y", 4)])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "m.onnx") == ": expected an ONNX file, found no such file; name another"


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = write_doubler(tmp_path / "m.onnx")
    path.write_bytes(path.read_bytes()[:-7])
    assert "found one that is truncated or of another kind" in refusal(path)


@pytest.mark.parametrize("content", [b"no protobuf at all", b"<html>"])
def test_a_file_of_another_format_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    assert "found one that is truncated or of another kind" in refusal(path)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.touch()
    assert "expected a model with operators, found none" in refusal(path)


def test_a_file_too_large_for_protobuf_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    with path.open("wb") as file:
        file.truncate(LARGEST_BYTES + 1)
    assert "expected at most 2 GB" in refusal(path)


def test_an_operator_missing_from_the_opset_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [helper.make_node("Frobnicate", ["x"], ["y"], name="n1")])
    assert ", node 'n1': expected an operator of opset 17, found 'Frobnicate'" in refusal(path)


def test_an_opset_newer_than_the_package_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [helper.make_node("Relu", ["x"], ["y"])], opset=999)
    assert "found 999; update the package 'onnx'" in refusal(path)


def test_a_cycle_is_refused_with_its_path(tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["x", "b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]
    path = save(tmp_path / "m.onnx", [*nodes, helper.make_node("Relu", ["b"], ["y"])])
    assert "expected a graph without cycles, found" in refusal(path)


def test_a_value_that_no_node_produces_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "m.onnx", [helper.make_node("Add", ["x", "ghost"], ["y"], name="n1")])
    assert "node 'n1' (Add): expected a node that produces the value 'ghost'" in refusal(path)


def external(folder: Path) -> Path:
    node = helper.make_node("Add", ["x", "w"], ["y"])
    weights = constant("w", np.zeros(4), np.float32)
    graph = helper.make_graph([node], "g", [floats("x", 4)], [floats("y", 4)], initializer=[weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    folder.mkdir()
    onnx.save(model, folder / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    return folder / "m.onnx"


@pytest.mark.parametrize("left_bytes", [0, 15])
def test_missing_or_truncated_external_data_is_refused(tmp_path: Path, left_bytes: int) -> None:
    path = external(tmp_path / "m")
    data = path.with_name("w.bin")
    data.write_bytes(data.read_bytes()[:left_bytes])
    assert ", tensor 'w': expected 16 bytes of external data in 'w.bin'" in refusal(path)
    data.unlink()
    assert "found fewer or no such file" in refusal(path)


def test_external_data_outside_of_the_folder_is_refused(tmp_path: Path) -> None:
    path = external(tmp_path / "m")
    model = onnx.load(path, load_external_data=False)
    for entry in model.graph.initializer[0].external_data:
        if entry.key == "location":
            entry.value = "../w.bin"
    onnx.save(model, path)
    assert "expected data in the file's own folder, found '../w.bin'" in refusal(path)
