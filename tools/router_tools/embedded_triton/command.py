"""The server's command line and environment."""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from router_tools.embedded_triton.backend_directory import PYTHON_BACKEND, ROUTER_BACKEND
from router_tools.embedded_triton.ports import check_different, check_port
from router_tools.embedded_triton.repository import check_repository
from router_tools.embedded_triton.shared_memory import SETTING
from router_tools.embedded_triton.wheel import ServerWheel
from router_tools.errors import ToolError

BackendSettings = Mapping[str, Mapping[str, str | int]]
"""Settings of each backend by its name, such as `{"python": {"thread-pool-size": 512}}`."""
_NOT_SERVED = re.compile(r"--allow-(http|grpc|metrics)[= ](?:false|0)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """The options of a server, except for where its files are."""

    model_repository: Path
    host: str
    http_port: int
    grpc_port: int
    metrics_port: int
    backend_settings: BackendSettings
    exit_on_error: bool
    model_control_mode: str
    shared_memory_prefix: str
    extra_arguments: Sequence[str]

    def check(self) -> None:
        """Reject a repository without models, and ports that are in use or the same.

        Raises:
            ToolError: says what is wrong.
        """
        check_repository(self.model_repository)
        if "http" in self._not_served:
            raise ToolError(
                "--allow-http=false: expected HTTP, which tells when models are ready: leave it out"
            )
        ports = {"HTTP": self.http_port, "gRPC": self.grpc_port, "metrics": self.metrics_port}
        check_different(ports)
        for purpose, port in ports.items():
            check_port(self.host, port, purpose)

    @property
    def further_ports(self) -> list[int]:
        """The ports other than HTTP, except for endpoints that the extra arguments turn off."""
        ports = {"grpc": self.grpc_port, "metrics": self.metrics_port}
        return [port for purpose, port in ports.items() if purpose not in self._not_served]

    @property
    def _not_served(self) -> list[str]:
        return _NOT_SERVED.findall(" ".join(self.extra_arguments))

    def arguments(self, backends: Path) -> list[str]:
        """Return the arguments of `tritonserver`; the extra arguments are last and take precedence."""
        return [
            f"--backend-directory={backends}",
            f"--model-repository={self.model_repository}",
            f"--http-address={self.host}",
            f"--http-port={self.http_port}",
            f"--grpc-address={self.host}",
            f"--grpc-port={self.grpc_port}",
            f"--metrics-address={self.host}",
            f"--metrics-port={self.metrics_port}",
            f"--model-control-mode={self.model_control_mode}",
            f"--exit-on-error={_flag(self.exit_on_error)}",
            # With strict readiness, a server with one failed variant is not ready.
            f"--strict-readiness={_flag(self.exit_on_error)}",
            *self._backend_arguments(),
            *self.extra_arguments,
        ]

    def _backend_arguments(self) -> list[str]:
        """Return a `--backend-config` for each setting; the last one takes precedence.

        The native host embeds the Python that runs this. On the Python host, the backend uses the settings of
        `python`: Triton 2.51 ignores those of its own name.
        """
        settings: list[tuple[str, str, str | int]] = [(ROUTER_BACKEND, "python", sys.executable)]
        settings += [
            (name, key, value)
            for name, values in self.backend_settings.items()
            for key, value in values.items()
        ]
        settings.append((PYTHON_BACKEND, SETTING, self.shared_memory_prefix))
        return [f"--backend-config={name},{key}={value}" for name, key, value in settings]


def server_environment(wheel: ServerWheel) -> dict[str, str]:
    """Return this process's environment, with the shared libraries and the Python of the stubs first.

    A stub embeds libpython and finds its packages by the first `python3` on PATH.
    """
    return {
        **os.environ,
        "LD_LIBRARY_PATH": _prepend(wheel.libraries, os.environ.get("LD_LIBRARY_PATH")),
        "PATH": _prepend((Path(sys.executable).parent,), os.environ.get("PATH")),
    }


def _prepend(folders: Sequence[Path], rest: str | None) -> str:
    return os.pathsep.join([*map(str, folders), *([rest] if rest else [])])


def _flag(value: bool) -> str:
    return "true" if value else "false"
