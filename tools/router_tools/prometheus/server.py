"""A Prometheus of one's own: on a free port, asked by its HTTP API, ended with nothing left behind."""

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
    """A running Prometheus; as a context manager it is ready inside and gone afterwards.

    Args:
        programs: what `obtain_prometheus` gives.
        config: its configuration; files that it names by relative paths are looked for beside it.
        start_timeout_s: how long it may take to get ready.
    """

    def __init__(self, programs: PrometheusPrograms, config: Path, start_timeout_s: float = 30.0) -> None:
        self._programs = programs
        self._config = config
        self._start_timeout_s = start_timeout_s
        (self._port,) = choose_ports(_HOST, None)
        self._pool = urllib3.PoolManager(retries=False, timeout=10.0)
        self._undo = ExitStack()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{_HOST}:{self._port}"

    def __enter__(self) -> "PrometheusServer":
        with ExitStack() as undo:
            folder = Path(undo.enter_context(TemporaryDirectory(prefix="model-router-prometheus-")))
            log = undo.enter_context((folder / "log").open("wb"))
            process = self._spawn(folder / "data", log)
            undo.callback(_end, process)
            self._wait_ready(process, folder / "log")
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that an expression gives now.

        Raises:
            ToolError: Prometheus refuses the expression or cannot evaluate it.
        """
        series: list[dict[str, Any]] = self._ask("query", query=expression)["result"]
        return series

    def rules(self) -> list[dict[str, Any]]:
        """Its rules, each with its `health` ("ok" once evaluated) and `lastError`."""
        return [rule for group in self._ask("rules")["groups"] for rule in group["rules"]]

    def targets(self) -> list[dict[str, Any]]:
        """What it scrapes, each with its `health` ("up" once scraped) and `lastError`."""
        targets: list[dict[str, Any]] = self._ask("targets")["activeTargets"]
        return targets

    def _ask(self, what: str, **fields: str) -> dict[str, Any]:
        answer = self._pool.request("GET", f"{self.url}/api/v1/{what}", fields=fields).json()
        if answer["status"] != "success":
            raise ToolError(f"Prometheus refuses {what} {fields}: {answer['error']}")
        data: dict[str, Any] = answer["data"]
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
                said = log.read_text(errors="replace").strip().splitlines()[-1:]
                raise ToolError(
                    f"Prometheus did not get ready with {self._config}, its log ends with: {''.join(said)}"
                )
            time.sleep(_POLL_S)

    def _is_ready(self) -> bool:
        try:
            return self._pool.request("GET", f"{self.url}/-/ready").status == 200
        except urllib3.exceptions.HTTPError:  # it does not listen yet
            return False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
