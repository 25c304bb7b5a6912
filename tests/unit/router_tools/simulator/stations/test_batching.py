import pytest

from router_backend.core.records.outcome import Fault
from router_tools.simulator.agenda import Agenda
from router_tools.simulator.pace import Pace
from router_tools.simulator.randomness import stream
from router_tools.simulator.stations.base import Interruption
from router_tools.simulator.stations.batching import BatchingStation
from router_tools.simulator.world import DynamicBatching
from tests.unit.router_tools.simulator.builders import TimedJob, variant

# The service time is 2 ms plus 1 ms per item.


def station_and_jobs(
    batching: DynamicBatching, arrivals_ms: list[float], batch_sizes: list[int], concurrency: int = 1
) -> tuple[Agenda, BatchingStation, list[TimedJob]]:
    agenda = Agenda()
    station = BatchingStation(variant(concurrency=concurrency), agenda, batching)
    jobs = [TimedJob(agenda, (2.0 + size) / 1e3, size) for size in batch_sizes]
    for time_ms, job in zip(arrivals_ms, jobs, strict=True):
        agenda.plan(time_ms / 1e3, station.submit, job)
    return agenda, station, jobs


def ends_ms(batching: DynamicBatching, arrivals_ms: list[float], batch_sizes: list[int]) -> list[float]:
    agenda, _, jobs = station_and_jobs(batching, arrivals_ms, batch_sizes)
    agenda.run_out()
    return [round(1e3 * job.answered_s, 6) for job in jobs if job.answered_s is not None]


def test_queued_requests_become_one_execution_of_the_total_size() -> None:
    batching = DynamicBatching(max_batch_size=32, max_queue_delay_s=0.0, preferred_batch_sizes=())
    # The first is executed at once and ends at 3 ms; the next three are merged and end 2 + 12 ms later.
    assert ends_ms(batching, [0, 1, 1.5, 2], [1, 4, 4, 4]) == [3, 17, 17, 17]


def test_an_execution_does_not_exceed_the_maximum_batch_size() -> None:
    batching = DynamicBatching(max_batch_size=8, max_queue_delay_s=0.0, preferred_batch_sizes=())
    assert ends_ms(batching, [0, 1, 1.5, 2], [1, 4, 4, 4]) == [3, 13, 13, 19]


def test_the_first_request_waits_for_others_up_to_the_queue_delay() -> None:
    batching = DynamicBatching(max_batch_size=32, max_queue_delay_s=0.005, preferred_batch_sizes=())
    assert ends_ms(batching, [0, 2, 4, 6], [1, 1, 1, 1]) == [10, 10, 10, 14]


def test_a_preferred_size_is_executed_at_once() -> None:
    batching = DynamicBatching(max_batch_size=32, max_queue_delay_s=0.1, preferred_batch_sizes=(8, 4))
    assert ends_ms(batching, [0, 2], [2, 2]) == [8, 8]


def test_a_full_execution_does_not_wait() -> None:
    batching = DynamicBatching(max_batch_size=4, max_queue_delay_s=0.1, preferred_batch_sizes=())
    assert ends_ms(batching, [0, 2], [2, 2]) == [8, 8]


def test_an_execution_has_the_noise_of_its_first_request() -> None:
    batching = DynamicBatching(max_batch_size=8, max_queue_delay_s=0.01, preferred_batch_sizes=())
    agenda = Agenda()
    station = BatchingStation(variant(), agenda, batching)
    slow, quick = TimedJob(agenda, 2 * 6.0 / 1e3, 4), TimedJob(agenda, 0.1 * 6.0 / 1e3, 4)
    station.submit(slow)
    station.submit(quick)
    agenda.run_out()
    assert (slow.answered_s, quick.answered_s) == pytest.approx((0.02, 0.02))


@pytest.mark.parametrize("concurrency", [1, 2])
@pytest.mark.parametrize("delay_s", [0.0, 0.004])
def test_the_foreseen_completion_is_exact_if_no_job_follows(concurrency: int, delay_s: float) -> None:
    batching = DynamicBatching(16, delay_s, (8,))
    rng = stream(1, "batches")
    for seed in range(30):
        count = 1 + seed % 7
        arrivals_ms = sorted(rng.uniform(0.0, 20.0, count).tolist())
        sizes = rng.integers(1, 12, count).tolist()
        agenda, station, jobs = station_and_jobs(batching, arrivals_ms[:-1], sizes[:-1], concurrency)
        agenda.run_until(arrivals_ms[-1] / 1e3)
        last = TimedJob(agenda, (2.0 + sizes[-1]) / 1e3, sizes[-1])
        seen_s = station.completion_s(last)
        station.submit(last)
        agenda.run_out()
        assert last.answered_s == pytest.approx(seen_s)
        assert all(job.answered_s is not None for job in jobs)


def test_an_outage_fails_queued_and_running_jobs() -> None:
    batching = DynamicBatching(max_batch_size=4, max_queue_delay_s=0.0, preferred_batch_sizes=())
    agenda, station, jobs = station_and_jobs(batching, [0, 1, 1, 5], [4, 4, 4, 1])
    station.disturb(Pace(), [Interruption(0.002, 0.004, 0.001, Fault.ERROR)])
    agenda.run_out()
    assert [job.failed_s for job in jobs] == [0.003, 0.003, 0.003, None]
    assert jobs[-1].answered_s == pytest.approx(0.008)
