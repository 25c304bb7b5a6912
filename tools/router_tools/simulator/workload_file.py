"""Reads a workload from its data file."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from msgspec import UNSET

from router_backend.typed_load import given
from router_tools.simulator.document import read_document
from router_tools.simulator.recorded import recorded_workload
from router_tools.simulator.schema.workload import BatchSizesFile, WorkloadFile
from router_tools.simulator.trace import read_trace
from router_tools.simulator.workload import Bursty, Deadline, Poisson, Workload, log_uniform, probabilities

_AS_THEY_ARE = (
    "description",
    "load",
    "requests",
    "told_deadline",
    "refuse_late",
    "content_sigma",
    "copies",
    "warm_up_batch_sizes",
)


def read_workload(path: Path) -> Workload:
    """Read a workload.

    Raises:
        ToolError: everything that is wrong in the file, or the trace that it names.
    """
    file = read_document(path, WorkloadFile).content
    said: dict[str, Any] = {name: value for name, value in given(file).items() if name in _AS_THEY_ARE}
    if file.deadline is not UNSET:
        said["deadline"] = Deadline(**given(file.deadline))
    if file.priorities is not UNSET:
        said["priorities"] = _by_number(file.priorities)
    arrivals = file.arrivals
    if arrivals.recorded is not UNSET:
        trace = read_trace(path.parent / arrivals.recorded.trace)
        return replace(recorded_workload(path.stem, trace), **said)
    process = Poisson() if arrivals.bursty is UNSET else Bursty(**given(arrivals.bursty))
    return Workload(name=path.stem, arrivals=process, sizes=_sizes(file), **said)


def _sizes(file: WorkloadFile) -> dict[tuple[int, int], float]:
    batch_sizes = {1: 1.0} if file.batch_sizes is UNSET else _batch_sizes(file.batch_sizes)
    lengths = {1: 1.0} if file.sequence_lengths is UNSET else _by_number(file.sequence_lengths)
    return {
        (batch_size, length): batch_share * length_share
        for batch_size, batch_share in batch_sizes.items()
        for length, length_share in lengths.items()
    }


def _batch_sizes(file: BatchSizesFile) -> dict[int, float]:
    if file.fixed is not UNSET:
        return {file.fixed: 1.0}
    if file.weights is not UNSET:
        return _by_number(file.weights)
    assert file.log_uniform is not UNSET
    return log_uniform(file.log_uniform.smallest, file.log_uniform.largest)


def _by_number(weights: Mapping[str, float]) -> dict[int, float]:
    return probabilities({int(value): weight for value, weight in weights.items()})
