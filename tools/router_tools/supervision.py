"""Start a server again each time it dies."""

import time
from collections.abc import Callable

from router_tools.embedded_triton.explanation import ServerEndedError
from router_tools.errors import ToolError, warn

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
_POLL_S = 0.1


def keep_running(run: Callable[[], None], is_stopped: Callable[[], bool]) -> None:
    """Run a server again each time it fails, after a pause that doubles from 1 s to 60 s.

    A server that has run for longer than the longest pause starts over with the first one.

    Args:
        run: runs the server until it ends, and returns if it was stopped.
        is_stopped: returns whether a signal asked the command to end.

    Raises:
        ToolError: the server failed before it has ever served: starting it again would not help.
    """
    has_served = False
    pause_s = FIRST_PAUSE_S
    while not is_stopped():
        started_s = time.monotonic()
        try:
            return run()
        except ToolError as error:
            has_served = has_served or isinstance(error, ServerEndedError)
            if not has_served or is_stopped():
                raise
            if time.monotonic() - started_s > LONGEST_PAUSE_S:
                pause_s = FIRST_PAUSE_S
            warn(f"{error.summary}; it is started again in {pause_s:g} s")
        _sleep(pause_s, is_stopped)
        pause_s = min(2.0 * pause_s, LONGEST_PAUSE_S)
    return None


def _sleep(seconds: float, is_stopped: Callable[[], bool]) -> None:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s and not is_stopped():
        time.sleep(_POLL_S)
