import itertools
import random

import pytest

from router_backend.core.experiments.experiment import AssignBy, Experiment
from router_backend.core.experiments.rollout import RolloutStep
from router_backend.core.policies.latency import LatencyOptimizedPolicy
from router_backend.core.policies.power import PowerEfficientPolicy
from router_backend.core.records.outcome import Fault, Outcome
from router_backend.core.records.request import OptimizationGoal, RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.errors import ConfigurationError, InvalidRequestError

VARIANTS = (Variant("cpu", Device.CPU), Variant("gpu", Device.GPU))
V2 = ("v2", "static:cpu", "static:gpu")


@pytest.fixture
def router() -> ModelRouter:
    router = ModelRouter(clock=lambda: 0.0, rng=random.Random(0))
    router.register_model("resnet50", variants=VARIANTS)
    return router


def serve(router: ModelRouter, count: int, **ends: object) -> None:
    for number in range(count):
        decision = router.route_request("resnet50", RoutingContext(unit=str(number)))
        end = ends or {"latency_ms": 10.0 if decision.variant == "cpu" else 7.0 + number % 2}
        router.record_execution(decision, **end)


def arms(router: ModelRouter) -> dict[tuple[str, str], int]:
    counted = router.get_metrics().get_model_metrics("resnet50").counts.arms
    return {arm: sum(ends.values()) for arm, ends in counted.items()}


def test_the_arms_decide_by_their_own_policies(router):
    router.enable_ab_testing(*V2, 0.5)
    for unit in map(str, range(50)):
        decision = router.route_request("resnet50", RoutingContext(unit=unit))
        assert decision.arm.experiment_id == "v2"
        assert decision.variant == {"control": "cpu", "treatment": "gpu"}[decision.arm.name]


@pytest.mark.parametrize(
    ("control", "treatment"),
    [
        ("latency", "power"),
        (LatencyOptimizedPolicy, PowerEfficientPolicy),
        (lambda: LatencyOptimizedPolicy(), lambda: PowerEfficientPolicy()),
    ],
)
def test_arms_may_be_names_classes_or_functions(router, control, treatment):
    router.enable_ab_testing("v2", control=control, treatment=treatment, treatment_fraction=0.5)
    decided = {router.route_request("resnet50", RoutingContext(unit=unit)).policy for unit in "abcdefgh"}
    assert decided == {"latency", "power"}


def test_the_same_classes_keep_their_counts(router):
    for fraction in (0.5, 0.6):
        router.enable_ab_testing("v2", LatencyOptimizedPolicy, PowerEfficientPolicy, fraction)
        serve(router, 10)
    found = router.experiments.report("v2").models["resnet50"]
    assert found.control.answers + found.treatment.answers == 20


def test_an_arm_that_is_an_object_is_refused_with_its_class(router):
    with pytest.raises(ConfigurationError, match=r"'v2': treatment: .* pass the class PowerEfficientPolicy"):
        router.enable_ab_testing("v2", LatencyOptimizedPolicy, PowerEfficientPolicy(), 0.5)


def test_parameters_beside_a_function_are_refused():
    with pytest.raises(ConfigurationError, match=r"expected no parameters beside a factory, found 'speed'"):
        Experiment("v2", lambda: PowerEfficientPolicy(), "latency", 0.5, control_parameters={"speed": "1"})


def test_the_report_states_the_results(router):
    router.enable_ab_testing(*V2, 0.25)
    serve(router, 1000)
    report = router.experiments.report("v2")
    found = report.models["resnet50"]
    assert (report.experiment.treatment, found.fraction, found.stopped_reason) == ("static:gpu", 0.25, None)
    assert found.control.answers + found.treatment.answers == 1000
    assert (found.control.cold_answers, found.treatment.cold_answers) == (8, 8)
    assert (found.control.variant_shares, found.treatment.variant_shares) == ({"cpu": 1.0}, {"gpu": 1.0})
    assert (found.control.mean_latency_ms, found.control.error_rate) == (10.0, 0.0)
    assert found.control.p99_latency_ms == pytest.approx(10.0, rel=0.02)
    low_ms, high_ms = found.interval_ms
    assert low_ms < -2.5 < high_ms < 0.0
    assert low_ms < found.difference_ms < high_ms


def test_all_reports_are_returned_at_once(router):
    assert router.experiments.reports() == {}
    router.enable_ab_testing(*V2, 0.25)
    assert router.experiments.reports() == {"v2": router.experiments.report("v2")}


