import random
from dataclasses import replace

import numpy as np
import pytest

from router_backend.core.variants.profile import ModelProfile
from router_tools.simulator.metrics import measure
from router_tools.simulator.oracle import Oracle, RefusingOracle
from router_tools.simulator.policy_choice import all_policies
from router_tools.simulator.record import RunRecord
from router_tools.simulator.run import run
from router_tools.simulator.service_law import TableServiceLaw
from router_tools.simulator.stations.base import Station
from router_tools.simulator.workload import Deadline, Recorded
from router_tools.simulator.world import DynamicBatching, Outage, World
from tests.unit.router_tools.simulator.builders import three_devices, variant, workload

POLICIES = ("latency", "round_robin", "p2c", "exp3", "oracle")


def assert_same(first: RunRecord, second: RunRecord) -> None:
    np.testing.assert_array_equal(first.latency_ms, second.latency_ms)
    np.testing.assert_array_equal(first.executions, second.executions)


@pytest.mark.parametrize("policy", POLICIES)
def test_every_request_is_answered_once(policy: str) -> None:
    record = run(three_devices(), workload(), policy, 0)
    assert sorted(record.executions["request"]) == list(range(500))
    assert not np.isnan(record.latency_ms).any()
    assert not record.refused.any()


@pytest.mark.parametrize("policy", POLICIES)
def test_a_seed_decides_everything(policy: str) -> None:
    world, mine = three_devices(), workload()
    assert_same(run(world, mine, policy, 7), run(world, mine, policy, 7))
    assert not np.array_equal(run(world, mine, policy, 8).latency_ms, run(world, mine, policy, 7).latency_ms)


def test_all_policies_meet_the_same_requests_and_service_times() -> None:
    """Where two policies choose the same idle variant for a request, its service takes the same time."""
    world, mine = three_devices(noise_sigma=0.3), workload(load=0.1)
    first, second = run(world, mine, "round_robin", 0), run(world, mine, "latency", 0)
    np.testing.assert_array_equal(first.arrival_s, second.arrival_s)
    np.testing.assert_array_equal(first.deadline_ms, second.deadline_ms)
    rows = {int(row["request"]): row for row in second.executions}
    both = [(row, rows[row["request"]]) for row in first.executions]
    agreeing = [(a["service_ms"], b["service_ms"]) for a, b in both if a["variant"] == b["variant"]]
    assert len(agreeing) > 50
    np.testing.assert_allclose(*zip(*agreeing, strict=True), rtol=1e-6)


@pytest.mark.parametrize("policy", [*all_policies(three_devices(), workload()), "static:cpu"])
def test_no_policy_beats_the_oracle_where_nobody_waits(policy: str) -> None:
    one_a_second = Recorded(np.arange(300.0), np.arange(300) % 32 + 1, np.ones(300, dtype=int))
    world, mine = three_devices(noise_sigma=0.3), workload(load=None, requests=300, arrivals=one_a_second)
    oracle, record = run(world, mine, Oracle.name, 0), run(world, mine, policy, 0)
    np.testing.assert_allclose(oracle.executions["latency_ms"], oracle.executions["service_ms"], rtol=1e-6)
    assert np.all(oracle.latency_ms <= record.latency_ms + 1e-6)


