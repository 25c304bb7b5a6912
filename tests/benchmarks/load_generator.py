"""Closed-loop load on a gRPC endpoint, by Triton's perf_analyzer or by tritonclient."""

import csv
import statistics
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tritonclient.grpc as grpcclient

WINDOWS = 3


@dataclass(frozen=True)
class Load:
    """Result of one measurement: throughput, and the median and 99th percentile of the latency."""

    requests_per_s: float
    p50_us: float
    p99_us: float


def measure(url: str, model: str, concurrency: int, seconds: float, analyzer: str | None) -> Load:
    """Keep `concurrency` requests to `model` in flight for a time, and return the result.

    Args:
        url: host and port of the server's gRPC endpoint.
        model: the name of the model.
        concurrency: the number of requests in flight.
        seconds: the length of the measurement.
        analyzer: the command of perf_analyzer; `None` to use tritonclient.
    """
    if analyzer is not None:
        return _by_analyzer(analyzer, url, model, concurrency, seconds)
    return _by_tritonclient(url, model, concurrency, seconds)


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


def _by_tritonclient(url: str, model: str, concurrency: int, seconds: float) -> Load:
    latencies_s: list[float] = []
    until_s = time.perf_counter() + seconds
    threads = [
        threading.Thread(target=_request_until, args=(url, model, until_s, latencies_s))
        for _ in range(concurrency)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cuts = statistics.quantiles(latencies_s, n=100)
    return Load(len(latencies_s) / seconds, cuts[49] * 1e6, cuts[98] * 1e6)


def _request_until(url: str, model: str, until_s: float, latencies_s: list[float]) -> None:
    tensor = grpcclient.InferInput("input", [1, 16], "FP32")
    tensor.set_data_from_numpy(np.zeros((1, 16), np.float32))
    with grpcclient.InferenceServerClient(url) as client:
        while (started_s := time.perf_counter()) < until_s:
            client.infer(model, [tensor])
            latencies_s.append(time.perf_counter() - started_s)
