from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from router_backend.errors import InvalidRequestError, RouterError
from router_backend.executors.batching import run_each, run_joined
from router_backend.executors.onnx_session import ExecutionError, Tensors


class Model:
    """Twice the input; refuses negative numbers. Remembers what it ran."""

    def __init__(self) -> None:
        self.inputs: list[npt.NDArray[Any]] = []

    @property
    def batch_sizes(self) -> list[int]:
        return [len(x) for x in self.inputs]

    def __call__(self, tensors: Tensors) -> Tensors:
        x = tensors["x"]
        self.inputs.append(x)
        if (x < 0).any():
            raise InvalidRequestError("negative")
        return {"y": 2 * x}


def rows(*values: float, width: int = 1, dtype: type[np.generic] = np.float32) -> dict[str, npt.NDArray[Any]]:
    return {"x": np.tile(np.array(values, dtype=dtype)[:, np.newaxis], (1, width))}


def answers(outcomes: Any) -> list[Any]:
    return [
        str(outcome) if isinstance(outcome, RouterError) else outcome["y"][:, 0].tolist()
        for outcome in outcomes
    ]


def test_requests_are_run_as_one_batch_and_taken_apart() -> None:
    model = Model()
    assert answers(run_joined(model, [rows(1), rows(2, 3), rows(4)])) == [[2], [4, 6], [8]]
    assert model.batch_sizes == [4]


def test_a_single_request_is_not_copied() -> None:
    model, request = Model(), rows(1)
    run_joined(model, [request])
    assert model.inputs[0] is request["x"]


@pytest.mark.parametrize(
    "other", [rows(2, width=3), rows(2, dtype=np.float64), {**rows(2), "z": np.ones((1, 1))}]
)
def test_requests_of_another_kind_are_run_by_themselves(other: Tensors) -> None:
    model = Model()
    assert answers(run_joined(model, [rows(1), other, rows(3)])) == [[2], [4], [6]]
    assert model.batch_sizes == [2, 1]


def test_a_request_that_cannot_be_run_fails_alone() -> None:
    model = Model()
    assert answers(run_joined(model, [rows(1), rows(-1), rows(3)])) == [[2], "negative", [6]]
    assert model.batch_sizes == [3, 1, 1, 1]


def test_a_single_request_that_fails_is_not_tried_twice() -> None:
    model = Model()
    assert answers(run_joined(model, [rows(-1)])) == ["negative"]
    assert model.batch_sizes == [1]


def test_an_output_without_the_batch_is_not_dealt_out() -> None:
    outcomes = run_joined(lambda tensors: {"y": tensors["x"].sum(keepdims=True)}, [rows(1), rows(2)])
    assert answers(outcomes) == [[1], [2]]


def test_without_batching_each_request_is_run_by_itself() -> None:
    model = Model()
    assert answers(run_each(model, [rows(1), rows(-1), rows(3)])) == [[2], "negative", [6]]
    assert model.batch_sizes == [1, 1, 1]


def test_an_error_that_is_no_ones_request_is_not_swallowed() -> None:
    def broken(_: Tensors) -> Tensors:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_joined(broken, [rows(1), rows(2)])


def test_a_failure_of_the_provider_reaches_every_request_that_it_hits() -> None:
    def failing(_: Tensors) -> Tensors:
        raise ExecutionError("out of memory")

    assert answers(run_joined(failing, [rows(1), rows(2)])) == ["out of memory", "out of memory"]
