import math
from dataclasses import replace

import pytest

from router_tools.errors import ToolError
from router_tools.simulator.comparison import Case, compare
from router_tools.simulator.summary import flatten, means
from router_tools.simulator.world import World
from tests.unit.router_tools.simulator.builders import three_devices, variant, workload

CASE = Case("a case", three_devices(), workload(requests=300), ("latency", "p2c"))


def without_real_time(comparison: object) -> list[dict[str, float]]:
    rows = [flatten(metrics) for runs in comparison.metrics.values() for metrics in runs]  # type: ignore[attr-defined]
    return [
        {name: value for name, value in row.items() if name != "decisions_per_s" and not math.isnan(value)}
        for row in rows
    ]


def test_results_do_not_depend_on_the_number_of_processes() -> None:
    done: list[int] = []
    (one,) = compare([CASE], (0, 1), 1, lambda: done.append(1))
    (two,) = compare([CASE], (0, 1), 2, lambda: done.append(2))
    assert without_real_time(one) == without_real_time(two)
    assert done == [1, 1, 2, 2]


def test_the_oracle_always_runs_and_only_the_first_seed_keeps_its_records() -> None:
    (comparison,) = compare([CASE], (4, 5), 1, lambda: None)
    assert list(comparison.metrics) == ["oracle", "latency", "p2c"]
    assert [len(runs) for runs in comparison.metrics.values()] == [2, 2, 2]
    assert list(comparison.records) == ["oracle", "latency", "p2c"]
    assert means(comparison.metrics["oracle"])["mean_ratio"] == 1.0


def test_ratios_are_taken_seed_by_seed_before_the_mean() -> None:
    (comparison,) = compare([CASE], (0, 1), 1, lambda: None)
    ratios = [
        policy.mean_ms / oracle.mean_ms
        for policy, oracle in zip(comparison.metrics["p2c"], comparison.metrics["oracle"], strict=True)
    ]
    assert means(comparison.metrics["p2c"])["mean_ratio"] == pytest.approx(sum(ratios) / 2)


def test_the_oracle_refuses_too_if_requests_may_be_refused() -> None:
    case = replace(CASE, workload=replace(CASE.workload, refuse_late=True))
    assert case.runs == ("oracle_refusing", "latency", "p2c")


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("latncy", "found 'latncy'"),
        ("static:tpu", r"expected one of the variants of 'three' \(gpu, ane, cpu\), found 'tpu'"),
        ("static", "expected 'static:' and the name of a variant"),
    ],
)
def test_an_unknown_policy_is_refused_before_any_run(policy: str, message: str) -> None:
    with pytest.raises(ToolError, match=message):
        replace(CASE, policies=(policy,))


def test_batches_too_large_for_every_variant_are_refused_before_any_run() -> None:
    world = World("small", "", (variant(max_batch_size=8), variant("b", max_batch_size=16)))
    with pytest.raises(ToolError, match=r"batch sizes: expected at most 16, .* found 32"):
        replace(CASE, world=world)
