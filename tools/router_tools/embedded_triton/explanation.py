"""A failed start in a sentence, with the fix."""

from signal import Signals

from router_tools.embedded_triton.server_log import (
    gave_up_loading,
    last_lines,
    load_failures,
    models_still_loading,
    refused_arguments,
)
from router_tools.errors import ToolError


def ended_during_start(returncode: int, log: str) -> ToolError:
    """Why the server ended before it was ready."""
    how = _ending(returncode)
    if (complaint := refused_arguments(log)) is not None:
        return ToolError(f"the server does not accept its arguments ({complaint}): mend those after `--`")
    if gave_up_loading(log):
        reasons = "; ".join(
            f"model '{name}' failed to load: {reason.rstrip('.')}"
            for name, reason in load_failures(log).items()
        )
        return ToolError(
            f"the server ended during its start ({how}), because {reasons}. "
            "Mend the model, or serve the others with --no-exit-on-error"
        )
    return ToolError(
        f"the server ended during its start ({how}). The last lines of its log:\n{last_lines(log)}"
    )


def not_ready_in_time(timeout_s: float, log: str) -> ToolError:
    """Which models kept the server from being ready, or what it said last."""
    if waiting := models_still_loading(log):
        return ToolError(
            f"the server was not ready within {timeout_s:g} s, because it is still loading "
            f"{', '.join(waiting)}: allow more time, or see what these models wait for"
        )
    return ToolError(
        f"the server was not ready within {timeout_s:g} s. The last lines of its log:\n{last_lines(log)}"
    )


def stuck_for_good(reason: str) -> ToolError:
    """A model file so wrong that the server waits for its stub for ever."""
    return ToolError(f"the server cannot start: {reason}. Mend that model or take it out of the repository")


def ended_while_serving(returncode: int, log: str) -> ToolError:
    """A server that nobody asked to end."""
    return ToolError(
        f"the server ended while it served ({_ending(returncode)}): start it again. "
        f"The last lines of its log:\n{last_lines(log)}"
    )


def _ending(returncode: int) -> str:
    """How a process ended, from `Popen.returncode`."""
    return f"killed by {Signals(-returncode).name}" if returncode < 0 else f"exit status {returncode}"
