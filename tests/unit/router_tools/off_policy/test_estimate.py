from dataclasses import replace

import numpy as np
import pytest

from router_tools.off_policy.estimate import estimate
from router_tools.off_policy.recording import Recording
from router_tools.simulator import empirical_world
from router_tools.simulator.trace import TracedRequest
from router_tools.simulator.world import Drift, World
from tests.unit.router_tools.off_policy.recorded_runs import fixed_arrivals, mean_ms, trace
from tests.unit.router_tools.simulator.builders import three_devices, workload

SEEDS = range(5)


def true_and_recorded(world: World, policy: str, load: float = 0.3) -> tuple[float, Recording]:
    """Return the mean latency of a policy, and a recording of another one, on the same arrivals."""
    arrivals = fixed_arrivals(world, workload(load=load, requests=2000))
    true_ms = float(np.mean([mean_ms(world, arrivals, policy, 100 + seed) for seed in SEEDS]))
    return true_ms, Recording("t", trace(world, arrivals, "p2c", 1))


@pytest.mark.parametrize("policy", ["latency", "round_robin", "static:gpu"])
@pytest.mark.parametrize("noise_sigma", [0.05, 0.4])
def test_the_mean_of_a_policy_is_in_its_interval(policy: str, noise_sigma: float) -> None:
    true_ms, recording = true_and_recorded(three_devices(noise_sigma), policy)
    found = estimate(recording, policy)
    assert found.low_ms <= true_ms <= found.high_ms
    if noise_sigma == 0.05:
        assert found.mean_ms == pytest.approx(true_ms, rel=0.03)
        assert found.model_ms == pytest.approx(true_ms, rel=0.05)
    assert abs(recording.mean_ms / true_ms - 1.0) > 0.05, "the recorded policy had another"
    assert sum(found.shares.values()) == pytest.approx(1.0)


def test_a_variant_that_was_slower_for_some_time_is_estimated_so() -> None:
    """With laws that are constant over the trace, the estimate by the model was 77 % too low."""
    world = replace(three_devices(), drifts=(Drift("gpu", 0.35, 0.6, 3.0),))
    true_ms, recording = true_and_recorded(world, "static:gpu", load=0.35)
    found = estimate(recording, "static:gpu")
    assert found.low_ms <= true_ms <= found.high_ms
    assert found.mean_ms == pytest.approx(true_ms, rel=0.1)


def test_estimates_can_be_repeated_and_depend_on_the_seed() -> None:
    _, recording = true_and_recorded(three_devices(), "latency")
    assert estimate(recording, "latency", seed=3) == estimate(recording, "latency", seed=3)
    assert estimate(recording, "latency", seed=3) != estimate(recording, "latency", seed=4)


def test_requests_keep_their_deadlines() -> None:
    world = three_devices()
    arrivals = fixed_arrivals(world, workload(load=0.9, requests=600))
    requests = [replace(each, deadline_ms=30.0) for each in trace(world, arrivals, "p2c", 1)]
    free = estimate(Recording("t", [replace(each, deadline_ms=None) for each in requests]), "random")
    bound = estimate(Recording("t", requests), "random")
    assert bound.mean_ms < 0.9 * free.mean_ms, "variants that would be late are left out"


def test_propensities_correct_a_model_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model misses that the GPU was slow for some time, of which few executions were recorded."""
    monkeypatch.setattr(empirical_world, "changes", lambda *_: ())
    world = replace(three_devices(), drifts=(Drift("gpu", 0.3, 0.7, 4.0),))
    arrivals = fixed_arrivals(world, workload(load=0.04, requests=4000))
    true_ms = mean_ms(world, arrivals, "static:gpu", 100)
    requests, rng = [], np.random.default_rng(0)
    for number, request in enumerate(trace(world, arrivals, "random", 1)):
        if request.variant != "gpu" or not 0.3 <= number / 4000 < 0.7:
            requests.append(request)
        elif rng.random() < 0.2:
            requests.append(replace(request, propensity=0.2 * (request.propensity or 0.0)))
        else:
            requests.append(TracedRequest(request.arrival_s, request.batch_size, request.elements))
    found = estimate(Recording("t", requests), "static:gpu")
    assert found.model_ms < 0.85 * true_ms
    assert found.mean_ms == pytest.approx(true_ms, rel=0.12)
    assert found.low_ms <= true_ms <= found.high_ms