def test_a_router_tells_whether_an_experiment_runs(router):
    assert not router.experiments
    router.enable_ab_testing(*V2, 0.25)
    assert router.experiments
    assert router.experiments.stops("resnet50") == {}, "it runs"
    router.experiments.stop("v2")
    assert not router.experiments


def test_before_any_request_the_report_has_no_figures(router):
    router.enable_ab_testing(*V2, 0.25)
    arm = router.experiments.report("v2").models["resnet50"].treatment
    assert (arm.answers, arm.error_rate, arm.mean_latency_ms, arm.p99_latency_ms) == (0, None, None, None)


@pytest.mark.parametrize(
    "asked", [{"policy": "latency"}, {"optimization_goal": OptimizationGoal.MINIMIZE_LATENCY}]
)
def test_a_request_that_names_a_policy_is_in_no_experiment(router, asked):
    router.enable_ab_testing(*V2, 0.5)
    decision = router.route_request("resnet50", RoutingContext(unit="1", **asked))
    assert (decision.arm, decision.policy) == (None, "latency")


def test_a_retry_uses_the_same_arm_and_is_not_counted(router):
    router.enable_ab_testing("v2", "round_robin", "p2c", 1.0)
    decision = router.route_request("resnet50", RoutingContext(excluded_variants=frozenset({"cpu"})))
    assert (decision.arm, decision.policy) == (None, "p2c")
    router.record_execution(decision, latency_ms=1.0)
    assert arms(router) == {}


def test_failures_count_once_they_are_attributed_to_the_variant(router):
    router.enable_ab_testing(*V2, 1.0)
    serve(router, 1, error=Fault.ERROR)

    def failures() -> tuple[int, float | None]:
        treatment = router.experiments.report("v2").models["resnet50"].treatment
        return treatment.failures, treatment.error_rate

    dispatch = router.dispatch("resnet50", RoutingContext())
    dispatch.next_attempt().failed(Fault.ERROR)
    assert failures() == (1, 1.0)
    dispatch.next_attempt().succeeded(1.0)
    assert failures() == (2, 1.0)
    assert router.experiments.report("v2").models["resnet50"].treatment.variant_shares == {"gpu": 1.0}


def test_a_treatment_that_fails_is_stopped_and_the_control_continues():
    # Enough time passes between requests that the failing variant is tried again.
    router = ModelRouter(clock=itertools.count(0.0, 2.0).__next__, rng=random.Random(0))
    router.register_model("resnet50", variants=VARIANTS)
    router.enable_ab_testing(*V2, 0.5)
    for number in range(200):
        decision = router.route_request("resnet50", RoutingContext(unit=str(number)))
        if decision.variant == "gpu":
            router.record_execution(decision, error=Fault.ERROR)
        else:
            router.record_execution(decision, latency_ms=10.0)
    found = router.experiments.report("v2").models["resnet50"]
    assert found.stopped_reason.startswith("too many failures: ")
    assert router.experiments.stops("resnet50") == {"v2": found.stopped_reason}
    assert found.fraction == 0.0
    assert router.get_metrics().get_model_metrics("resnet50").treatment_fractions == {"v2": 0.0}
    assert found.treatment.failures < 40
    decisions = [router.route_request("resnet50", RoutingContext(unit=str(n))) for n in range(20)]
    assert {decision.variant for decision in decisions} == {"cpu"}


def test_the_metrics_count_the_arms_and_do_not_fall_when_an_experiment_ends(router):
    router.enable_ab_testing(*V2, 0.5)
    serve(router, 100)
    counted = router.get_metrics().get_model_metrics("resnet50").counts.arms
    assert sum(ends[Outcome.SUCCESS] for ends in counted.values()) == 100
    assert set(counted) == {("v2", "control"), ("v2", "treatment")}
    router.experiments.stop("v2")
    serve(router, 10)
    router.enable_ab_testing(*V2, 0.5)
    serve(router, 10, error=Fault.ERROR)
    assert sum(arms(router).values()) == 110


def test_the_prometheus_metrics_contain_the_arms(router):
    router.enable_ab_testing(*V2, 1.0)
    serve(router, 3)
    sample = (
        'model_router_experiment_requests_total{arm="treatment",experiment="v2",model="resnet50",'
        'outcome="success"} 3.0'
    )
    assert sample in router.export_prometheus_metrics().splitlines()


def test_the_metrics_contain_the_share_of_the_treatment_until_the_experiment_ends(router):
    def fractions() -> dict[str, float]:
        return dict(router.get_metrics().get_model_metrics("resnet50").treatment_fractions)

    assert fractions() == {}
    router.enable_ab_testing(*V2, 0.5)
    serve(router, 1)
    assert fractions() == {"v2": 0.5}
    sample = 'model_router_experiment_treatment_ratio{experiment="v2",model="resnet50",router_instance='
    assert any(line.startswith(sample) for line in router.export_prometheus_metrics().splitlines())
    router.experiments.stop("v2")
    assert fractions() == {"v2": 0.0}


