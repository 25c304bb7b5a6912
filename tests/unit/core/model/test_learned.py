"""What was learned is returned as numbers, and a router that starts with them predicts the same."""

import dataclasses
import random

import pytest

from router_backend.core.records.learned import LearnedLaw, LearnedModel, LearnedVariant
from router_backend.core.records.outcome import Fault
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.errors import ConfigurationError
from tests.unit.core.clock import Clock

DAY_S = 24.0 * 3600.0
ELEMENTS = 100


class Routed:
    """A router `m` of the variants `a` and `b`; requests are sent one after the other."""

    def __init__(self) -> None:
        self.clock = Clock(1000.0)
        self.router = ModelRouter(clock=self.clock, rng=random.Random(0))
        self.router.register_model("m", variants=[Variant("a", Device.GPU), Variant("b", Device.CPU)])
        self.model = self.router.model("m")

    def serve(self, name: str, batch_size: int, latency_ms: float, count: int = 1, **more: float) -> None:
        for _ in range(count):
            context = RoutingContext(batch_size, batch_size * ELEMENTS, allowed_variants=frozenset({name}))
            decision = self.router.route_request("m", context)
            self.clock.now_s += latency_ms / 1e3
            self.router.record_execution(decision, latency_ms=latency_ms, **more)

    def fail(self, name: str, count: int) -> None:
        for _ in range(count):
            decision = self.router.route_request("m", RoutingContext(allowed_variants=frozenset({name})))
            self.router.record_execution(decision, error=Fault.UNSUPPORTED)

    def predicted_ms(self, name: str, size: float) -> float:
        return self.model.state(name).profile.latency.predict(size, self.model.now_s())

    def variance(self, name: str) -> float:
        return self.model.state(name).profile.latency.relative_variance(self.model.now_s())


@pytest.fixture
def before() -> Routed:
    routed = Routed()
    for _ in range(40):
        for size in (1, 8):
            routed.serve("a", size, 2.0 + size, memory_mb=100.0 + 10.0 * size, power_w=70.0)
            routed.serve("b", size, 20.0 + size)
    return routed


def restarted(before: Routed, absent_s: float = 60.0) -> Routed:
    routed = Routed()
    routed.model.restore(before.model.learned(), absent_s)
    return routed


def test_predictions_are_the_same_with_more_doubt(before: Routed) -> None:
    after = restarted(before)
    for name, base_ms in (("a", 2.0), ("b", 20.0)):
        for size in (1.0, 4.0, 8.0):
            assert after.predicted_ms(name, size) == pytest.approx(base_ms + size, rel=0.05)
        assert after.variance(name) > before.variance(name)


def test_the_more_age_the_more_doubt_and_the_fewer_answers_outweigh_it(before: Routed) -> None:
    young, old = restarted(before, DAY_S), restarted(before, 5.0 * DAY_S)
    weights = [each.model.state("a").profile.latency.law.n for each in (before, young, old)]
    assert weights == sorted(weights, reverse=True)
    assert weights[1] == pytest.approx(0.5 * weights[0], rel=0.01)
    for each in (young, old):
        each.serve("a", 1, 2.4, count=8)
    old_ms, young_ms = (each.model.state("a").profile.latency.law.predict(1.0) for each in (old, young))
    assert 2.4 < old_ms < young_ms < 3.0


def test_sizes_are_relative_to_the_same_item(before: Routed) -> None:
    after = restarted(before)
    context = RoutingContext(1, 8 * ELEMENTS, allowed_variants=frozenset({"a"}))
    assert after.router.route_request("m", context).expected_service_ms == pytest.approx(10.0, rel=0.05)


def test_memory_and_power_are_kept(before: Routed) -> None:
    profile = restarted(before).model.state("a").profile
    assert profile.memory.predict(4.0) == pytest.approx(140.0, rel=0.05)
    assert profile.power.predict(4.0) == pytest.approx(70.0, rel=0.05)
    assert not restarted(before).model.state("b").profile.memory.known


