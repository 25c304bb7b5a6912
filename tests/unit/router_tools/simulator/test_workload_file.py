import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from router_tools.errors import ToolError
from router_tools.simulator.catalog import find, names
from router_tools.simulator.workload import Bursty, Recorded, log_uniform
from router_tools.simulator.workload_file import read_workload


def write(folder: Path, **content: Any) -> Path:
    path = folder / "mine.json"
    path.write_text(json.dumps({"description": "Mine.", "arrivals": {"poisson": {}}} | content, indent=1))
    return path


def write_trace(folder: Path) -> None:
    lines = [{"arrival_s": 7.0 + second, "batch_size": 2, "elements": 256} for second in range(3)]
    (folder / "t.jsonl").write_text("\n".join(map(json.dumps, lines)))


@pytest.mark.parametrize("name", names("workloads"))
def test_every_workload_that_comes_along_is_valid(name: str) -> None:
    workload = read_workload(find("workloads", name))
    assert sum(workload.sizes.values()) == pytest.approx(1.0)


def test_log_uniform_sizes_are_as_likely_in_each_octave() -> None:
    sizes = log_uniform(1, 31)
    octaves = [sum(sizes[size] for size in range(low, 2 * low)) for low in (1, 2, 4, 8, 16)]
    assert octaves == pytest.approx([0.2] * 5)


def test_sizes_and_lengths_are_independent(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        batch_sizes={"weights": {"1": 3, "8": 1}},
        sequence_lengths={"128": 1, "384": 1},
    )
    workload = read_workload(path)
    assert workload.sizes == {(1, 128): 0.375, (1, 384): 0.375, (8, 128): 0.125, (8, 384): 0.125}


def test_what_is_left_out_gets_the_documented_value(tmp_path: Path) -> None:
    workload = read_workload(write(tmp_path))
    assert workload.sizes == {(1, 1): 1.0}
    assert (workload.load, workload.requests) == (0.5, 6000)
    assert (workload.deadline.times_best_service, workload.deadline.fixed_ms) == (3.0, None)
    assert (workload.told_deadline, workload.refuse_late) == (False, False)
    assert (workload.content_sigma, workload.warm_up_batch_sizes) == (0.0, (1, 1, 8, 8))


def test_everything_that_is_said_is_read(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        arrivals={"bursty": {"burst_factor": 5, "mean_burst_s": 1, "mean_calm_s": 2}},
        batch_sizes={"fixed": 4},
        load=0.8,
        requests=10,
        deadline={"fixed_ms": 40},
        told_deadline=True,
        refuse_late=True,
        content_sigma=0.6,
        priorities={"-1": 3, "2": 1},
        warm_up_batch_sizes=[2],
    )
    workload = read_workload(path)
    assert workload.arrivals == Bursty(5, 1, 2)
    assert workload.content_sigma == 0.6
    assert workload.sizes == {(4, 1): 1.0}
    assert (workload.load, workload.requests, workload.deadline.fixed_ms) == (0.8, 10, 40)
    assert (workload.told_deadline, workload.refuse_late) == (True, True)
    assert workload.priorities == {-1: 0.75, 2: 0.25}
    assert workload.warm_up_batch_sizes == (2,)


def test_a_recorded_workload_has_the_arrivals_and_sizes_of_its_trace(tmp_path: Path) -> None:
    write_trace(tmp_path)
    workload = read_workload(write(tmp_path, arrivals={"recorded": {"trace": "t.jsonl"}}))
    assert isinstance(workload.arrivals, Recorded)
    np.testing.assert_array_equal(workload.arrivals.arrival_s, [0.0, 1.0, 2.0])
    assert workload.sizes == {(2, 128): 1.0}
    assert (workload.load, workload.requests, workload.usual_length) == (None, 3, 128)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"load": 0}, "line 6: load: expected a number above 0 and up to 1000, found 0"),
        (
            {"arrivals": {"uniform": {}}},
            "line 3: arrivals: expected a known key, found 'uniform'; use one of poisson, bursty, recorded",
        ),
        (
            {"batch_sizes": {"log_uniform": {"from": 8, "to": 4}}},
            "line 9: batch_sizes.log_uniform.to: expected at least 'from' (8), found 4",
        ),
        (
            {"batch_sizes": {"log_uniform": {"from": 1, "to": 10**12}}},
            "line 9: batch_sizes.log_uniform.to: expected a whole number from 1 to 65536, found "
            "1000000000000",
        ),
        (
            {"requests": 10**12},
            "line 6: requests: expected a whole number from 1 to 100000000, found 1000000000000",
        ),
        (
            {"sequence_lengths": {"9" * 30: 1}},
            "line 7: sequence_lengths.999999999999999999999999999999: expected a whole number "
            "above 0, of 9 digits at most, as a name, found '999999999999999999999999999999'",
        ),
        (
            {"sequence_lengths": {"1": 1e300}},
            "line 7: sequence_lengths.1: expected a number above 0 and up to 1000000000, found 1e+300",
        ),
        (
            {"batch_sizes": {"weights": {}}},
            "line 7: batch_sizes.weights: expected an object with at least one key, found an empty object",
        ),
        (
            {"arrivals": {"recorded": {"trace": "t.jsonl"}}, "batch_sizes": {"fixed": 1}},
            "line 8: batch_sizes: expected nothing, since the sizes are those of the trace, found some",
        ),
        ({"told_deadline": "yes"}, "line 6: told_deadline: expected true or false, found 'yes'"),
    ],
)
def test_an_error_names_file_line_field_and_what_was_expected(
    tmp_path: Path, content: dict[str, Any], message: str
) -> None:
    path = write(tmp_path, **content)
    with pytest.raises(ToolError) as caught:
        read_workload(path)
    assert str(caught.value) == f"{path}, {message}"


def test_more_requests_than_were_recorded_are_refused(tmp_path: Path) -> None:
    write_trace(tmp_path)
    path = write(tmp_path, arrivals={"recorded": {"trace": "t.jsonl"}}, requests=4)
    with pytest.raises(ToolError, match="expected at most the 3 that were recorded, found 4"):
        read_workload(path)
