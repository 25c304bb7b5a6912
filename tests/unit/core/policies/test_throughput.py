"""The throughput policy: the first answer below saturation, the lowest work above."""

import math

import pytest

from router_backend.core.policies.latency import LatencyOptimizedPolicy
from router_backend.core.policies.throughput import ThroughputOptimizedPolicy
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device
from tests.unit.core.policies.scored import candidate, pick, saturated, score


def test_if_all_are_saturated_throughput_prefers_the_lowest_work_over_the_first_answer() -> None:
    late_but_cheap, soon_but_dear = saturated("cheap", 5.0, 31.0), saturated("dear", 30.0, 5.0)
    assert late_but_cheap.latency_ms > soon_but_dear.latency_ms
    assert pick(ThroughputOptimizedPolicy(), [late_but_cheap, soon_but_dear]) == "cheap"


def test_a_growing_backlog_makes_work_expensive() -> None:
    crowded, free = saturated("crowded", 5.0, 200.0), saturated("free", 30.0, 5.0)
    assert pick(ThroughputOptimizedPolicy(), [crowded, free]) == "free"


def test_below_saturation_throughput_prefers_the_first_answer() -> None:
    quick, slow = candidate("quick", Device.GPU, 5.0), candidate("slow", Device.CPU, 30.0)
    assert pick(ThroughputOptimizedPolicy(), [slow, quick]) == "quick"


def test_throughput_pays_only_twice_the_utilization_per_free_share() -> None:
    """W + E · (1 + 2u / ((1 - u) · c)), where the latency policy has 0.25 for 2 and two more terms."""
    busy = candidate("busy", Device.GPU, 9.0, wait_ms=4.0, utilization=0.5, concurrency=2)
    other = candidate("other", Device.CPU, 9.0, utilization=0.8)
    assert score(ThroughputOptimizedPolicy(), busy, other) == pytest.approx([4.0 + 9.0 * 2.0, 9.0 * 9.0])


def test_throughput_keeps_a_busy_device_free_that_latency_would_use() -> None:
    busy = candidate("busy", Device.GPU, 10.0, utilization=0.4)
    idle = candidate("idle", Device.CPU, 18.0)
    assert pick(LatencyOptimizedPolicy(), [busy, idle]) == "busy"
    assert pick(ThroughputOptimizedPolicy(), [busy, idle]) == "idle"


def test_the_priced_work_of_saturated_devices_is_by_instance() -> None:
    """S / c · e^(0.3 · (W - lowest W) / mean service per instance)."""
    short = candidate("short", Device.GPU, 6.0, wait_ms=5.0, utilization=1.0, concurrency=2)
    long = candidate("long", Device.CPU, 30.0, wait_ms=20.0, utilization=1.0)
    short.mean_service_ms, long.mean_service_ms = 10.0, 25.0
    assert score(ThroughputOptimizedPolicy(), short, long) == pytest.approx(
        [6.0 / 2, 30.0 * math.exp(0.3 * 15.0 / 15.0)]
    )


@pytest.mark.parametrize("utilization", [0.9, 0.91])
def test_devices_are_saturated_above_nine_tenths(utilization: float) -> None:
    """Above it, the work of 5 ms is cheaper than that of 30 ms in spite of the wait."""
    cheap = candidate("cheap", Device.GPU, 5.0, wait_ms=400.0, utilization=1.0)
    soon = candidate("soon", Device.CPU, 30.0, utilization=utilization)
    cheap.mean_service_ms = soon.mean_service_ms = 100.0
    assert pick(ThroughputOptimizedPolicy(), [cheap, soon]) == ("soon" if utilization <= 0.9 else "cheap")


def test_at_saturation_a_low_priority_waits_where_the_least_time_is_taken() -> None:
    crowded, free = saturated("crowded", 10.0, 60.0), saturated("free", 30.0, 5.0)

    def taken(priority: int) -> str:
        return pick(ThroughputOptimizedPolicy(), [crowded, free], RoutingContext(priority=priority))

    assert [taken(priority) for priority in (0, -1, -2)] == ["free", "crowded", "crowded"]
