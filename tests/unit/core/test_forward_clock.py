import math
import random

import pytest

from router_backend import Device, Fault, ModelRouter, RoutingContext, Variant
from router_backend.core.model.forward_clock import ForwardClock
from tests.unit.core.clock import Clock


class TestTime:
    def test_it_is_that_of_the_clock(self):
        clock = Clock(5.0)
        forward = ForwardClock(clock)
        assert forward() == 5.0
        clock.now_s = 7.5
        assert forward() == 7.5

    @pytest.mark.parametrize("back_s", [0.06, 3600.0, 1e9])
    def test_it_goes_on_after_a_jump_back(self, back_s):
        clock = Clock(2e9)
        forward = ForwardClock(clock)
        forward()
        clock.now_s -= back_s
        assert forward() == pytest.approx(2e9)
        clock.now_s += 3.0
        assert forward() == pytest.approx(2e9 + 3.0)

    @pytest.mark.parametrize("wrong_s", [math.inf, -math.inf, math.nan])
    def test_a_reading_that_is_not_finite_is_ignored(self, wrong_s):
        clock = Clock(5.0)
        forward = ForwardClock(clock)
        forward()
        clock.now_s = wrong_s
        assert forward() == 5.0
        clock.now_s = 7.0
        assert forward() == 7.0

    def test_a_small_step_back_is_waited_out(self):
        clock = Clock(5.0)
        forward = ForwardClock(clock)
        forward()
        clock.now_s = 4.96
        assert forward() == 5.0
        clock.now_s = 5.01
        assert forward() == 5.01


@pytest.mark.parametrize("jump_s", [-3600.0, -1e6, 3600.0])
class TestRouter:
    """Variants of 5 and 10 ms; the clock jumps."""

    @pytest.fixture(autouse=True)
    def router(self):
        self.clock = Clock(1e6)
        self.router = ModelRouter(clock=self.clock, rng=random.Random(0))
        self.router.register_model("m", variants=[Variant("fast", Device.CPU), Variant("other", Device.CPU)])
        self.latency_ms = {"fast": 5.0, "other": 10.0}
        self.serve(100)

    def serve(self, count: int, failing: str = "") -> list[str]:
        """Return the variants of requests, five a second."""
        chosen = []
        for _ in range(count):
            decision = self.router.route_request("m", RoutingContext())
            latency_ms = self.latency_ms[decision.variant]
            self.clock.now_s += latency_ms / 1e3
            if decision.variant == failing:
                self.router.record_execution(decision, error=Fault.ERROR)
            else:
                self.router.record_execution(decision, latency_ms=latency_ms)
            self.clock.now_s += 0.2
            chosen.append(decision.variant)
        return chosen

    def test_an_open_breaker_closes(self, jump_s):
        self.serve(4, failing="fast")
        self.clock.now_s += jump_s
        assert self.serve(50)[10:].count("fast") >= 38

    def test_a_variant_that_was_slow_comes_back(self, jump_s):
        self.latency_ms["fast"] = 100.0
        self.serve(30)
        self.clock.now_s += jump_s
        self.latency_ms["fast"] = 5.0
        assert self.serve(100)[-20:].count("fast") >= 19

    def test_requests_in_flight_are_not_expected_to_take_longer(self, jump_s):
        held = [self.router.route_request("m", RoutingContext()) for _ in range(4)]
        before_ms = self.router.route_request("m", RoutingContext()).expected_latency_ms
        self.clock.now_s += jump_s
        decision = self.router.route_request("m", RoutingContext())
        if jump_s < 0.0:
            assert decision.expected_latency_ms == pytest.approx(before_ms, rel=0.5)
        for each in (*held, decision):
            self.clock.now_s += 0.01
            self.router.record_execution(each, latency_ms=10.0)
        assert self.serve(50).count("fast") >= 45