def test_warm_ups_count_for_no_arm(router):
    router.enable_ab_testing(*V2, 0.5)
    decision = router.route_request("resnet50", RoutingContext(unit="1", warmup=True))
    router.record_execution(decision, latency_ms=1.0)
    assert (decision.policy, arms(router)) == ("latency", {})


def test_an_experiment_that_is_enabled_again_continues_unless_its_arms_changed(router):
    router.enable_ab_testing(*V2, 0.5)
    serve(router, 100)
    router.enable_ab_testing(*V2, 0.6)
    found = router.experiments.report("v2").models["resnet50"]
    assert (found.fraction, found.control.answers + found.treatment.answers) == (0.6, 100)
    router.enable_ab_testing("v2", "static:cpu", "latency", 0.6)
    found = router.experiments.report("v2").models["resnet50"]
    assert (found.control.answers, found.treatment.policy) == (0, "latency")


def test_the_report_states_the_share_of_failures(router):
    router.enable_ab_testing(*V2, 1.0)
    serve(router, 3)
    serve(router, 1, error=Fault.ERROR)
    assert router.experiments.report("v2").models["resnet50"].treatment.error_rate == 0.25


def test_a_rollout_that_is_changed_counts_from_the_change(router):
    now_s = 0.0
    router = ModelRouter(clock=lambda: now_s, rng=random.Random(0))
    router.register_model("resnet50", variants=VARIANTS)

    def fraction() -> float:
        counted = router.get_metrics().get_model_metrics("resnet50").treatment_fractions["v2"]
        assert router.experiments.report("v2").models["resnet50"].fraction == counted
        return counted

    router.experiments.set([Experiment(*V2, 0.1, rollout=(RolloutStep(60.0, 0.2),))])
    assert fraction() == 0.1
    now_s = 60.0
    assert fraction() == 0.2
    router.experiments.set([Experiment(*V2, 0.1, rollout=(RolloutStep(60.0, 0.5),))])
    now_s = 119.0
    assert fraction() == 0.1
    now_s = 120.0
    assert fraction() == 0.5


def test_an_experiment_may_be_added_to_a_running_one(router):
    one = Experiment(*V2, 0.5, unit_range=(0.0, 0.5))
    router.experiments.set([one])
    serve(router, 20)
    counted = arms(router)
    router.experiments.set([one, Experiment("v3", "latency", "p2c", 0.5, unit_range=(0.5, 1.0))])
    assert arms(router) == counted
    serve(router, 20)
    reports = router.experiments.reports()
    assert all(report.models["resnet50"].control.answers > 0 for report in reports.values())


def test_by_model_every_request_of_a_model_has_the_arm_of_its_name(router):
    names = [f"model-{number}" for number in range(20)]
    for name in names:
        router.register_model(name, variants=VARIANTS)
    by_model = Experiment(*V2, 0.5, assign_by=AssignBy.MODEL, guardrails=None)
    router.experiments.set([by_model])

    def decided(name: str) -> set[str]:
        decisions = [router.route_request(name, RoutingContext(unit=str(unit))) for unit in range(5)]
        return {decision.variant for decision in decisions}

    found = [decided(name) for name in names]
    assert all(len(variants) == 1 for variants in found)
    assert set.union(*found) == {"cpu", "gpu"}


def test_by_model_a_range_of_units_is_one_of_models_and_takes_all_requests_of_each(router):
    """Some requests used to be left out of every model, as if they were the units."""
    names = [f"model-{number}" for number in range(40)]
    for name in names:
        router.register_model(name, variants=VARIANTS)
    halves = {"low": (0.0, 0.5), "high": (0.5, 1.0)}
    router.experiments.set(
        [
            Experiment(name, *V2[1:], 0.5, assign_by=AssignBy.MODEL, unit_range=each, guardrails=None)
            for name, each in halves.items()
        ]
    )

    def arms_of(name: str) -> set[tuple[str, str] | None]:
        contexts = [RoutingContext(unit=unit) for unit in ("", "", "", "1", "2", "3")]
        decisions = [router.route_request(name, context) for context in contexts]
        return {(each.arm.experiment_id, each.arm.name) if each.arm else None for each in decisions}

    found = [arms_of(name) for name in names]
    assert all(len(each) == 1 for each in found)
    assert {pair for each in found for pair in each} == {
        (name, arm) for name in halves for arm in ("control", "treatment")
    }
    models = [set(router.experiments.report(name).models) for name in halves]
    assert models[0].isdisjoint(models[1])
    assert models[0] | models[1] == {"resnet50", *names}


