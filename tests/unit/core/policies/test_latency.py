import random

import pytest

from router_backend.core.policies.base import Choice
from router_backend.core.policies.latency import LatencyOptimizedPolicy
from router_backend.core.records.request import RoutingContext
from router_backend.core.variants.profile import VariantProfile
from tests.unit.core.candidates import candidate_of

ETA, SIGMA, OMEGA = 0.25, 1.75, 0.1


def choose(*candidates: VariantProfile) -> Choice:
    return LatencyOptimizedPolicy().choose(list(candidates), RoutingContext(), 0.0, random.Random(0))


def test_an_idle_candidate_costs_its_wait_and_service():
    idle = candidate_of("idle", 9.0, wait_ms=4.0)
    choose(idle)
    assert idle.cost == pytest.approx(13.0)


def priced(u: float, mean_u: float, *, wait_ms: float, mean_ms: float, concurrency: int = 1) -> float:
    """The cost of 9 ms of service by the formula in the docstring of `CongestionPrice`."""
    r = mean_u / (1 - mean_u)
    share = ETA * u / ((1 - u) * concurrency)
    share += r * SIGMA * wait_ms / (wait_ms + 2 * mean_ms)
    share += r * OMEGA * u * (wait_ms + 9.0 / 2) / mean_ms
    return wait_ms + 9.0 * (1 + share)


@pytest.mark.parametrize("concurrency", [1, 2, 4])
@pytest.mark.parametrize("u", [0.1, 0.5, 0.75, 0.9])
def test_beside_idle_variants_congestion_has_a_price_on_the_service_per_instance(u, concurrency):
    """Of a thousand candidates one is busy, so r is next to nothing."""
    busy = candidate_of("busy", 9.0, utilization=u, concurrency=concurrency)
    choose(busy, *(candidate_of(f"idle {number}", 99.0) for number in range(999)))
    assert busy.cost == pytest.approx(9.0 * (1 + ETA * u / ((1 - u) * concurrency)), rel=1e-3)


@pytest.mark.parametrize("wait_ms", [0.0, 4.0, 400.0])
@pytest.mark.parametrize("u", [0.2, 0.5, 0.8])
def test_where_others_are_busy_as_well_the_price_is_on_those_that_are_held_up_behind(u, wait_ms):
    busy = candidate_of("busy", 9.0, wait_ms=wait_ms, utilization=u)
    busy.load.mean_service_ms = 6.0
    choose(busy, candidate_of("other", 99.0, utilization=0.6))
    assert busy.cost == pytest.approx(priced(u, (u + 0.6) / 2, wait_ms=wait_ms, mean_ms=6.0))


@pytest.mark.parametrize("utilization", [0.95, 1.0, 7.0])
def test_the_price_stops_at_a_utilization_of_nineteen_twentieths(utilization):
    overloaded = candidate_of("overloaded", 9.0, wait_ms=4.0, utilization=utilization)
    overloaded.load.mean_service_ms = 6.0
    choose(overloaded)
    assert overloaded.cost == pytest.approx(priced(0.95, 0.95, wait_ms=4.0, mean_ms=6.0))


def test_a_variant_that_was_sent_nothing_yet_counts_this_request_as_its_mean():
    new = candidate_of("new", 9.0, wait_ms=4.0, utilization=0.5)
    choose(new)
    assert new.cost == pytest.approx(priced(0.5, 0.5, wait_ms=4.0, mean_ms=9.0))


def test_large_requests_are_worth_the_long_queue_of_the_fastest_and_small_ones_are_not():
    def chosen(size: float) -> str:
        fast = candidate_of("fast", 1.0 * size, wait_ms=40.0, utilization=0.8)
        slow = candidate_of("slow", 4.0 * size, wait_ms=12.0, utilization=0.8)
        for candidate in (fast, slow):
            candidate.load.mean_service_ms = 10.0
        return choose(fast, slow).candidate.variant.name

    assert [chosen(size) for size in (1.0, 40.0)] == ["slow", "fast"]


def test_the_least_cost_is_picked_for_sure():
    candidates = [candidate_of("a", 12.0), candidate_of("b", 3.0, wait_ms=5.0), candidate_of("c", 9.0)]
    choice = choose(*candidates)
    assert choice == Choice(candidates[1], propensity=1.0, probe=False)


def test_the_price_sends_a_request_past_a_busy_faster_variant():
    busy, idle = candidate_of("busy", 10.0, utilization=0.5), candidate_of("idle", 11.5)
    assert choose(busy, idle).candidate is idle


def test_the_price_holds_for_a_well_known_variant_however_long_it_lasts():
    policy, rng = LatencyOptimizedPolicy(), random.Random(0)
    for _ in range(1000):
        busy = candidate_of("busy", 10.0, utilization=0.5, relative_sd=0.05)
        idle = candidate_of("idle", 11.5, relative_sd=0.05)
        assert policy.choose([busy, idle], RoutingContext(), 0.0, rng).candidate is idle


def test_of_equal_costs_the_first_is_picked():
    first, second = candidate_of("first", 10.0), candidate_of("second", 10.0)
    assert choose(first, second).candidate is first


def test_a_prediction_that_is_not_sure_costs_as_much_more_as_half_its_variance():
    sure, unsure = candidate_of("sure", 10.0), candidate_of("unsure", 9.8, relative_sd=0.3)
    choice = choose(unsure, sure)
    assert choice.candidate is sure
    assert unsure.cost == pytest.approx(9.8 * 1.045)
    assert sure.cost == pytest.approx(10.0)


class TestExploration:
    def test_an_uncertain_candidate_is_tried_now_and_then_and_marked_as_a_probe(self):
        policy, rng = LatencyOptimizedPolicy(), random.Random(0)
        choices = []
        for _ in range(300):
            best = candidate_of("best", 10.0)
            other = candidate_of("other", 10.5, relative_sd=0.3)
            choices.append(policy.choose([best, other], RoutingContext(), 0.0, rng))
        probes = [choice for choice in choices if choice.probe]
        assert 1 <= len(probes) <= 30
        assert {choice.candidate.variant.name for choice in probes} == {"other"}
        assert {choice.candidate.variant.name for choice in choices if not choice.probe} == {"best"}

    def test_two_policies_do_not_share_a_budget(self):
        spender, saver, rng = LatencyOptimizedPolicy(), LatencyOptimizedPolicy(), random.Random(0)

        def probed(policy: LatencyOptimizedPolicy) -> bool:
            pair = [candidate_of("best", 10.0), candidate_of("other", 9.59, relative_sd=0.3)]
            return policy.choose(pair, RoutingContext(), 0.0, rng).probe

        assert probed(spender)
        assert not probed(spender)
        assert probed(saver)


@pytest.mark.parametrize(("priority", "share_of_price"), [(1, 0.0), (0, 1.0), (-1, 2.0)])
def test_the_priority_of_a_request_says_how_much_of_the_price_it_pays(priority, share_of_price):
    busy, idle = candidate_of("busy", 9.0, utilization=0.5), candidate_of("idle", 99.0, utilization=0.5)
    context = RoutingContext(priority=priority)
    LatencyOptimizedPolicy().choose([busy, idle], context, 0.0, random.Random(0))
    assert busy.cost == pytest.approx(9.0 * (1 + share_of_price * (ETA + OMEGA * 0.5 * 0.5)))


def test_the_cost_is_divided_by_the_weight():
    light, heavy = candidate_of("light", 9.0), candidate_of("heavy", 12.0)
    heavy.weight = 2.0
    assert choose(light, heavy).candidate is heavy
    assert heavy.cost == pytest.approx(6.0)
