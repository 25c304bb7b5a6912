import itertools
import random
from typing import Any

from router_backend.core.experiments.experiment import Experiment
from router_backend.core.records.outcome import Fault, Refusal
from router_backend.core.records.request import OptimizationGoal, RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.settings import ModelSettings
from router_backend.runtime.trace_entry import Traced, entry_of
from router_backend.typed_load import load
from router_tools.simulator.schema.trace import TraceLine

VARIANTS = (Variant("cpu", Device.CPU, concurrency=2), Variant("gpu", Device.GPU))


def new_router(**settings: Any) -> ModelRouter:
    """Return a router whose clock shows 10.0 s, 10.001 s, ..."""
    times_s = itertools.count(10.0, 0.001)
    router = ModelRouter(ModelSettings(**settings), clock=lambda: next(times_s), rng=random.Random(0))
    router.register_model("m", variants=VARIANTS)
    return router


def test_a_line_has_policy_candidates_goal_deadline_and_times() -> None:
    context = RoutingContext(
        4, 8, optimization_goal=OptimizationGoal.MINIMIZE_LATENCY, max_latency_ms=50.0, spent_ms=3.0
    )
    execution = new_router().dispatch("m", context).next_attempt().succeeded(7.0)
    assert execution is not None
    entry = entry_of(Traced(context, 9.5, execution), epoch_s=1000.0)
    assert {key: entry[key] for key in ("arrival_s", "goal", "deadline_ms", "policy")} == {
        "arrival_s": 1009.5,
        "goal": "minimize_latency",
        "deadline_ms": 50.0,
        "policy": "latency",
    }
    assert 500.0 <= entry["queued_ms"] < 510.0
    assert (entry["latency_ms"], entry["service_ms"]) == (7.0, 7.0)
    assert [(each["variant"], each["concurrency"]) for each in entry["candidates"]] == [
        ("cpu", 2),
        ("gpu", 1),
    ]
    assert "experiment" not in entry
    load(TraceLine, entry)


def test_the_service_time_is_at_most_the_latency() -> None:
    execution = new_router().dispatch("m", RoutingContext()).next_attempt().succeeded(7.0)
    assert execution is not None
    entry = entry_of(Traced(execution.context, 9.5, execution._replace(service_ms=7.001)))
    assert (entry["latency_ms"], entry["service_ms"]) == (7.0, 7.0)


def test_a_line_names_the_experiment_and_the_arm() -> None:
    router = new_router()
    router.experiments.set([Experiment("v2", "static:cpu", "static:gpu", 0.25)])
    context = RoutingContext(unit="user-1")
    execution = router.dispatch("m", context).next_attempt().succeeded(7.0)
    entry = entry_of(Traced(context, 0.0, execution))
    expected = {"cpu": ("v2", "control", 0.75), "gpu": ("v2", "treatment", 0.25)}
    assert (entry["experiment"], entry["arm"], entry["propensity"]) == expected[entry["variant"]]
    assert "user-1" not in str(entry), "who sent it is nobody's business"


def test_failures_and_the_deadline_of_the_whole_request_are_kept() -> None:
    context = RoutingContext(max_latency_ms=50.0)
    dispatch = new_router().dispatch("m", context)
    first = dispatch.next_attempt()
    first.failed(Fault.DEAD, "gone")
    execution = dispatch.next_attempt().succeeded(7.0)
    entry = entry_of(Traced(context, 10.0, execution, dispatch.failures))
    assert entry["failures"] == [{"variant": first.variant, "fault": "dead"}]
    assert entry["deadline_ms"] == 50.0
    assert entry["variant"] != first.variant
    load(TraceLine, entry)


def test_a_request_that_variants_failed_has_no_latency() -> None:
    context = RoutingContext()
    dispatch = new_router(max_latency_ms=40.0).dispatch("m", context)
    for _ in VARIANTS:
        dispatch.next_attempt().failed(Fault.ERROR, "no")
    entry = entry_of(Traced(context, 10.0, None, dispatch.failures))
    assert [each["fault"] for each in entry["failures"]] == ["error", "error"]
    assert entry["deadline_ms"] == 40.0
    assert not {"variant", "latency_ms", "propensity", "refusal"} & set(entry)
    load(TraceLine, entry)


def test_a_refused_request_has_its_reason_and_deadline() -> None:
    traced = Traced(RoutingContext(2), 10.0, refusal=Refusal.DEADLINE, deadline_ms=5.0)
    assert entry_of(traced) == {
        "arrival_s": 10.0,
        "batch_size": 2,
        "deadline_ms": 5.0,
        "refusal": "deadline",
    }
    load(TraceLine, entry_of(traced))
