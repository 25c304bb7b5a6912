from collections.abc import Iterable

import numpy as np
import pytest

from router_backend.core.records.outcome import Fault
from router_tools.simulator.empirical_failures import Failing, attempts_of, failing
from router_tools.simulator.schema.trace import FailureLine
from router_tools.simulator.trace import TracedRequest
from router_tools.simulator.world import Failures


def traced(failed: Iterable[bool], fault: Fault = Fault.ERROR, queued_ms: float = 0.0) -> list[TracedRequest]:
    """Return a trace in which gpu fails some requests, which cpu answers."""
    return [
        TracedRequest(
            float(second),
            1,
            variant="cpu" if fails else "gpu",
            latency_ms=10.0,
            queued_ms=queued_ms if fails else 0.0,
            failures=[FailureLine(variant="gpu", fault=fault)] if fails else (),
        )
        for second, fails in enumerate(failed)
    ]


def periods(failed: Iterable[bool]) -> list[tuple[float, float, float]]:
    requests = traced(failed)
    attempts = attempts_of(requests, {"gpu": None})["gpu"]
    found = failing("gpu", attempts, requests).periods("gpu", attempts)
    return [(each.start, each.end, each.share) for each in found]


def test_a_constant_share_is_one_period() -> None:
    failed = np.random.default_rng(0).random(4000) < 0.2
    ((start, end, share),) = periods(failed)
    assert (start, end, share) == (0.0, 1.0, pytest.approx(failed.mean()))


def test_an_outage_in_which_few_attempts_were_made_is_a_period_of_its_own() -> None:
    outage = [False] * 500 + [True] * 6 + [False] * 500
    ((start, end, share),) = periods(outage)
    assert (start, end) == (pytest.approx(500 / 1005), pytest.approx(506 / 1005))
    assert share == 1.0


def test_each_change_of_the_share_is_found() -> None:
    rng = np.random.default_rng(1)
    failed = np.concatenate([rng.random(1000) < share for share in (0.05, 0.5, 0.05)])
    found = periods(failed)
    np.testing.assert_allclose(
        [each[:2] for each in found], [(0, 1 / 3), (1 / 3, 2 / 3), (2 / 3, 1)], atol=0.02
    )
    np.testing.assert_allclose([each[2] for each in found], [0.05, 0.5, 0.05], atol=0.03)


def test_variants_that_never_failed_or_were_only_not_ready_have_no_attempts() -> None:
    assert attempts_of(traced([False] * 9), {"gpu": None}) == {}
    assert attempts_of(traced([True, False] * 9, Fault.NOT_READY), {"gpu": None}) == {}


@pytest.mark.parametrize(
    ("fault", "queued_ms", "error_s", "dead"),
    [
        (Fault.ERROR, 9.0, None, False),
        (Fault.REJECTED, 0.5, 0.0005, False),
        (Fault.ERROR, 500.0, 0.5, False),
        (Fault.DEAD, 11.0, 0.011, True),
    ],
    ids=["after its service", "at once", "after a timeout", "dead"],
)
def test_the_time_that_a_failure_takes_is_the_delay_of_the_requests(
    fault: Fault, queued_ms: float, error_s: float | None, dead: bool
) -> None:
    requests = traced([False, True] * 50, fault, queued_ms)
    found = failing("gpu", attempts_of(requests, {"gpu": None})["gpu"], requests)
    assert (found.error_s, found.dead) == (pytest.approx(error_s) if error_s else None, dead)


def test_without_a_request_that_another_variant_answered_a_dead_process_takes_a_second() -> None:
    failures = [FailureLine(variant="gpu", fault=Fault.DEAD)]
    requests = [TracedRequest(float(second), 1, failures=failures) for second in range(9)]
    attempts = attempts_of(requests, {"gpu": None})["gpu"]
    assert failing("gpu", attempts, requests) == Failing((), 1.0, dead=True)
    assert list(failing("gpu", attempts, requests).periods("gpu", attempts)) == [
        Failures("gpu", 0.0, 1.0, 1.0, 1.0, dead=True)
    ]
