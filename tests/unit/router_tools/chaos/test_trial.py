import json
from collections.abc import Callable
from typing import Any, cast

import pytest
from tritonclient.utils import InferenceServerException
from typer.testing import CliRunner

from router_tools.__main__ import app
from router_tools.chaos import trial
from router_tools.chaos.faults import FAULTS, Fault
from router_tools.chaos.load import Load, Seen
from router_tools.chaos.stage import Crowd
from router_tools.chaos.trial import Figures, Trial
from router_tools.errors import ToolError

QUIET = Figures(requests=100, failed=0, p99_ms=20.0, worst_ms=25.0)


def seen(*latencies_ms: float, error: str = "") -> list[Seen]:
    return [Seen(10.0, latency_ms, error) for latency_ms in latencies_ms]


def test_figures_count_errors_and_wrong_answers_and_keep_the_worst() -> None:
    figures = Figures.of([*seen(*range(1, 101)), *seen(500.0, error="a wrong answer")])
    assert (figures.requests, figures.failed, figures.worst_ms) == (101, 1, 500.0)
    assert 99.0 <= figures.p99_ms <= 500.0


def test_a_request_belongs_to_the_time_in_which_it_ended() -> None:
    load = Load("localhost:1")
    load.seen += [Seen(9.9, 50.0, ""), Seen(9.9, 200.0, ""), Seen(10.5, 600.0, "")]
    assert [each.latency_ms for each in load.between(10.0, 11.0)] == [200.0]


@pytest.mark.parametrize("count", [0, 1])
def test_clients_that_all_wait_leave_few_figures(count: int) -> None:
    assert Figures.of(seen(5.0)[:count]) == Figures(count, 0, 5.0 * count, 5.0 * count)


LOW = "before the fault the variant had 20% of the requests, below 25%"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ((0, 0, 1060.0), []),
        ((3, 0, 20.0), ["3 requests failed"]),
        ((0, 2, 20.0), ["2 requests have no answer yet"]),
        ((0, 0, 1061.0), ["a client waited 1061 ms, above 1060 ms"]),
    ],
)
def test_a_promise_to_clients_that_is_broken_is_named(
    found: tuple[int, int, float], expected: list[str]
) -> None:
    assert list(trial._broken_by_requests(*found, 1060.0)) == expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (0.6, 0.4, []),
        (0.6, 0.2, ["10 s later the variant had 20% of the requests, before it had 60%"]),
        (0.2, 0.2, [LOW]),
    ],
)
def test_a_variant_must_have_had_requests_and_have_them_again(
    before: float, after: float, expected: list[str]
) -> None:
    assert list(trial._broken_by_shares(before, after)) == expected


class Scene:
    """A load and a stage without a server: each share is measured in no time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, phases: dict[str, list[Seen]]) -> None:
        self.crowd = Crowd()
        self.left = 0
        self._spans = iter([phases.get(name, seen(5.0, 5.0)) for name in ("before", "during", "after")])
        self._all = [each for phase in phases.values() for each in phase]
        monkeypatch.setattr(trial, "_share", lambda *_: 0.6)
        monkeypatch.setattr(trial, "settle", lambda *_: None)
        monkeypatch.setattr(trial, "BACK_WITHIN_S", trial.SHARE_S)

    def between(self, start_s: float, end_s: float) -> list[Seen]:
        return next(self._spans, self._all)

    def unanswered(self, within_s: float) -> int:
        return self.left


def broken_of(scene: Scene, monkeypatch: pytest.MonkeyPatch, fault: Callable[[Any, float], None]) -> Trial:
    monkeypatch.setattr(trial, "FAULTS", {"kill": Fault("", fault)})
    return trial.try_fault(cast("Any", scene), cast("Any", scene), "native", "kill", 0.0, 0.0)


def nothing(_stage: Any, _seconds: float) -> None:
    pass


@pytest.mark.parametrize("phase", ["before", "during", "after"])
def test_an_error_breaks_a_promise_in_any_phase(monkeypatch: pytest.MonkeyPatch, phase: str) -> None:
    found = broken_of(Scene(monkeypatch, {phase: seen(5.0, error="it failed")}), monkeypatch, nothing)
    assert (found.broken, found.errors) == (("1 requests failed",), ("it failed",))


def test_a_slow_machine_does_not_loosen_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(monkeypatch, {"before": seen(900.0, 900.0), "after": seen(1301.0)})
    found = broken_of(scene, monkeypatch, nothing)
    assert found.broken == ("a client waited 1301 ms, above 1300 ms",)


def test_what_never_ends_is_counted_and_so_is_what_becomes_of_a_crowd(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fault(stage: Any, _seconds: float) -> None:
        for _ in range(3):
            stage.crowd.sent()
        stage.crowd.ended(result="an answer", error=None)
        stage.crowd.ended(result=None, error=InferenceServerException("it failed"))

    scene = Scene(monkeypatch, {})
    scene.left = 2
    found = broken_of(scene, monkeypatch, fault)
    assert found.lost == 4
    assert found.broken == ("1 requests failed", "3 requests have no answer yet")
    assert found.errors == ("it failed",)


def result(*broken: str) -> Trial:
    return Trial("native", "kill", QUIET, QUIET, QUIET, 0.6, 0.6, 0, ("an error",) if broken else (), broken)


@pytest.mark.parametrize(("broken", "status"), [((), 0), (("3 requests failed",), 2)])
def test_the_exit_status_says_whether_all_was_kept(
    monkeypatch: pytest.MonkeyPatch, broken: tuple[str, ...], status: int
) -> None:
    monkeypatch.setattr("router_tools.run_chaos.run", lambda *_: [result(*broken)])
    done = CliRunner().invoke(app, ["chaos", "--faults=kill", "--json"])
    assert done.exit_code == status
    (found,) = json.loads(done.stdout)
    assert (found["fault"], found["broken"]) == ("kill", list(broken))
    assert found["during"]["worst_ms"] == 25.0


def test_the_table_fits_into_80_columns_and_says_what_was_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Figures(1200, 0, 1234.0, 12345.0)
    trials = [
        Trial("python", name, slow, slow, slow, 1.0, 1.0, 7, ("it failed",), ("1 requests failed",))
        for name in FAULTS
    ]
    monkeypatch.setattr("router_tools.run_chaos.run", lambda *_: trials)
    printed = CliRunner().invoke(app, ["chaos"], env={"COLUMNS": "80"}).stdout
    table = [line for line in printed.splitlines() if line.startswith(("┃", "│"))]
    assert len(table) == 1 + len(FAULTS)
    assert all(len(line) <= 80 and "…" not in line for line in table)
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in table[1:]]
    times = ["1234/1234/1234", "12345/12345/12345"]
    assert cells == [["python", name, "3600", "7", *times, "100/100", "no"] for name in FAULTS]
    assert "broken: python host, kill: 1 requests failed" in printed
    assert "a client got: it failed" in printed


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--faults=flood"], "--faults: expected some of kill, hang, .*, found 'flood'"),
        (["--hosts=rust"], "--hosts: expected some of .*python, found 'rust'"),
    ],
)
def test_a_name_that_is_not_known_is_refused(arguments: list[str], expected: str) -> None:
    with pytest.raises(ToolError, match=expected):
        CliRunner().invoke(app, ["chaos", *arguments], catch_exceptions=False)
