"""What the suite `practice` asks for, in short: the policy `latency` beside `sed`, which knows every mean."""

from dataclasses import replace
from statistics import fmean

import pytest

from router_tools.simulator.catalog import find
from router_tools.simulator.metrics import RunMetrics, measure
from router_tools.simulator.run import run
from router_tools.simulator.service_law import AffineServiceLaw
from router_tools.simulator.workload_file import read_workload
from router_tools.simulator.world_file import read_world

SEEDS = (0, 1)


def compared(
    world_name: str,
    workload_name: str = "single",
    requests: int = 3000,
    *,
    calm: bool = False,
    **changes: object,
) -> tuple[float, list[RunMetrics]]:
    """Return the mean latency relative to that of `sed`, and the figures of each seed."""
    world = read_world(find("worlds", world_name))
    world = world.calm() if calm else world
    workload = replace(read_workload(find("workloads", workload_name)), requests=requests, **changes)
    ratios, figures = [], []
    for seed in SEEDS:
        oracle, sed, ours = (run(world, workload, policy, seed) for policy in ("oracle", "sed", "latency"))
        figures.append(measure(ours, oracle))
        ratios.append(figures[-1].mean_ms / measure(sed, oracle).mean_ms)
    return fmean(ratios), figures


def test_a_noisy_variant_that_is_better_on_average_is_not_abandoned() -> None:
    """30 ms with σ = 0.75 beside a steady 45 ms."""
    ratio, figures = compared("noisy")
    assert ratio < 1.05
    assert all(each.best_after_100 > 0.75 for each in figures)


def test_content_that_the_router_cannot_see_is_noise() -> None:
    ratio, _ = compared("noisy", "content", load=0.3)
    assert ratio < 1.08


@pytest.mark.parametrize("warm_up", [(), (1, 1, 1)])
def test_a_first_call_that_is_slow_writes_no_variant_off(warm_up: tuple[int, ...]) -> None:
    """Text of open length; the first calls take 5 to 100 times longer."""
    ratio, figures = compared("cold_calls", "lengths", 1500, warm_up_batch_sizes=warm_up)
    assert ratio < 1.08
    assert all(each.best_after_100 > 0.9 for each in figures)


def test_a_cold_call_beside_a_steady_variant_writes_no_variant_off() -> None:
    _, figures = compared("cold_beside_steady", requests=1000, warm_up_batch_sizes=())
    assert all(each.best_after_100 > 0.9 for each in figures)


@pytest.mark.parametrize(("slower", "at_most"), [(3, 1.05), (10, 1.05), (40, 1.12)])
def test_a_variant_that_was_slow_is_found_again(slower: int, at_most: float) -> None:
    """For a tenth of the run; back within 10 s or 200 requests."""
    ratio, figures = compared(f"spike_{slower}", requests=4000, load=0.175)
    assert ratio < at_most
    assert all(each.best_after_events > 0.95 for each in figures)


@pytest.mark.parametrize("percent", [1, 5, 20, 50])
def test_a_failure_costs_its_retry(percent: int) -> None:
    """9.7 ms that fail, beside 10 ms that never do."""
    ratio, figures = compared(f"failing_{percent}", requests=2000)
    assert ratio < 1.05
    if percent >= 20:
        assert all(each.shares["failing"] < 0.3 for each in figures)


def test_a_variant_that_no_longer_fails_is_found_again() -> None:
    ratio, figures = compared("healed")
    assert ratio < 1.05
    assert all(each.best_after_events > 0.7 for each in figures)


def test_little_is_lost_while_nothing_is_known() -> None:
    _, figures = compared("resnet50", "poisson", 400, calm=True, load=0.45, warm_up_batch_sizes=())
    assert all(each.regret_200 < 0.15 for each in figures)


@pytest.mark.parametrize(("steady_ms", "usually"), [(12.7, "steady"), (17.1, "rare")])
def test_rare_slow_answers_count_in_the_mean(steady_ms: float, usually: str) -> None:
    """10 ms with one answer in a hundred 50 times slower, 14.9 ms on average, beside 15 % less or more."""
    noise = (50.0, *[1.0] * 99)
    world = replace(
        read_world(find("worlds", "noisy")),
        variants=tuple(
            replace(each, name=name, law=AffineServiceLaw(ms, 0.0), measured_noise=values)
            for each, name, ms, values in zip(
                read_world(find("worlds", "noisy")).variants,
                ("rare", "steady"),
                (10.0, steady_ms),
                (noise, ()),
                strict=True,
            )
        ),
    )
    workload = replace(read_workload(find("workloads", "single")), load=0.05, requests=6000)
    found = [run(world, workload, "latency", seed).executions for seed in SEEDS]
    later = [each["variant"][2000:] == (usually == "steady") for each in found]
    assert fmean(float(each.mean()) for each in later) > 0.7


@pytest.mark.parametrize(("world", "workload", "load"), [("bert", "text", 0.35), ("cluster", "text", 0.3)])
def test_a_router_that_starts_with_profiles_loses_next_to_nothing(
    world: str, workload: str, load: float
) -> None:
    _, figures = compared(
        world,
        workload,
        200,
        calm=True,
        load=load,
        warm_up_batch_sizes=(),
        copies=False,
        requests_before_restart=3000,
    )
    assert fmean(each.regret_50 for each in figures) <= 0.01


def test_second_copies_of_slow_requests_cut_rare_stalls_for_a_twentieth_of_the_load() -> None:
    """1 % of the calls take 50 times as long."""
    slowest_ms, extra = [], []
    for share in (0.0, 0.05):
        _, figures = compared("rare_stalls", requests=4000, load=0.2, hedge_share=share)
        slowest_ms.append(fmean(each.p999_ms for each in figures))
        extra.append(fmean(each.extra_load for each in figures))
    assert slowest_ms[1] <= 0.3 * slowest_ms[0]
    assert extra[0] == 0.0
    assert 0.0 < extra[1] <= 0.05