def test_a_model_outside_the_range_takes_no_part_in_an_experiment_by_model(router):
    names = [f"model-{number}" for number in range(20)]
    for name in names:
        router.register_model(name, variants=VARIANTS)
    half = Experiment(*V2, 1.0, assign_by=AssignBy.MODEL, unit_range=(0.0, 0.5), guardrails=None)
    router.experiments.set([half])
    inside = set(router.experiments.report("v2").models)
    decisions = {name: router.route_request(name, RoutingContext(unit="user-1")) for name in names}
    assert {name for name, each in decisions.items() if each.arm is not None} == inside - {"resnet50"}
    assert {each.policy for name, each in decisions.items() if name not in inside} == {"latency"}


def test_an_experiment_on_another_model_does_not_affect_this_one(router):
    router.register_model("bert", variants=VARIANTS)
    of_resnet = Experiment(*V2, 0.5, model_name_pattern="resnet*")
    router.experiments.set([of_resnet])
    serve(router, 10)
    router.experiments.set([of_resnet, Experiment("v3", "latency", "p2c", 0.5, model_name_pattern="bert")])
    found = router.experiments.report("v2").models["resnet50"]
    assert found.control.answers + found.treatment.answers == 10
    assert list(router.experiments.report("v3").models) == ["bert"]


def test_when_it_ends_the_models_own_policy_decides_again(router):
    router.enable_ab_testing(*V2, 1.0)
    router.experiments.stop("v2")
    decision = router.route_request("resnet50", RoutingContext())
    assert (decision.policy, decision.arm, list(router.experiments)) == ("latency", None, [])


@pytest.mark.parametrize(("running", "found"), [((), "none"), (("v2",), "v2"), (("v2", "v3"), "v2, v3")])
def test_an_unknown_experiment_is_refused_with_those_that_run(router, running, found):
    halves = ((0.0, 0.5), (0.5, 1.0))
    router.experiments.set(
        [Experiment(name, *V2[1:], 0.5, unit_range=half) for name, half in zip(running, halves, strict=False)]
    )
    for call in (router.experiments.stop, router.experiments.report):
        with pytest.raises(InvalidRequestError, match=f"^experiment 'v1' does not run: found {found}$"):
            call("v1")


def test_models_that_are_registered_later_take_part(router):
    router.experiments.set([Experiment(*V2, 0.5, model_name_pattern="b*")])
    router.register_model("bert", variants=VARIANTS)
    router.register_model("vgg19", variants=VARIANTS)
    assert list(router.experiments.report("v2").models) == ["bert"]
    assert router.route_request("bert", RoutingContext()).arm is not None
    assert router.route_request("resnet50", RoutingContext()).arm is None


@pytest.mark.parametrize(
    ("others", "message"),
    [
        (
            [Experiment("v3", "latency", "p2c", 0.1)],
            "model 'resnet50': expected experiments whose unit_ranges",
        ),
        ([Experiment(*V2, 0.1)], "expected every experiment_id once, found v2, v2"),
    ],
)
def test_experiments_that_cannot_run_are_refused_and_nothing_changes(router, others, message):
    router.enable_ab_testing(*V2, 0.5)
    serve(router, 100)
    with pytest.raises(ConfigurationError, match=message):
        router.experiments.set([Experiment(*V2, 0.9), *others])
    found = router.experiments.report("v2").models["resnet50"]
    assert (found.fraction, found.control.answers + found.treatment.answers) == (0.5, 100)


def test_a_policy_for_an_unknown_variant_is_refused_and_nothing_changes(router):
    with pytest.raises(
        ConfigurationError,
        match="model 'resnet50', experiment 'v3', policy 'static': expected 'static:' and one of",
    ):
        router.enable_ab_testing("v3", "latency", "static:tpu", 0.1)
    assert not router.experiments
    assert router.route_request("resnet50", RoutingContext()).arm is None


def test_a_model_that_cannot_take_part_is_not_registered(router):
    router.experiments.set([Experiment("v2", "latency", "static:gpu", 0.5)])
    with pytest.raises(
        ConfigurationError, match="model 'bert', experiment 'v2', policy 'static': expected 'static:'"
    ):
        router.register_model("bert", variants=VARIANTS[:1])
    with pytest.raises(InvalidRequestError, match="'bert' is not registered"):
        router.route_request("bert", RoutingContext())
