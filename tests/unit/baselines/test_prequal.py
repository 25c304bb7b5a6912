import pytest

from router_backend.baselines.prequal import PrequalPolicy, Replica
from tests.unit.baselines.replicas import answer, choose, holding


class TestReplica:
    def test_the_latency_is_the_median_of_those_that_met_as_many(self):
        replica = Replica()
        for in_flight, latency_ms in ((0, 10.0), (1, 20.0), (1, 90.0), (1, 30.0), (4, 70.0)):
            replica.update(in_flight, latency_ms)
        assert [replica.latency_ms(in_flight) for in_flight in (0, 1, 9)] == [10.0, 30.0, 70.0]

    def test_of_queues_equally_near_both_count(self):
        replica = Replica()
        replica.update(1, 10.0)
        replica.update(3, 50.0)
        assert replica.latency_ms(2) == 30.0

    def test_what_is_not_recent_is_forgotten(self):
        replica = Replica()
        for latency_ms in (500.0, 5.0):
            for _ in range(Replica.RECENT):
                replica.update(0, latency_ms)
        assert replica.latency_ms(0) == 5.0

    def test_before_the_first_answer_it_is_nothing(self):
        assert Replica().latency_ms(3) == 0.0


def test_of_the_cold_ones_the_fastest_is_picked_though_it_holds_more():
    policy, slow, fast = PrequalPolicy(), holding("slow"), holding("fast", in_flight=1)
    answer(policy, slow, 50.0)
    answer(policy, fast, 10.0)
    for _ in range(10):
        choose(policy, slow, fast)
    assert choose(policy, slow, fast)[0] is fast
    assert (slow.cost, fast.cost) == (50.0, 10.0)


def test_a_hot_one_is_avoided_however_fast_it_is():
    """5 in flight is above the 0.84 quantile of what was seen: five sixths of it are 0."""
    policy, fast = PrequalPolicy(), holding("fast", in_flight=5)
    others = [holding(name) for name in "abcde"]
    answer(policy, fast, 1.0)
    for other in others:
        answer(policy, other, 100.0)
    for _ in range(10):
        choose(policy, *others)
    assert choose(policy, fast, *others)[0] is others[0]
    assert fast.cost == PrequalPolicy.BEYOND_LATENCY_MS * 5


@pytest.mark.parametrize(("others", "picked"), [(4, "fast"), (8, "0")])
def test_hot_begins_above_the_quantile(others, picked):
    """Holding more than 4/5 of what was seen is still cold, holding more than 8/9 is hot."""
    policy, fast = PrequalPolicy(), holding("fast", in_flight=1)
    idle = [holding(str(i)) for i in range(others)]
    answer(policy, fast, 1.0)
    for candidate in idle:
        answer(policy, candidate, 100.0)
    assert choose(policy, fast, *idle)[0].variant.name == picked


def test_where_all_are_hot_the_least_loaded_is_picked():
    policy, busier, less_busy = PrequalPolicy(), holding("busier", 9), holding("less busy", 8)
    answer(policy, busier, 1.0)
    answer(policy, less_busy, 100.0)
    for _ in range(50):
        choose(policy, holding("idle"), holding("idle too"))
    assert choose(policy, busier, less_busy)[0] is less_busy


def test_a_latency_counts_for_the_queue_that_its_request_met():
    policy, replica = PrequalPolicy(), holding("replica")
    for replica.in_flight, latency_ms in ((0, 1000.0), (1, 3000.0)):
        answer(policy, replica, latency_ms)
    choose(policy, replica)
    assert replica.cost == 3000.0


def test_an_unknown_variant_is_tried():
    policy, known, unknown = PrequalPolicy(), holding("known"), holding("unknown")
    answer(policy, known, 10.0)
    assert choose(policy, known, unknown)[0] is unknown
