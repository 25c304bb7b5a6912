"""A server is started again after it has served, with growing pauses, until the command is to end."""

from collections.abc import Callable, Iterator

import pytest

from router_tools import supervision
from router_tools.embedded_triton.explanation import ended_while_serving
from router_tools.errors import ToolError
from router_tools.supervision import keep_running

DIED = ended_while_serving(-9, "a log")
FAILED = ToolError("no port. The last lines of its log:\nx")


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0
        self.pauses_s: list[float] = []

    def monotonic(self) -> float:
        return self.now_s

    def sleep(self, seconds: float, _is_stopped: Callable[[], bool]) -> None:
        self.pauses_s.append(seconds)
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(supervision.time, "monotonic", clock.monotonic)
    monkeypatch.setattr(supervision, "_sleep", clock.sleep)
    return clock


def runs(clock: Clock, *ends: tuple[float, ToolError | None]) -> Callable[[], None]:
    """Return runs that take some seconds each and then fail, or return where there is no error."""
    remaining: Iterator[tuple[float, ToolError | None]] = iter(ends)

    def run() -> None:
        seconds, error = next(remaining)
        clock.now_s += seconds
        if error is not None:
            raise error

    return run


def test_the_pause_doubles_up_to_a_minute_until_a_run_returns(clock: Clock) -> None:
    keep_running(runs(clock, *[(1.0, DIED)] * 8, (1.0, None)), lambda: False)
    assert clock.pauses_s == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]


def test_a_start_that_fails_after_it_has_served_is_tried_again(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    keep_running(runs(clock, (1.0, DIED), (1.0, FAILED), (1.0, None)), lambda: False)
    assert clock.pauses_s == [1.0, 2.0]
    assert capsys.readouterr().err == (
        "warning: the server ended while it served (killed by SIGKILL); it is started again in 1 s\n"
        "warning: no port; it is started again in 2 s\n"
    )


def test_a_long_run_starts_over_with_the_shortest_pause(clock: Clock) -> None:
    keep_running(runs(clock, (1.0, DIED), (1.0, DIED), (61.0, DIED), (1.0, None)), lambda: False)
    assert clock.pauses_s == [1.0, 2.0, 1.0]


def test_a_first_start_that_fails_is_an_error(clock: Clock) -> None:
    with pytest.raises(ToolError, match="no port"):
        keep_running(runs(clock, (1.0, FAILED)), lambda: False)
    assert clock.pauses_s == []


def test_nothing_is_started_again_once_the_command_is_to_end(clock: Clock) -> None:
    with pytest.raises(ToolError, match="killed by SIGKILL"):
        keep_running(runs(clock, (1.0, DIED)), lambda: clock.now_s > 0.0)
    keep_running(runs(clock, (1.0, DIED)), lambda: bool(clock.pauses_s))
    assert clock.pauses_s == [1.0]
