from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from router_backend.errors import InvalidRequestError, RouterError
from router_backend.executors.batching import run_each, run_joined
from router_backend.executors.onnx_session import ExecutionError, Tensors


class Model:
    """Doubles its input, rejects negative numbers, and records the inputs of each run."""

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


def results(outcomes: Any) -> list[Any]:
    return [
        str(outcome) if isinstance(outcome, RouterError) else outcome["y"][:, 0].tolist()
        for outcome in outcomes
    ]


def test_requests_are_run_as_one_batch() -> None:
    model = Model()
    assert results(run_joined(model, [rows(1), rows(2, 3), rows(4)])) == [[2], [4, 6], [8]]
    assert model.batch_sizes == [4]


def test_a_single_request_is_not_copied() -> None:
    model, request = Model(), rows(1)
    run_joined(model, [request])
    assert model.inputs[0] is request["x"]


@pytest.mark.parametrize(
    "other", [rows(2, width=3), rows(2, dtype=np.float64), {**rows(2), "z": np.ones((1, 1))}]
)
def test_incompatible_requests_are_run_separately(other: Tensors) -> None:
    model = Model()
    assert results(run_joined(model, [rows(1), other, rows(3)])) == [[2], [4], [6]]
    assert model.batch_sizes == [2, 1]


def test_an_invalid_request_fails_alone() -> None:
    model = Model()
    assert results(run_joined(model, [rows(1), rows(-1), rows(3)])) == [[2], "negative", [6]]
    assert model.batch_sizes == [3, 1, 1, 1]


def test_a_single_failed_request_is_not_retried() -> None:
    model = Model()
    assert results(run_joined(model, [rows(-1)])) == ["negative"]
    assert model.batch_sizes == [1]


def test_an_output_without_batch_dimension_is_not_split() -> None:
    outcomes = run_joined(lambda tensors: {"y": tensors["x"].sum(keepdims=True)}, [rows(1), rows(2)])
    assert results(outcomes) == [[1], [2]]


def test_without_batching_each_request_is_run_separately() -> None:
    model = Model()
    assert results(run_each(model, [rows(1), rows(-1), rows(3)])) == [[2], "negative", [6]]
    assert model.batch_sizes == [1, 1, 1]


def test_an_unexpected_error_is_raised() -> None:
    def broken(_: Tensors) -> Tensors:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_joined(broken, [rows(1), rows(2)])


def test_a_failure_of_the_provider_fails_every_request() -> None:
    def failing(_: Tensors) -> Tensors:
        raise ExecutionError("out of memory")

    assert results(run_joined(failing, [rows(1), rows(2)])) == ["out of memory", "out of memory"]
