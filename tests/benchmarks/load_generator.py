"""Closed-loop load on a gRPC endpoint, by Triton's perf_analyzer or by tritonclient."""

import csv
import statistics
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import tritonclient.grpc as grpcclient

WINDOWS = 3


@dataclass(frozen=True)
class Load:
    """Result of one measurement: throughput, the median and 99th percentile of the latency, and CPU time.

    CPU time is that of the server and the processes of its models, for one request.
    """

    requests_per_s: float
    p50_us: float
    p99_us: float
    cpu_us: float = 0.0


def measure(
    pid: int, url: str, elements: int, seconds: float, analyzer: str | None, model: str, concurrency: int
) -> Load:
    """Keep `concurrency` requests to `model` in flight for a time, and return the result.

    Args:
        pid: the server's process.
        url: host and port of the server's gRPC endpoint.
        elements: the number of elements of the input.
        seconds: the length of the measurement.
        analyzer: the command of perf_analyzer; `None` to use tritonclient.
        model: the name of the model.
        concurrency: the number of requests in flight.
    """
    before_s, executed = _cpu_s(pid), _executions(url, model)
    if analyzer is not None:
        load = _by_analyzer(analyzer, url, model, concurrency, seconds)
    else:
        load = _by_tritonclient(url, model, concurrency, seconds, elements)
    requests = _executions(url, model) - executed
    return replace(load, cpu_us=(_cpu_s(pid) - before_s) / requests * 1e6)


def _cpu_s(pid: int) -> float:
    server = psutil.Process(pid)
    times = [process.cpu_times() for process in (server, *server.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def _executions(url: str, model: str) -> int:
    with grpcclient.InferenceServerClient(url) as client:
        return int(client.get_inference_statistics(model).model_stats[0].inference_stats.success.count)


def _by_analyzer(analyzer: str, url: str, model: str, concurrency: int, seconds: float) -> Load:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.csv"
        command = [*analyzer.split(), "-m", model, "-u", url, "-i", "grpc", "-f", str(report)]
        # perf_analyzer repeats until three windows agree; with this tolerance, the first three always do.
        window_ms = str(int(seconds * 1e3 / WINDOWS))
        command += ["--concurrency-range", str(concurrency), "-p", window_ms, "-r", str(WINDOWS), "-s", "999"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: exit status {done.returncode}: {done.stderr}")
        with report.open() as lines:
            row = next(csv.DictReader(lines))
    return Load(float(row["Inferences/Second"]), float(row["p50 latency"]), float(row["p99 latency"]))


def _by_tritonclient(url: str, model: str, concurrency: int, seconds: float, elements: int) -> Load:
    latencies_s: list[float] = []
    until_s = time.perf_counter() + seconds
    threads = [
        threading.Thread(target=_request_until, args=(url, model, until_s, latencies_s, elements))
        for _ in range(concurrency)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cuts = statistics.quantiles(latencies_s, n=100)
    return Load(len(latencies_s) / seconds, cuts[49] * 1e6, cuts[98] * 1e6)


def _request_until(url: str, model: str, until_s: float, latencies_s: list[float], elements: int) -> None:
    tensor = grpcclient.InferInput("input", [1, elements], "FP32")
    tensor.set_data_from_numpy(np.zeros((1, elements), np.float32))
    with grpcclient.InferenceServerClient(url) as client:
        while (started_s := time.perf_counter()) < until_s:
            client.infer(model, [tensor])
            latencies_s.append(time.perf_counter() - started_s)
