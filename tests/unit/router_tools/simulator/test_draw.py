from dataclasses import replace

import numpy as np
import pytest

from router_tools.errors import ToolError
from router_tools.simulator.capacity import (
    arrivals_per_s,
    capacity_per_s,
    offered_load,
    variant_capacity_per_s,
)
from router_tools.simulator.draw import draw
from router_tools.simulator.workload import Bursty, Recorded
from router_tools.simulator.world import Failures, Stalls, World
from tests.unit.router_tools.simulator.builders import three_devices, variant, workload


def test_equal_seeds_draw_equal_requests_and_others_do_not() -> None:
    first, again, other = (draw(three_devices(), workload(), seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.requests.arrival_s, again.requests.arrival_s)
    np.testing.assert_array_equal(first.requests.batch_size, again.requests.batch_size)
    np.testing.assert_array_equal(first.requests.noise["cpu"], again.requests.noise["cpu"])
    assert not np.array_equal(first.requests.batch_size, other.requests.batch_size)


def test_the_noise_of_a_variant_does_not_depend_on_the_others() -> None:
    world = three_devices()
    alone = replace(world, variants=world.variants[2:])
    np.testing.assert_array_equal(
        draw(world, workload(), 0).requests.noise["cpu"], draw(alone, workload(), 0).requests.noise["cpu"]
    )


def test_noise_does_not_change_the_mean_service_time() -> None:
    world = three_devices(noise_sigma=0.5)
    factors = draw(world, workload(requests=40_000), 0).requests.noise["gpu"]
    assert factors.mean() == pytest.approx(1.0, abs=0.01)
    assert np.log(factors).std() == pytest.approx(0.5, abs=0.01)


def test_sizes_have_the_probabilities_of_the_workload() -> None:
    requested = replace(workload(requests=40_000), sizes={(1, 128): 0.7, (4, 384): 0.3})
    requests = draw(three_devices(), requested, 0).requests
    assert float((requests.batch_size == 4).mean()) == pytest.approx(0.3, abs=0.01)
    np.testing.assert_array_equal(requests.batch_size == 4, requests.sequence_length == 384)


def test_capacity_is_the_sum_over_the_variants() -> None:
    world = World("w", "", (variant("a", 5.0, 0.0), variant("b", 20.0, 0.0, concurrency=2)))
    assert capacity_per_s(world, workload()) == pytest.approx(200.0 + 100.0)
    assert arrivals_per_s(world, workload(load=0.5)) == pytest.approx(150.0)


@pytest.mark.parametrize("base_ms", [1e-300, 1e300])
def test_service_times_of_very_different_magnitude_are_refused(base_ms: float) -> None:
    world = World("w", "", (variant("a", base_ms, 0.0), variant("b", 20.0, 0.0)))
    with pytest.raises(ToolError, match="world 'w': expected service times of similar magnitude"):
        capacity_per_s(world, workload())


@pytest.mark.parametrize("arrivals", [None, Bursty(4.0, 0.2, 0.6)])
def test_requests_arrive_at_the_requested_load(arrivals: Bursty | None) -> None:
    world = three_devices()
    requested = workload(load=0.6, requests=20_000)
    if arrivals is not None:
        requested = replace(requested, arrivals=arrivals)
    drawn = draw(world, requested, 0)
    assert 20_000 / drawn.length_s / capacity_per_s(world, requested) == pytest.approx(0.6, rel=0.05)


RECORDED = Recorded(np.array([0.0, 1.0, 4.0]), np.array([1, 2, 3]), np.array([7, 7, 7]))


def test_recorded_requests_arrive_as_recorded() -> None:
    requested = workload(load=None, requests=3, arrivals=RECORDED)
    requests = draw(three_devices(), requested, 5).requests
    np.testing.assert_allclose(requests.arrival_s, [0.0, 1.0, 4.0])
    np.testing.assert_array_equal(requests.batch_size, [1, 2, 3])
    np.testing.assert_array_equal(requests.sequence_length, [7, 7, 7])


def test_recorded_requests_arrive_faster_at_a_higher_load() -> None:
    world = three_devices()
    as_recorded = workload(load=None, requests=3, arrivals=RECORDED)
    faster = replace(as_recorded, load=10.0 * offered_load(world, as_recorded))
    np.testing.assert_allclose(draw(world, faster, 0).requests.arrival_s, [0.0, 0.1, 0.4])


def test_hidden_requests_use_their_share_of_the_variants_capacity() -> None:
    world = World("w", "", (variant("a", 10.0, 0.0, hidden_load=0.3), variant("b", 10.0, 0.0)))
    requested = workload(requests=20_000)
    drawn = draw(world, requested, 0)
    per_s = len(drawn.hidden["a"].arrival_s) / drawn.length_s
    assert per_s / variant_capacity_per_s(world.variants[0], requested) == pytest.approx(0.3, rel=0.05)
    assert list(drawn.hidden) == ["a"]


def test_stalls_have_the_frequency_and_duration_of_the_world() -> None:
    world = replace(three_devices(), stalls=(Stalls("gpu", 0.5, 0.02),))
    drawn = draw(world, workload(requests=60_000), 0)
    stalls = drawn.stalls["gpu"]
    assert drawn.length_s / len(stalls) == pytest.approx(0.5, rel=0.15)
    assert float(np.mean([stall.to_s - stall.from_s for stall in stalls])) == pytest.approx(0.02, rel=0.15)


def test_content_makes_a_request_longer_on_every_variant_alike() -> None:
    plain, content = (
        draw(three_devices(), workload(requests=20_000, content_sigma=sigma), 0).requests
        for sigma in (0.0, 0.6)
    )
    factors = [content.noise[name] / plain.noise[name] for name in ("gpu", "ane", "cpu")]
    np.testing.assert_allclose(factors[0], factors[1])
    np.testing.assert_allclose(factors[0], factors[2])
    assert factors[0].mean() == pytest.approx(1.0, abs=0.02)
    assert np.log(factors[0]).std() == pytest.approx(0.6, abs=0.02)
    np.testing.assert_array_equal(content.arrival_s, plain.arrival_s)


def test_priorities_have_the_probabilities_of_the_workload() -> None:
    drawn = draw(three_devices(), workload(requests=20_000, priorities={-1: 0.75, 2: 0.25}), 0).requests
    assert drawn.priority is not None
    assert set(drawn.priority.tolist()) == {-1, 2}
    assert float((drawn.priority == 2).mean()) == pytest.approx(0.25, abs=0.01)
    assert draw(three_devices(), workload(), 0).requests.priority is None


def test_luck_is_drawn_for_the_variants_that_fail_requests() -> None:
    world = replace(
        three_devices(), failures=(Failures("gpu", 0.0, 0.5, 0.2), Failures("gpu", 0.5, 1.0, 0.1))
    )
    requests = draw(world, workload(requests=20_000), 0).requests
    assert list(requests.luck) == ["gpu"]
    assert float((requests.luck["gpu"] < 0.2).mean()) == pytest.approx(0.2, abs=0.01)
    assert draw(three_devices(), workload(), 0).requests.luck == {}


def test_the_luck_of_a_request_does_not_depend_on_its_noise() -> None:
    world = replace(three_devices(noise_sigma=0.5), failures=(Failures("gpu", 0.0, 1.0, 0.2),))
    requests = draw(world, workload(requests=20_000), 0).requests
    correlation = np.corrcoef(requests.luck["gpu"], np.log(requests.noise["gpu"]))[0, 1]
    assert abs(correlation) < 0.03
