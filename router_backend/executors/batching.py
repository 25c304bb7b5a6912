"""Execution of several requests as one batch."""

from collections.abc import Callable, Hashable, Sequence

import numpy as np

from router_backend.errors import RouterError
from router_backend.executors.onnx_session import ExecutionError, Tensors

Run = Callable[[Tensors], Tensors]
Outcome = Tensors | RouterError


def run_joined(run: Run, requests: Sequence[Tensors]) -> list[Outcome]:
    """Run requests as one batch, concatenated along their first dimension.

    Requests are concatenated if their inputs have the same names, types and other dimensions. If a batch
    fails, its requests are run one by one, so that only invalid requests get an error.

    Args:
        run: runs the model; raises `RouterError` if it fails.
        requests: the inputs of each request, by name; their first dimension is the batch.

    Returns:
        The outputs or the error of each request, in the same order.
    """
    groups: dict[Hashable, list[int]] = {}
    for index, request in enumerate(requests):
        groups.setdefault(_signature(request), []).append(index)
    outcomes: dict[int, Outcome] = {}
    for indices in groups.values():
        outcomes.update(zip(indices, _run_group(run, [requests[i] for i in indices]), strict=True))
    return [outcomes[index] for index in range(len(requests))]


def run_each(run: Run, requests: Sequence[Tensors]) -> list[Outcome]:
    """Run requests one by one, with the same arguments and result as `run_joined`."""
    return [_attempt(run, request) for request in requests]


def _signature(request: Tensors) -> Hashable:
    return tuple((name, array.dtype.str, array.shape[1:]) for name, array in sorted(request.items()))


def _run_group(run: Run, requests: Sequence[Tensors]) -> list[Outcome]:
    if len(requests) == 1:
        return run_each(run, requests)
    sizes = [next(iter(request.values())).shape[0] for request in requests]
    joined = {name: np.concatenate([request[name] for request in requests]) for name in requests[0]}
    try:
        return list(_split(run(joined), sizes))
    except RouterError:
        return run_each(run, requests)


def _attempt(run: Run, request: Tensors) -> Outcome:
    try:
        return run(request)
    except RouterError as error:
        return error


def _split(outputs: Tensors, sizes: Sequence[int]) -> list[Tensors]:
    """Split outputs along their first dimension into views, one for each request."""
    for name, array in outputs.items():
        if array.shape[:1] != (sum(sizes),):
            raise ExecutionError(
                f"output '{name}' has the shape {array.shape} for a batch of {sum(sizes)}: its first "
                "dimension must be the batch"
            )
    bounds = np.cumsum(sizes)[:-1]
    parts = {name: np.split(array, bounds) for name, array in outputs.items()}
    return [{name: parts[name][index] for name in parts} for index in range(len(sizes))]
