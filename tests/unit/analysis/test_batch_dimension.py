"""Which dynamic first dimension is a batch: its items do not affect each other."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from router_backend.analysis.onnx_analysis import analyze_onnx
from router_backend.core.records.characteristics import ModelCharacteristics
from router_backend.core.records.variant import Device
from router_backend.core.variants.device_fit import fit
from tests.onnx_models import constant, floats, write_model

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def ones(name: str, *shape: int) -> Any:
    return constant(name, np.ones(shape), np.float32)


def analyzed(
    path: Path, nodes: list[Any], inputs: list[Any], outputs: list[Any], constants: list[Any]
) -> ModelCharacteristics:
    """Return what is found in a model that ONNX Runtime can run."""
    write_model(path, nodes, inputs, outputs, constants)
    onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return analyze_onnx(path)


def recurrent(path: Path, operator: str, length: int | str, batch: int | str) -> ModelCharacteristics:
    """Analyze a cell that reads [length, batch, 3]."""
    gates = GATES[operator]
    node = helper.make_node(operator, ["x", "w", "r"], ["y"], hidden_size=5)
    weights = [ones("w", 1, 5 * gates, 3), ones("r", 1, 5 * gates, 5)]
    return analyzed(
        path, [node], [floats("x", length, batch, 3)], [floats("y", length, 1, batch, 5)], weights
    )


@pytest.mark.parametrize("operator", GATES)
def test_the_steps_of_a_recurrent_cell_are_no_batch(tmp_path: Path, operator: str) -> None:
    model = recurrent(tmp_path / "m.onnx", operator, "n", 1)
    assert model.dynamic_dimensions == ("x[0]",)
    assert (model.macs, model.activation_bytes) == (None, None)
    assert recurrent(tmp_path / "m.onnx", operator, 7, 1).macs == 7 * GATES[operator] * 5 * (3 + 5)
    assert recurrent(tmp_path / "m.onnx", operator, "n", "k").dynamic_dimensions == ("x[0]", "x[1]")


def test_a_batch_that_is_moved_behind_the_steps_is_one(tmp_path: Path) -> None:
    """As PyTorch exports a cell that reads the batch first, here with the state for each item."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0, 2]),
        helper.make_node("GRU", ["t", "w", "r", "", "", "h"], ["", "y"], hidden_size=5),
    ]
    weights = [ones("w", 1, 15, 3), ones("r", 1, 15, 5)]
    inputs = [floats("x", "n", 7, 3), floats("h", 1, "n", 5)]
    model = analyzed(tmp_path / "m.onnx", nodes, inputs, [floats("y", 1, "n", 5)], weights)
    assert model.dynamic_dimensions == ()
    assert model.macs == 7 * 15 * (3 + 5)


def test_a_cell_that_reads_the_batch_first_by_its_attribute_has_one(tmp_path: Path) -> None:
    node = helper.make_node("RNN", ["x", "w", "r"], ["y"], hidden_size=5, layout=1)
    weights = [ones("w", 1, 5, 3), ones("r", 1, 5, 5)]
    path = write_model(
        tmp_path / "m.onnx", [node], [floats("x", "n", 7, 3)], [floats("y", "n", 7, 1, 5)], weights
    )
    assert analyze_onnx(path).dynamic_dimensions == ()
    assert analyze_onnx(path).macs == 7 * 5 * (3 + 5)


@pytest.mark.parametrize("length", ["n", None])
def test_tokens_that_attend_to_each_other_are_no_batch(tmp_path: Path, length: str | None) -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0]),
        helper.make_node("MatMul", ["x", "t"], ["scores"]),
        helper.make_node("MatMul", ["scores", "x"], ["y"]),
    ]
    inputs = [floats("x", length, 8)]  # type: ignore[arg-type]
    model = analyzed(tmp_path / "m.onnx", nodes, inputs, [floats("y", length, 8)], [])  # type: ignore[arg-type]
    assert model.dynamic_dimensions == ("x[0]",)
    assert model.macs is None
    assert "x[0] is dynamic, neural_engine" in (fit(model, Device.NEURAL_ENGINE).reason_out or "")


def test_a_batch_without_a_name_is_one(tmp_path: Path) -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    inputs, outputs = [floats("x", None, 8)], [floats("y", None, 2)]  # type: ignore[arg-type]
    model = analyzed(tmp_path / "m.onnx", [node], inputs, outputs, [ones("w", 8, 2)])
    assert (model.dynamic_dimensions, model.macs) == ((), 16)


@pytest.mark.parametrize(("steps", "items"), [("steps", "items"), (None, None)])
def test_inputs_of_their_own_batches_are_told_apart(
    tmp_path: Path, steps: str | None, items: str | None
) -> None:
    """A sequence beside items: only the latter are a batch."""
    nodes = [
        helper.make_node("RNN", ["x", "w", "r"], ["", "h"], hidden_size=5),
        helper.make_node("Relu", ["z"], ["y"]),
    ]
    weights = [ones("w", 1, 5, 3), ones("r", 1, 5, 5)]
    inputs = [floats("x", steps, 1, 3), floats("z", items, 4)]  # type: ignore[arg-type]
    outputs = [floats("h", 1, 1, 5), floats("y", items, 4)]  # type: ignore[arg-type]
    assert analyzed(tmp_path / "m.onnx", nodes, inputs, outputs, weights).dynamic_dimensions == ("x[0]",)


def test_the_batch_is_one_in_the_declared_shape_of_an_unknown_operators_value_too(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Strange", ["x"], ["u"], domain="com.example"),
        helper.make_node("MatMul", ["u", "w"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [floats("x", "n", 8)],
        [floats("y", "n", 2)],
        initializer=[ones("w", 8, 2)],
        value_info=[floats("u", "n", 8)],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.example", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "m.onnx")
    model = analyze_onnx(tmp_path / "m.onnx")
    assert (model.macs, model.activation_bytes) == (16, 4 * (8 + 2))
