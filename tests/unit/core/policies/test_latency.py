import random

import pytest

from router_backend.core.choosing.decision import Choice
from router_backend.core.policies.congestion_price import CongestionPrice
from router_backend.core.policies.latency import LatencyOptimizedPolicy
from router_backend.core.policies.picker import Picker
from router_backend.core.records.request import RoutingContext
from router_backend.core.variants.candidate import Candidate
from tests.unit.core.candidates import candidate_of, pick, request_of

ETA, SIGMA, OMEGA = 0.25, 1.75, 0.1


def choose(*candidates: Candidate) -> Choice:
    return pick(LatencyOptimizedPolicy(), *candidates)


def test_an_idle_candidate_costs_its_wait_and_service():
    idle = candidate_of("idle", 9.0, wait_ms=4.0)
    choose(idle)
    assert idle.cost == pytest.approx(13.0)


def priced(u: float, mean_u: float, *, wait_ms: float, mean_ms: float, concurrency: int = 1) -> float:
    """Return the cost of 9 ms of service by the formula in the docstring of `CongestionPrice`."""
    r = mean_u / (1 - mean_u)
    share = ETA * u / ((1 - u) * concurrency)
    share += r * SIGMA * wait_ms / (wait_ms + 2 * mean_ms)
    share += r * OMEGA * u * (wait_ms + 9.0 / 2) / mean_ms
    return wait_ms + 9.0 * (1 + share)


@pytest.mark.parametrize("concurrency", [1, 2, 4])
@pytest.mark.parametrize("u", [0.1, 0.5, 0.75, 0.9])
def test_beside_idle_variants_congestion_has_a_price_on_the_service_per_instance(u, concurrency):
    """One of a thousand candidates is busy, so r is close to 0."""
    busy = candidate_of("busy", 9.0, utilization=u, concurrency=concurrency)
    choose(busy, *(candidate_of(f"idle {number}", 99.0) for number in range(999)))
    assert busy.cost == pytest.approx(9.0 * (1 + ETA * u / ((1 - u) * concurrency)), rel=1e-3)


@pytest.mark.parametrize("wait_ms", [0.0, 4.0, 400.0])
@pytest.mark.parametrize("u", [0.2, 0.5, 0.8])
def test_if_others_are_busy_too_the_price_is_on_the_requests_that_wait(u, wait_ms):
    busy = candidate_of("busy", 9.0, wait_ms=wait_ms, utilization=u)
    busy.mean_service_ms = 6.0
    choose(busy, candidate_of("other", 99.0, utilization=0.6))
    assert busy.cost == pytest.approx(priced(u, (u + 0.6) / 2, wait_ms=wait_ms, mean_ms=6.0))


@pytest.mark.parametrize("utilization", [0.95, 1.0, 7.0])
def test_the_price_stops_at_a_utilization_of_nineteen_twentieths(utilization):
    overloaded = candidate_of("overloaded", 9.0, wait_ms=4.0, utilization=utilization)
    overloaded.mean_service_ms = 6.0
    choose(overloaded)
    assert overloaded.cost == pytest.approx(priced(0.95, 0.95, wait_ms=4.0, mean_ms=6.0))


def test_the_price_has_the_stated_factors_unless_others_are_given():
    def cost(price: CongestionPrice) -> float:
        busy = candidate_of("busy", 9.0, wait_ms=4.0, utilization=0.5)
        busy.mean_service_ms = 6.0
        price.set_costs([busy], priority=0)
        return busy.cost

    assert cost(CongestionPrice()) == pytest.approx(priced(0.5, 0.5, wait_ms=4.0, mean_ms=6.0))
    assert cost(CongestionPrice(idle=3.0, shared=0.0, own=0.0)) == pytest.approx(13.0 + 9.0 * 3.0)
    assert cost(CongestionPrice(idle=0.0, shared=3.0, own=0.0)) == pytest.approx(13.0 + 9.0 * 3.0 * 4 / 16)
    assert cost(CongestionPrice(idle=0.0, shared=0.0, own=3.0)) == pytest.approx(
        13.0 + 9.0 * 3.0 * 0.5 * 8.5 / 6
    )


def test_an_unused_variant_counts_this_request_as_its_mean():
    new = candidate_of("new", 9.0, wait_ms=4.0, utilization=0.5)
    choose(new)
    assert new.cost == pytest.approx(priced(0.5, 0.5, wait_ms=4.0, mean_ms=9.0))


