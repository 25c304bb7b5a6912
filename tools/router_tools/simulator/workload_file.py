"""Reads a workload from its data file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from router_tools.simulator.document import Document, read_document
from router_tools.simulator.recorded import recorded_workload
from router_tools.simulator.trace import read_trace
from router_tools.simulator.workload import Bursty, Deadline, Poisson, Workload, log_uniform, probabilities

_AS_THEY_ARE = ("description", "load", "requests", "told_deadline", "refuse_late")


def read_workload(path: Path) -> Workload:
    """Read a workload.

    Raises:
        ToolError: the file is wrong: where, what was expected and found.
    """
    document = read_document(path, "workload")
    content = document.content
    given = {name: content[name] for name in _AS_THEY_ARE if name in content}
    if "deadline" in content:
        given["deadline"] = Deadline(**content["deadline"])
    if "warm_up_batch_sizes" in content:
        given["warm_up_batch_sizes"] = tuple(content["warm_up_batch_sizes"])
    if "recorded" in content["arrivals"]:
        return replace(_recorded(document), **given)
    arrivals = Bursty(**content["arrivals"]["bursty"]) if "bursty" in content["arrivals"] else Poisson()
    return Workload(name=path.stem, arrivals=arrivals, sizes=_sizes(document), **given)


def _recorded(document: Document) -> Workload:
    for name in ("batch_sizes", "sequence_lengths"):
        if name in document.content:
            raise document.error((name,), "expected nothing, since the sizes come from the trace, found some")
    trace = document.path.parent / document.content["arrivals"]["recorded"]["trace"]
    return recorded_workload(document.path.stem, read_trace(trace))


def _sizes(document: Document) -> dict[tuple[int, int], float]:
    batch_sizes = _batch_sizes(document, document.content.get("batch_sizes", {"fixed": 1}))
    lengths = _by_number(document.content.get("sequence_lengths", {"1": 1.0}))
    return {
        (batch_size, length): batch_share * length_share
        for batch_size, batch_share in batch_sizes.items()
        for length, length_share in lengths.items()
    }


def _batch_sizes(document: Document, entry: dict[str, Any]) -> dict[int, float]:
    if "fixed" in entry:
        return {entry["fixed"]: 1.0}
    if "weights" in entry:
        return _by_number(entry["weights"])
    smallest, largest = entry["log_uniform"]["from"], entry["log_uniform"]["to"]
    if largest < smallest:
        raise document.error(
            ("batch_sizes", "log_uniform", "to"), f"expected at least 'from' ({smallest}), found {largest}"
        )
    return log_uniform(smallest, largest)


def _by_number(weights: dict[str, float]) -> dict[int, float]:
    return probabilities({int(value): weight for value, weight in weights.items()})
