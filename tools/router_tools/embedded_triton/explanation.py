"""Errors that say why a server failed, and the fix."""

from signal import Signals

from router_tools.embedded_triton.server_log import (
    gave_up_loading,
    last_lines,
    load_failures,
    models_still_loading,
    refused_arguments,
)
from router_tools.errors import ToolError


class ServerEndedError(ToolError):
    """The server ended by itself after it had become ready.

    Args:
        ending: how it ended.
        log: its output.
    """

    def __init__(self, ending: str, log: str) -> None:
        self._what = f"the server ended while it served ({ending})"
        fix = "start it again, or have that done with --supervise"
        super().__init__(f"{self._what}: {fix}. The last lines of its log:\n{last_lines(log)}")

    @property
    def summary(self) -> str:
        """What happened, without what to do."""
        return self._what


def ended_during_start(returncode: int, log: str) -> ToolError:
    """Return why the server ended before it was ready."""
    how = _ending(returncode)
    if (complaint := refused_arguments(log)) is not None:
        return ToolError(f"the server does not accept its arguments ({complaint}): fix those after `--`")
    if gave_up_loading(log):
        reasons = "; ".join(
            f"model '{name}' failed to load: {reason.rstrip('.')}"
            for name, reason in load_failures(log).items()
        )
        return ToolError(
            f"the server ended during its start ({how}), because {reasons}. "
            "Fix the model, or serve the others with --no-exit-on-error"
        )
    return ToolError(
        f"the server ended during its start ({how}). The last lines of its log:\n{last_lines(log)}"
    )


def not_ready_in_time(timeout_s: float, log: str) -> ToolError:
    """Return which models are still loading, or the end of the server's log."""
    if waiting := models_still_loading(log):
        return ToolError(
            f"the server was not ready within {timeout_s:g} s, because it is still loading "
            f"{', '.join(waiting)}: allow more time, or check what these models wait for"
        )
    return ToolError(
        f"the server was not ready within {timeout_s:g} s. The last lines of its log:\n{last_lines(log)}"
    )


def listens_elsewhere(port: int) -> ToolError:
    """Return the error for a server whose further arguments change its HTTP port."""
    return ToolError(f"the server uses HTTP port {port}: set ports with --http-port and so on before `--`")


def serves_nothing(reason: str) -> ToolError:
    """Return the error for a server that runs, but could not be created as its arguments ask for."""
    return ToolError(f"the server runs but serves nothing ({reason}): fix its arguments")


def stuck_for_good(reason: str) -> ToolError:
    """Return the error for a model file because of which the server waits for its stub without end."""
    return ToolError(f"the server cannot start: {reason}. Fix that model or remove it from the repository")


def ended_while_serving(returncode: int, log: str) -> ServerEndedError:
    """Return the error for a server that ended without being stopped."""
    return ServerEndedError(_ending(returncode), log)


def _ending(returncode: int) -> str:
    """Return how a process ended, from `Popen.returncode`."""
    return f"killed by {Signals(-returncode).name}" if returncode < 0 else f"exit status {returncode}"