def test_large_requests_are_worth_the_long_queue_of_the_fastest_and_small_ones_are_not():
    def chosen(size: float) -> str:
        fast = candidate_of("fast", 1.0 * size, wait_ms=40.0, utilization=0.8)
        slow = candidate_of("slow", 4.0 * size, wait_ms=12.0, utilization=0.8)
        for candidate in (fast, slow):
            candidate.mean_service_ms = 10.0
        return choose(fast, slow)[0].variant.name

    assert [chosen(size) for size in (1.0, 40.0)] == ["slow", "fast"]


def test_the_lowest_cost_is_picked_with_certainty():
    candidates = [candidate_of("a", 12.0), candidate_of("b", 3.0, wait_ms=5.0), candidate_of("c", 9.0)]
    assert choose(*candidates) == (candidates[1], 1.0, False)


def test_the_price_sends_a_request_past_a_busy_faster_variant():
    busy, idle = candidate_of("busy", 10.0, utilization=0.5), candidate_of("idle", 11.5)
    assert choose(busy, idle)[0] is idle


def test_the_price_of_a_well_known_busy_variant_does_not_fade():
    picker, rng = Picker(LatencyOptimizedPolicy()), random.Random(0)
    busy = candidate_of("busy", 10.0, utilization=0.5, relative_sd=0.05)
    idle = candidate_of("idle", 11.5, relative_sd=0.05)
    picks = [picker.pick([busy, idle], request_of(), rng) for _ in range(1000)]
    assert [choice[0] for choice in picks[:3]] == [idle] * 3
    drawn = [choice for choice in picks if choice[0] is busy]
    assert all(probe for _, _, probe in drawn)
    assert len(drawn) < 20
    assert len({propensity for _, propensity, _ in drawn}) <= 1, "the chance stays the same"


def test_of_equal_costs_the_first_is_picked():
    first, second = candidate_of("first", 10.0), candidate_of("second", 10.0)
    assert choose(first, second)[0] is first


def test_an_uncertain_prediction_costs_half_its_variance_more():
    sure, unsure = candidate_of("sure", 10.0), candidate_of("unsure", 9.8, relative_sd=0.3)
    assert choose(unsure, sure)[0] is sure
    assert unsure.cost == pytest.approx(9.8 * 1.045)
    assert sure.cost == pytest.approx(10.0)


def test_rare_slow_answers_cost_their_share_of_the_service_more():
    erratic = candidate_of("erratic", 8.0, wait_ms=4.0)
    erratic.excess = 0.5
    choose(erratic)
    assert erratic.cost == pytest.approx(4.0 + 8.0 * 1.5)


class TestExploration:
    def test_an_uncertain_candidate_is_sometimes_tried_and_marked_as_a_probe(self):
        picker, rng = Picker(LatencyOptimizedPolicy()), random.Random(0)
        pair = [candidate_of("best", 10.0), candidate_of("other", 10.5, relative_sd=0.3)]
        choices = [picker.pick(pair, request_of(), rng) for _ in range(300)]
        probes = [candidate.variant.name for candidate, _, probe in choices if probe]
        assert 30 <= len(probes) <= 150, "a doubt of 3 ms, and half a millisecond to lose"
        assert set(probes) == {"other"}
        assert {candidate.variant.name for candidate, _, probe in choices if not probe} == {"best"}


@pytest.mark.parametrize(
    ("priority", "share_of_price"),
    [(0, 1.0), (1, 0.5), (3, 0.125), (-1, 2.0), (-2, 4.0), (10**9, 2.0**-10), (-(10**9), 2.0**10)],
)
def test_the_priority_of_a_request_says_how_much_of_the_price_it_pays(priority, share_of_price):
    busy, idle = candidate_of("busy", 9.0, utilization=0.5), candidate_of("idle", 99.0, utilization=0.5)
    context = RoutingContext(priority=priority)
    pick(LatencyOptimizedPolicy(), busy, idle, context=context)
    assert busy.cost == pytest.approx(9.0 * (1 + share_of_price * (ETA + OMEGA * 0.5 * 0.5)))


def test_the_cost_is_divided_by_the_weight():
    light, heavy = candidate_of("light", 9.0), candidate_of("heavy", 12.0)
    heavy.weight = 2.0
    assert choose(light, heavy)[0] is heavy
    assert heavy.cost == pytest.approx(6.0)