def test_a_share_of_failures_is_kept_and_forgotten_by_answers(before: Routed) -> None:
    before.fail("a", 20)
    share = before.model.state("a").candidate.failure_share
    after = restarted(before)
    state = after.model.state("a")
    assert 0.1 < state.candidate.failure_share <= share
    after.serve("a", 1, 3.0, count=100)
    assert state.candidate.failure_share < 0.02


def test_rare_slow_answers_are_kept(before: Routed) -> None:
    for _ in range(10):
        before.serve("a", 1, 3.0, count=8)
        before.serve("a", 1, 60.0)
    excess = before.model.state("a").candidate.excess
    assert excess > 0.2
    assert 0.9 * excess < restarted(before).model.state("a").candidate.excess <= excess


def test_a_first_call_that_is_slow_is_not_learned_and_a_second_one_is(before: Routed) -> None:
    after = restarted(before)
    after.serve("a", 1, 12.0)
    assert after.predicted_ms("a", 1.0) == pytest.approx(3.0, rel=0.05)
    after.serve("a", 1, 12.0)
    assert after.predicted_ms("a", 1.0) > 3.3


def test_a_slowdown_that_may_pass_is_left_out(before: Routed) -> None:
    before.serve("a", 1, 60.0, count=12)
    assert before.predicted_ms("a", 1.0) > 30.0
    assert restarted(before).predicted_ms("a", 1.0) == pytest.approx(3.0, rel=0.1)


def test_a_single_answer_is_not_kept() -> None:
    routed = Routed()
    routed.serve("a", 1, 3.0)
    assert routed.model.learned().variants == {}
    routed.serve("a", 1, 3.0)
    assert set(routed.model.learned().variants) == {"a"}


def test_copies_go_on_to_measure_a_variant_with_few_answers() -> None:
    routed = Routed()
    routed.serve("a", 1, 3.0, count=4)
    assert restarted(routed).model.state("a").should_be_measured(routed.model.now_s())


def test_a_variant_that_is_not_used_is_kept_as_it_was(before: Routed) -> None:
    after = restarted(before, absent_s=DAY_S)
    first, again = before.model.learned().variants["b"], after.model.learned().variants["b"]
    assert again.law == first.law
    assert again.age_s == pytest.approx(first.age_s + DAY_S)


def test_known_variants_need_no_copies(before: Routed) -> None:
    after = restarted(before)
    now_s = after.model.now_s()
    states = after.model.states.values()
    assert not any(state.should_be_measured(now_s) or state.may_be_measured for state in states)


def test_variants_that_the_model_does_not_have_are_left_out(before: Routed) -> None:
    learned = before.model.learned()
    more = LearnedModel(learned.reference_elements, {**learned.variants, "c": learned.variants["a"]})
    routed = Routed()
    routed.model.restore(more, 0.0)
    assert routed.predicted_ms("a", 1.0) > 0.0


@pytest.mark.parametrize(
    ("name", "value"), [("n", 0.0), ("w", float("nan")), ("a", -1.0), ("wxx", float("inf")), ("c", 1e31)]
)
def test_a_law_that_no_answers_lead_to_is_refused(before: Routed, name: str, value: float) -> None:
    law: LearnedLaw = before.model.learned().variants["a"].law
    with pytest.raises(ConfigurationError, match=r"^law: expected numbers from "):
        dataclasses.replace(law, **{name: value})


@pytest.mark.parametrize(
    ("name", "value"), [("noise", -0.1), ("cliffs", {1: (1.0, -1.0)}), ("failures", (float("nan"), 1.0))]
)
def test_numbers_that_no_answers_lead_to_are_refused(before: Routed, name: str, value: object) -> None:
    learned: LearnedVariant = before.model.learned().variants["a"]
    with pytest.raises(ConfigurationError, match=f"^{name}: expected numbers from "):
        dataclasses.replace(learned, **{name: value})


def test_a_reference_that_is_no_size_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"^reference_elements: "):
        LearnedModel(-1.0, {})
