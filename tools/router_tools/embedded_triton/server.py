"""The server process: start it, wait for it, and clean up after it."""

import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from signal import Signals
from types import MappingProxyType, TracebackType
from typing import BinaryIO

from router_backend.errors import ConfigurationError
from router_backend.runtime.shared_capacity import remove_unused, shared_file
from router_tools.embedded_triton.backend_directory import RouterHost, assemble_backends
from router_tools.embedded_triton.command import BackendSettings, ServerOptions, server_environment
from router_tools.embedded_triton.models import ModelStatus
from router_tools.embedded_triton.ports import choose_ports
from router_tools.embedded_triton.readiness import query_models, wait_until_settled
from router_tools.embedded_triton.run_folder import no_room, remove_leftovers, run_folder, run_path
from router_tools.embedded_triton.session import end_session, end_with_parent
from router_tools.embedded_triton.shared_memory import new_prefix, remove_regions
from router_tools.embedded_triton.wheel import ServerWheel, find_wheel
from router_tools.errors import ToolError

_GRACE_S = 40.0
"""Triton gives requests in flight 30 s before it ends; a server that needs longer than this is killed."""
_NO_SETTINGS: BackendSettings = MappingProxyType({})


class EmbeddedTriton:
    """A `tritonserver` process with this project's backend.

    As a context manager, it starts and waits on entry and stops on exit:

        with EmbeddedTriton(Path("model_repository")) as triton:
            client = tritonclient.grpc.InferenceServerClient(triton.grpc_url)

    The server leads its own session, so that a Ctrl-C in the terminal does not reach it, and the processes
    that it started can be found after it has ended. Each object is one run of a server. If the thread that
    called `start` ends without `stop`, even by SIGKILL of its process, the server gets SIGTERM; what it then
    leaves is removed by the next start of any server.

    Args:
        model_repository: folder with one folder for each model.
        host: address to listen on; "0.0.0.0" for every interface.
        http_port: port of the HTTP endpoint; `None` for any free port.
        grpc_port: port of the gRPC endpoint; `None` for any free port.
        metrics_port: port of the Prometheus endpoint; `None` for any free port.
        backend_settings: settings of each backend, such as `{"python": {"thread-pool-size": 512}}`.
        exit_on_error: whether a model that fails to load ends the server; else it is listed as UNAVAILABLE.
        model_control_mode: Triton's "none", "poll" or "explicit".
        router_host: what runs router models; the native host by default, if its library is there.
        extra_arguments: further arguments of `tritonserver`, which take precedence over those above.
        log_file: file for the server's output, where one from before is kept with `.1` after its name;
            `None` for a temporary file that is removed with the server.
    """

    def __init__(
        self,
        model_repository: Path,
        *,
        host: str = "127.0.0.1",
        http_port: int | None = None,
        grpc_port: int | None = None,
        metrics_port: int | None = None,
        backend_settings: BackendSettings = _NO_SETTINGS,
        exit_on_error: bool = False,
        model_control_mode: str = "none",
        router_host: RouterHost | None = None,
        extra_arguments: Sequence[str] = (),
        log_file: Path | None = None,
    ) -> None:
        ports = choose_ports(host, http_port, grpc_port, metrics_port)
        self._options = ServerOptions(
            model_repository=model_repository,
            host=host,
            http_port=ports[0],
            grpc_port=ports[1],
            metrics_port=ports[2],
            backend_settings=backend_settings,
            exit_on_error=exit_on_error,
            model_control_mode=model_control_mode,
            shared_memory_prefix=new_prefix(),
            extra_arguments=extra_arguments,
        )
        self._router_host = router_host or RouterHost.best()
        self._folder = run_path(self._options.shared_memory_prefix)
        self._log_file = log_file or self._folder / "server.log"
        self._last_log = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._undo = ExitStack()

    def __enter__(self) -> "EmbeddedTriton":
        with ExitStack() as undo:
            undo.callback(self.stop)
            self.start()
            self.wait_ready()
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def http_url(self) -> str:
        """Host and port of the HTTP endpoint, as tritonclient takes them."""
        return self._address(self._options.http_port)

    @property
    def grpc_url(self) -> str:
        """Host and port of the gRPC endpoint, as tritonclient takes them."""
        return self._address(self._options.grpc_port)

    @property
    def metrics_url(self) -> str:
        """The full URL of the Prometheus page."""
        return f"http://{self._address(self._options.metrics_port)}/metrics"

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._started().pid

    @property
    def log_file(self) -> Path:
        """The file with the output of the server and its models."""
        return self._log_file

    def log_text(self) -> str:
        """Return what the server and its models have printed so far, also after the server has ended."""
        return self._log_file.read_text(errors="replace") if self._log_file.exists() else self._last_log

    def start(self) -> None:
        """Start the server without waiting until it is ready; see `wait_ready`.

        Raises:
            ToolError: it cannot run on this machine, with these ports or with this repository.
        """
        remove_leftovers()
        self._options.check()
        wheel = find_wheel()
        with ExitStack() as undo:
            lock = self._make_folder(wheel, undo)
            log = undo.enter_context(self._open_log())
            undo.callback(self._keep_log_text)
            undo.callback(remove_unused, self._shared_file())
            undo.callback(remove_regions, self._options.shared_memory_prefix)
            self._process = self._spawn(wheel, lock, log)
            undo.callback(end_session, self._process.pid)
            undo.callback(_end, self._process)
            self._undo = undo.pop_all()

    def wait_ready(self, timeout_s: float = 120.0) -> list[ModelStatus]:
        """Wait until the server answers and every model is READY or UNAVAILABLE; return the models by name.

        Raises:
            ToolError: the server ended, cannot become ready, or was not ready in time; says why.
        """
        others = [(self._host, port) for port in self._options.further_ports]
        return wait_until_settled(self._started(), self.http_url, others, self.log_text, timeout_s)

    def wait_end(self) -> int:
        """Wait until the server ends; return its exit status, or minus the number of a signal."""
        return self._started().wait()

    def models(self) -> list[ModelStatus]:
        """Return the state of each model of the repository, sorted by name; needs a live server."""
        return query_models(self.http_url, self.log_text())

    def send_signal(self, number: Signals) -> None:
        """Send a signal to the server if it runs; SIGINT and SIGTERM end it after it has answered all."""
        if self._process:
            self._process.send_signal(number)

    def stop(self) -> None:
        """End the server and all processes that it started, wait for them and remove temporary files."""
        self._undo.close()

    def _make_folder(self, wheel: ServerWheel, undo: ExitStack) -> int:
        """Create the folder with the backends and return the descriptor that locks it."""
        try:
            lock = undo.enter_context(run_folder(self._options.shared_memory_prefix))
            assemble_backends(wheel, self._backends, self._router_host)
        except OSError as error:
            raise no_room(error) from error
        return lock

    def _shared_file(self) -> Path:
        try:
            return shared_file(self._options.model_repository)
        except ConfigurationError as error:
            raise ToolError(str(error)) from error

    def _open_log(self) -> BinaryIO:
        try:
            if self._log_file.is_file():
                self._log_file.replace(f"{self._log_file}.1")
            return self._log_file.open("wb")
        except OSError as error:
            raise ToolError(
                f"log file {self._log_file} cannot be written ({error.strerror}): "
                "name another one with --log-file"
            ) from error

    def _spawn(self, wheel: ServerWheel, lock: int, log: BinaryIO) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [wheel.server, *self._options.arguments(self._backends)],
            pass_fds=(lock,),
            preexec_fn=end_with_parent,  # one system call, which needs no lock that another thread may hold
            env=server_environment(wheel),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the server has not been started: call start() first")
        return self._process

    def _keep_log_text(self) -> None:
        self._last_log = self.log_text()

    @property
    def _backends(self) -> Path:
        return self._folder / "backends"

    @property
    def _host(self) -> str:
        """The address at which this process reaches the server."""
        return "127.0.0.1" if self._options.host == "0.0.0.0" else self._options.host

    def _address(self, port: int) -> str:
        return f"{self._host}:{port}"


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
