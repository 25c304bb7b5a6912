import json

import pytest
from typer.testing import CliRunner

from router_tools.__main__ import app
from router_tools.chaos import trial
from router_tools.chaos.faults import FAULTS
from router_tools.chaos.load import Load, Seen
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


@pytest.mark.parametrize(
    ("during", "after", "shares", "expected"),
    [
        (QUIET, QUIET, (0.6, 0.6), []),
        (Figures(10, 2, 20.0, 20.0), Figures(10, 1, 20.0, 20.0), (0.6, 0.5), ["3 requests failed"]),
        (QUIET, Figures(10, 0, 20.0, 1061.0), (0.6, 0.4), ["a client waited 1061 ms, above 1060 ms"]),
        (QUIET, QUIET, (0.6, 0.2), ["10 s later the variant had 20% of the requests, before it had 60%"]),
    ],
)
def test_a_promise_that_is_broken_is_named(
    during: Figures, after: Figures, shares: tuple[float, float], expected: list[str]
) -> None:
    assert list(trial._broken(during, after, *shares, 1060.0)) == expected


def result(*broken: str) -> Trial:
    return Trial("native", "kill", QUIET, QUIET, QUIET, 0.6, 0.6, ("an error",) if broken else (), broken)


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
        Trial("python", name, slow, slow, slow, 0.6, 0.6, ("it failed",), ("1 requests failed",))
        for name in FAULTS
    ]
    monkeypatch.setattr("router_tools.run_chaos.run", lambda *_: trials)
    printed = CliRunner().invoke(app, ["chaos"], env={"COLUMNS": "80"}).stdout
    table = [line for line in printed.splitlines() if line.startswith(("┃", "│"))]
    assert len(table) == 1 + len(FAULTS)
    assert all(len(line) <= 80 and "…" not in line for line in table)
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
