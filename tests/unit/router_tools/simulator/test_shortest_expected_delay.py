"""The policy `sed`: exact means, queues and failure rates, but no luck."""

from dataclasses import replace

import numpy as np
import pytest

from router_tools.simulator.oracle import Oracle, ShortestExpectedDelay
from router_tools.simulator.policy_choice import all_policies
from router_tools.simulator.run import run
from router_tools.simulator.workload import Recorded
from router_tools.simulator.world import Drift, Failures, World
from tests.unit.router_tools.simulator.builders import three_devices, variant, workload

SED = ShortestExpectedDelay.name
COUNT = 400
ONE_A_SECOND = Recorded(np.arange(1.0 * COUNT), np.ones(COUNT, dtype=int), np.ones(COUNT, dtype=int))
ALONE = workload(load=None, requests=COUNT, arrivals=ONE_A_SECOND, warm_up_batch_sizes=())


def chosen(world: World) -> np.ndarray:
    """Return the variant of each answer, in the order of the requests, if nobody waits."""
    executions = np.sort(run(world, ALONE, SED, 0).executions, order="request")
    return executions["variant"]


def test_it_is_no_policy_of_the_router() -> None:
    assert SED not in all_policies(three_devices(), workload())


def test_it_knows_the_means_and_not_the_noise() -> None:
    world = World(
        "w", "", (variant("a", 10.0, 0.0, noise_sigma=0.8), variant("b", 12.0, 0.0, noise_sigma=0.8))
    )
    assert set(chosen(world)) == {0}
    oracle = run(world, ALONE, Oracle.name, 0)
    assert set(oracle.executions["variant"]) == {0, 1}
    assert oracle.latency_ms.mean() < 0.8 * run(world, ALONE, SED, 0).latency_ms.mean()


def test_without_noise_and_queues_it_is_the_oracle() -> None:
    world = three_devices(noise_sigma=0.0)
    sizes = replace(ONE_A_SECOND, batch_size=np.arange(COUNT) % 32 + 1)
    mine = replace(ALONE, arrivals=sizes)
    both = [run(world, mine, policy, 0).executions["variant"] for policy in (SED, Oracle.name)]
    assert len(set(both[0])) > 1
    np.testing.assert_array_equal(*both)


def test_it_knows_the_queues() -> None:
    world = World("w", "", (variant("a", 10.0, 0.0), variant("b", 15.0, 0.0)))
    at_once = Recorded(np.arange(4) * 1e-6, np.ones(4, dtype=int), np.ones(4, dtype=int))
    record = run(world, workload(load=None, requests=4, arrivals=at_once, warm_up_batch_sizes=()), SED, 0)
    by_request = np.sort(record.executions, order="request")
    assert list(by_request["variant"]) == [0, 1, 0, 0]


def test_it_knows_what_is_slow_now() -> None:
    pair = (variant("a", 10.0, 0.0), variant("b", 12.0, 0.0))
    slowed = chosen(World("w", "", pair, drifts=(Drift("a", 0.25, 0.5, 3.0),)))
    assert set(slowed[:99]) == set(slowed[202:]) == {0}
    assert set(slowed[101:199]) == {1}


def test_it_takes_no_notice_of_cold_calls() -> None:
    assert set(
        chosen(World("w", "", (variant("a", 10.0, 0.0, cold_factor=50.0), variant("b", 12.0, 0.0))))
    ) == {0}


@pytest.mark.parametrize(("share", "first_choice"), [(0.02, 0), (0.05, 1)])
def test_a_failure_costs_the_retry(share: float, first_choice: int) -> None:
    """9.7 + share · 10 ms against 10 ms: better up to a share of 3 %."""
    pair = (variant("a", 9.7, 0.0), variant("b", 10.0, 0.0))
    world = World("w", "", pair, failures=(Failures("a", 0.0, 1.0, share),))
    counts = np.bincount(chosen(world), minlength=2)
    assert counts[first_choice] > 0.9 * COUNT


def test_a_lone_variant_that_fails_has_no_retry() -> None:
    world = World("w", "", (variant("a", 9.7, 0.0),), failures=(Failures("a", 0.0, 1.0, 0.5),))
    record = run(world, ALONE, SED, 0)
    assert np.isnan(record.latency_ms).mean() == pytest.approx(0.5, abs=0.1)