@pytest.mark.parametrize("warm_up", [(1, 2), ()])
def test_the_offline_profile_is_exact(warm_up: tuple[int, ...]) -> None:
    """Without noise and queues, it chooses like the oracle at every size, sequence length included."""
    short, long = {1: 1.0, 2: 2.0}, {1: 9.0, 2: 11.0}
    laws = (
        TableServiceLaw({1: short, 4: long}),
        TableServiceLaw({1: {1: 3.0, 2: 3.0}, 4: {1: 8.0, 2: 12.0}}),
    )
    world = World(
        "w", "", tuple(replace(variant(name), law=law) for name, law in zip("ab", laws, strict=True))
    )
    count = 64
    arrivals = Recorded(np.arange(1.0 * count), np.arange(count) % 2 + 1, np.arange(count) // 2 % 2 * 3 + 1)
    sizes = {(batch, length): 0.25 for batch in (1, 2) for length in (4, 1)}
    mine = workload(None, count, arrivals=arrivals, sizes=sizes, warm_up_batch_sizes=warm_up)
    oracle, record = (run(world, mine, policy, 0) for policy in (Oracle.name, "offline_profile"))
    assert set(oracle.executions["variant"]) == {0, 1}
    np.testing.assert_array_equal(oracle.executions["variant"], record.executions["variant"])


def test_a_latency_is_the_wait_and_the_service_time() -> None:
    record = run(three_devices(), workload(load=0.8), "p2c", 0)
    waits_ms = record.executions["latency_ms"] - record.executions["service_ms"]
    assert waits_ms.min() > -1e-6
    assert waits_ms.max() > 10.0
    by_request = record.latency_ms[record.executions["request"]]
    np.testing.assert_allclose(by_request, record.executions["latency_ms"], rtol=1e-6)


def test_warm_up_teaches_every_variant_and_is_no_part_of_the_run() -> None:
    one_item = workload(load=0.01, requests=1)
    warm = run(three_devices(), one_item, "latency", 0)
    cold = run(three_devices(), replace(one_item, warm_up_batch_sizes=()), "latency", 0)
    assert len(warm.executions) == len(cold.executions) == 1
    assert warm.executions["expected_service_ms"][0] == pytest.approx(
        warm.executions["service_ms"][0], rel=0.3
    )
    assert warm.executions["finished_s"][0] == pytest.approx(warm.arrival_s[0] + warm.latency_ms[0] / 1e3)


def test_warm_up_sends_no_batch_that_a_variant_does_not_take() -> None:
    world = World("w", "", (variant("small", max_batch_size=4), variant("large")))
    assert not np.isnan(run(world, workload(requests=50), "latency", 0).latency_ms).any()


@pytest.mark.parametrize(("dead", "error_s"), [(False, 0.001), (True, 1.0)])
def test_a_failed_request_is_answered_by_another_variant_and_pays_for_the_attempt(
    dead: bool, error_s: float
) -> None:
    world = replace(three_devices(), outages=(Outage("gpu", 0.3, 0.6, error_s, dead),))
    mine = workload(load=0.2)
    record = run(world, mine, "static:gpu", 0)
    assert not np.isnan(record.latency_ms).any()
    sent_ms = record.latency_ms.copy()
    sent_ms[record.executions["request"]] -= record.executions["latency_ms"]
    retried = sent_ms > 1e-6
    length_s = record.arrival_s[-1]
    assert retried.any()
    assert sent_ms[retried].min() >= 1e3 * error_s - 1e-6
    assert record.arrival_s[retried].max() <= 0.6 * length_s
    during = (record.arrival_s > 0.3 * length_s + 0.1) & (record.arrival_s < 0.6 * length_s)
    answers = record.executions["variant"][np.argsort(record.executions["request"])]
    assert (answers[during] != 0).all()
    assert (answers[record.arrival_s < 0.2 * length_s] == 0).all()


def failed_attempts(dead: bool) -> int:
    world = replace(three_devices(), outages=(Outage("gpu", 0.1, 0.9, 0.001, dead),))
    record = run(world, workload(load=0.2, requests=1500), "static:gpu", 0)
    by_request = record.latency_ms[record.executions["request"]]
    return int((by_request > record.executions["latency_ms"] + 1e-6).sum())


def test_the_router_is_told_of_failures_so_that_its_breaker_keeps_requests_away() -> None:
    """A dead process opens it at once and for long; else about two attempts a second are left."""
    assert 1 <= failed_attempts(dead=True) < 10 < failed_attempts(dead=False) < 200


def test_the_oracle_never_sends_a_request_into_an_outage() -> None:
    world = replace(three_devices(), outages=(Outage("gpu", 0.3, 0.6, 0.001, dead=False),))
    record = run(world, workload(load=0.5), Oracle.name, 0)
    by_request = record.latency_ms[record.executions["request"]]
    np.testing.assert_allclose(by_request, record.executions["latency_ms"], rtol=1e-6)


def record_of_outage(dead: bool) -> RunRecord:
    world = World("w", "", (variant("only"),), outages=(Outage("only", 0.4, 0.6, 0.001, dead),))
    return run(world, workload(load=0.1), "latency", 0)


def test_a_request_that_every_variant_fails_gets_no_answer() -> None:
    record = record_of_outage(dead=False)
    unanswered = record.arrival_s[np.isnan(record.latency_ms)]
    length_s = record.arrival_s[-1]
    during = (record.arrival_s > 0.4 * length_s + 0.1) & (record.arrival_s < 0.6 * length_s - 0.1)
    assert np.isnan(record.latency_ms[during]).all()
    assert unanswered.min() >= 0.4 * length_s - 0.1
    assert unanswered.max() <= 0.6 * length_s + 0.1
    assert not record.refused.any(), "they were sent, and failed"


def test_requests_are_refused_while_the_only_process_is_dead_and_few_are_sent_to_try_it() -> None:
    record = record_of_outage(dead=True)
    unanswered = np.isnan(record.latency_ms)
    sent_s = record.arrival_s[unanswered & ~record.refused]
    assert record.refused.sum() > 100
    np.testing.assert_allclose(np.diff(sent_s), [1.0, 2.0, 4.0], atol=0.1)
    assert not unanswered[-1], "the breaker closes again"


def test_a_retry_has_what_the_failed_attempt_left_of_the_deadline() -> None:
    """A second passes in the failed attempt, more than any deadline: such a request gets no answer."""
    world = replace(three_devices(), outages=(Outage("gpu", 0.3, 0.6, 1.0, dead=True),))
    mine = workload(load=0.2, deadline=Deadline(10.0), told_deadline=True)
    late = run(world, mine, "static:gpu", 0)
    failed = late.latency_ms > 1000.0
    assert failed.any(), "late requests are served"
    refusing = run(world, replace(mine, refuse_late=True), "static:gpu", 0)
    assert (np.isnan(refusing.latency_ms) & ~refusing.refused).any(), "sent once, then refused"
    assert np.nanmax(refusing.latency_ms) < 1000.0


def test_hidden_requests_make_the_others_wait_and_are_not_counted() -> None:
    quiet = World("w", "", (variant("gpu"),))
    shared = World("w", "", (variant("gpu", hidden_load=0.5),))
    mine = workload(load=0.3)
    alone, beside = run(quiet, mine, "latency", 0), run(shared, mine, "latency", 0)
    assert len(beside.executions) == len(alone.executions) == 500
    assert beside.latency_ms.mean() > 1.5 * alone.latency_ms.mean()


@pytest.mark.parametrize(("told", "waits"), [(2, False), (1, True)])
def test_the_router_is_told_the_concurrency_that_the_world_says(told: int, waits: bool) -> None:
    """Two requests at once find two instances; told of one, it expects the second to wait."""
    world = World("w", "", (variant("gpu", concurrency=2, told_concurrency=told),))
    at_once = Recorded(np.array([0.0, 1e-6, 1.0]), np.full(3, 8), np.ones(3, dtype=int))
    record = run(world, workload(load=None, requests=3, arrivals=at_once), "latency", 0)
    np.testing.assert_allclose(record.latency_ms, 10.0)
    expected_waits_ms = record.executions["expected_latency_ms"] - record.executions["expected_service_ms"]
    assert list(expected_waits_ms > 1.0) == [False, waits, False]


def test_dynamic_batching_serves_a_load_that_one_at_a_time_cannot() -> None:
    batching = DynamicBatching(64, 0.002, (32, 64))
    mine = replace(workload(load=1.5, requests=2000), sizes={(1, 1): 1.0})
    alone = run(World("w", "", (variant("gpu"),)), mine, "latency", 0)
    merging = run(World("w", "", (variant("gpu", batching=batching),)), mine, "latency", 0)
    assert alone.latency_ms[-1] > 1000.0, "the queue grows without end"
    assert merging.latency_ms[-1] < 50.0


OVERLOAD = {"told_deadline": True, "refuse_late": True, "deadline": Deadline(5.0)}


def test_an_oracle_is_not_narrowed_by_what_the_router_predicts() -> None:
    world, mine = three_devices(noise_sigma=0.5), workload(load=2.0, deadline=Deadline(2.0))
    told = replace(mine, told_deadline=True, refuse_late=True)
    for oracle in (Oracle.name, RefusingOracle.name):
        assert_same(run(world, told, oracle, 0), run(world, mine, oracle, 0))


def test_requests_are_refused_only_where_the_workload_allows_it() -> None:
    refusing = run(three_devices(), workload(load=2.0, **OVERLOAD), "latency", 0)
    serving = run(three_devices(), workload(load=2.0), "latency", 0)
    assert refusing.refused.sum() > 100
    np.testing.assert_array_equal(np.isnan(refusing.latency_ms), refusing.refused)
    assert not serving.refused.any()


def test_the_oracle_that_refuses_answers_in_time_or_not_at_all() -> None:
    record = run(three_devices(), workload(load=2.0, **OVERLOAD), RefusingOracle.name, 0)
    answered = ~record.refused
    assert 100 < record.refused.sum() < 400
    assert np.all(record.latency_ms[answered] <= record.deadline_ms[answered] + 1e-6)


def test_a_request_is_charged_and_the_router_learns_the_share_of_one_instance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    learned_w: list[float] = []

    def note(profile: ModelProfile, size: float, memory_mb: float | None, power_w: float | None) -> None:
        assert power_w is not None
        learned_w.append(power_w)

    monkeypatch.setattr(ModelProfile, "learn_resources", note)
    record = run(World("w", "", (variant(concurrency=4, power_w=50.0),)), workload(load=0.8), "latency", 0)
    assert record.power_w == (12.5,)
    assert learned_w == pytest.approx([12.5] * len(learned_w))


@pytest.mark.parametrize("factor", [1e3, 1e-3, -1.0, float("nan")])
def test_power_readings_in_wrong_units_do_not_change_what_is_saved(
    monkeypatch: pytest.MonkeyPatch, factor: float
) -> None:
    """One in ten, at random."""
    world = World("w", "", (variant("gpu", 2.0, 1.0, power_w=70.0), variant("ane", 3.0, 2.0, power_w=8.0)))
    good = run(world, workload(load=0.3, requests=2000), "power", 0)
    drawn_w, rng = Station.drawn_w, random.Random(0)

    def sometimes_wrong_w(station: Station) -> float | None:
        power_w = drawn_w(station)
        return power_w if power_w is None or rng.random() > 0.1 else factor * power_w

    monkeypatch.setattr(Station, "drawn_w", sometimes_wrong_w)
    bad = run(world, workload(load=0.3, requests=2000), "power", 0)
    assert measure(bad, good).energy_ratio == pytest.approx(1.0, abs=0.03)


def test_requests_beyond_those_that_may_be_inside_are_refused() -> None:
    record = run(three_devices(), workload(load=3.0, requests=300, max_in_flight=4), "latency", 0)
    assert 0.3 < record.refused.mean() < 0.9
    assert np.isnan(record.latency_ms[record.refused]).all()
    answered = ~record.refused
    begin_s = record.arrival_s[answered]
    end_s = begin_s + record.latency_ms[answered] / 1e3
    inside = [int(((begin_s <= now_s) & (now_s < end_s)).sum()) for now_s in begin_s]
    assert max(inside) == 4
    assert not run(three_devices(), workload(load=3.0, requests=300), "latency", 0).refused.any()
