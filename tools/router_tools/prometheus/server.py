"""A temporary Prometheus server on a free port, queried by its HTTP API."""

import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import urllib3

from router_tools.embedded_triton.ports import choose_ports
from router_tools.errors import ToolError
from router_tools.prometheus.package import PrometheusPrograms

_POLL_S = 0.05
_HOST = "127.0.0.1"
_GRACE_S = 20.0


class PrometheusServer:
    """Context manager that runs Prometheus; it is ready on entry, and stopped and cleaned up on exit.

    Args:
        programs: the programs, from `obtain_prometheus`.
        config: the configuration file; relative paths in it are relative to its folder.
        start_timeout_s: how long to wait until it is ready.
    """

    def __init__(self, programs: PrometheusPrograms, config: Path, start_timeout_s: float = 30.0) -> None:
        self._programs = programs
        self._config = config
        self._start_timeout_s = start_timeout_s
        (self._port,) = choose_ports(_HOST, None)
        self._pool = urllib3.PoolManager(retries=False, timeout=10.0)
        self._cleanup = ExitStack()

    @property
    def url(self) -> str:
        """The URL of its HTTP API."""
        return f"http://{_HOST}:{self._port}"

    def __enter__(self) -> "PrometheusServer":
        with ExitStack() as cleanup:
            folder = Path(cleanup.enter_context(TemporaryDirectory(prefix="model-router-prometheus-")))
            log = cleanup.enter_context((folder / "log").open("wb"))
            process = self._spawn(folder / "data", log)
            cleanup.callback(_stop, process)
            self._wait_ready(process, folder / "log")
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the current result of a PromQL expression.

        Raises:
            ToolError: the expression is invalid or cannot be evaluated.
        """
        series: list[dict[str, Any]] = self._get("query", query=expression)["result"]
        return series

    def rules(self) -> list[dict[str, Any]]:
        """Return the rules, each with its `health` ("ok" once evaluated) and `lastError`."""
        return [rule for group in self._get("rules")["groups"] for rule in group["rules"]]

    def targets(self) -> list[dict[str, Any]]:
        """Return the scrape targets, each with its `health` ("up" once scraped) and `lastError`."""
        targets: list[dict[str, Any]] = self._get("targets")["activeTargets"]
        return targets

    def _get(self, endpoint: str, **fields: str) -> dict[str, Any]:
        response = self._pool.request("GET", f"{self.url}/api/v1/{endpoint}", fields=fields).json()
        if response["status"] != "success":
            raise ToolError(f"Prometheus rejected the request '{endpoint}' {fields}: {response['error']}")
        data: dict[str, Any] = response["data"]
        return data

    def _spawn(self, data: Path, log: BinaryIO) -> subprocess.Popen[bytes]:
        arguments = [
            f"--config.file={self._config}",
            f"--storage.tsdb.path={data}",
            f"--web.listen-address={_HOST}:{self._port}",
        ]
        return subprocess.Popen(
            [self._programs.server, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )

    def _wait_ready(self, process: subprocess.Popen[bytes], log: Path) -> None:
        deadline_s = time.monotonic() + self._start_timeout_s
        while not self._is_ready():
            if process.poll() is not None or time.monotonic() > deadline_s:
                last_line = log.read_text(errors="replace").strip().splitlines()[-1:]
                raise ToolError(
                    f"Prometheus did not start with {self._config}; the last line of its log is: "
                    f"{''.join(last_line)}"
                )
            time.sleep(_POLL_S)

    def _is_ready(self) -> bool:
        try:
            return self._pool.request("GET", f"{self.url}/-/ready").status == 200
        except urllib3.exceptions.HTTPError:  # it is not listening yet
            return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
