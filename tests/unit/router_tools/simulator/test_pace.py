import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_tools.simulator.pace import Pace, Slowdown

SLOWDOWNS = st.lists(
    st.builds(
        lambda start, length, factor: Slowdown(start, start + length, factor),
        st.floats(0.0, 50.0),
        st.floats(0.01, 20.0),
        st.sampled_from([0.5, 2.0, 2.5, math.inf]),
    ),
    max_size=6,
)


@given(SLOWDOWNS, st.floats(0.0, 100.0), st.floats(0.001, 30.0))
def test_finish_time_and_work_done_are_consistent(
    slowdowns: list[Slowdown], start_s: float, work_s: float
) -> None:
    pace = Pace(slowdowns)
    finish_s = pace.finish_s(start_s, work_s)
    assert pace.work_s(start_s, finish_s) == pytest.approx(work_s, abs=1e-9)


@given(SLOWDOWNS, st.floats(0.0, 100.0), st.floats(0.001, 30.0))
def test_work_that_starts_later_does_not_end_earlier(
    slowdowns: list[Slowdown], start_s: float, work_s: float
) -> None:
    pace = Pace(slowdowns)
    assert pace.finish_s(start_s + 0.5, work_s) >= pace.finish_s(start_s, work_s) - 1e-9


def test_a_drift_slows_only_the_work_within_it() -> None:
    pace = Pace([Slowdown(10.0, 20.0, 2.5)])
    assert pace.finish_s(9.0, 2.0) == pytest.approx(12.5)  # one second before, one that takes 2.5


def test_no_work_is_done_during_a_stall() -> None:
    assert Pace([Slowdown(1.0, 3.0, math.inf)]).finish_s(0.5, 1.0) == pytest.approx(3.5)


def test_overlapping_slowdowns_multiply() -> None:
    pace = Pace([Slowdown(0.0, 10.0, 2.0), Slowdown(0.0, 10.0, 3.0)])
    assert pace.finish_s(1.0, 1.0) == pytest.approx(7.0)
