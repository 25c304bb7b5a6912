import random

import pytest

from router_backend.core.choosing.decision import Execution, RoutingDecision
from router_backend.core.experiments.arm import Arm
from router_backend.core.experiments.experiment import AssignBy, Experiment
from router_backend.core.experiments.guardrails import Guardrails
from router_backend.core.experiments.model_experiments import ModelExperiments
from router_backend.core.experiments.rollout import RolloutStep
from router_backend.core.experiments.running_experiment import RunningExperiment
from router_backend.core.records.outcome import Fault, Outcome
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.errors import ConfigurationError

UNITS = [f"user-{number}" for number in range(4000)]
CHANCE = random.Random(0)
QUARTERS = (0.0, 0.25, 0.5, 0.75)


def running(name: str = "v2", fraction: float = 0.1, **settings: object) -> RunningExperiment:
    experiment = Experiment(name, "latency", "p2c", fraction, **settings)
    return RunningExperiment(experiment, "resnet50", ["a", "b"], now_s=0.0)


def decision() -> RoutingDecision:
    """Return a decision for variant a, at second 0."""
    router = ModelRouter(clock=lambda: 0.0)
    router.register_model("resnet50", variants=[Variant("a", Device.CPU)])
    made = router.route_request("resnet50", RoutingContext())
    made.state.answers = 1000
    return made


DECISION = decision()


def answered(arm: Arm, latency_ms: float, unit: str = "") -> None:
    DECISION.context = RoutingContext(unit=unit)
    arm.observe(Execution(DECISION, Outcome.SUCCESS, 0.0, latency_ms))


def failed(arm: Arm, unit: str = "") -> None:
    DECISION.context = RoutingContext(unit=unit)
    arm.observe(Execution(DECISION, Outcome.FAILURE, 0.0, fault=Fault.ERROR))


def layer(*experiments: RunningExperiment) -> ModelExperiments:
    model = ModelExperiments("resnet50", ["a", "b"])
    running_by_name = {each.experiment.experiment_id: each for each in experiments}
    model.apply(running_by_name, [each.experiment for each in experiments], now_s=0.0)
    return model


def treated(each: RunningExperiment, now_s: float = 0.0) -> set[str]:
    return {unit for unit in UNITS if each.arm_of(unit, now_s, CHANCE) is each.treatment}


def serve(each: RunningExperiment, seed: int, requests: int, *, slower: float = 1.0, failing: float = 0.01):
    """Return the number of requests until the treatment, which is slower or fails, is stopped."""
    rng = random.Random(seed)
    for number in range(1, requests + 1):
        arm = each.arm_of(f"{seed}-{number}", 0.0, rng)
        is_treated = arm is each.treatment
        if rng.random() < (failing if is_treated else 0.01):
            failed(arm)
        else:
            answered(arm, rng.lognormvariate(2.0, 0.5) * (slower if is_treated else 1.0))
        if each.stopped_reason is not None:
            return number
    return None


def serve_users(each: RunningExperiment, seed: int, *, users: int, requests: int, failing: float = 0.0):
    """Return the number of requests of so many users until the treatment, which may fail, is stopped."""
    rng = random.Random(seed)
    names = [f"{seed}-{number}" for number in range(users)]
    usual_ms = {name: rng.lognormvariate(2.0, 0.8) for name in names}
    usual_failing = {name: 0.05 * rng.random() for name in names}
    for number in range(1, requests + 1):
        name = rng.choice(names)
        arm = each.arm_of(name, 0.0, rng)
        if rng.random() < (failing if failing and arm is each.treatment else usual_failing[name]):
            failed(arm, name)
        else:
            answered(arm, usual_ms[name] * rng.lognormvariate(0.0, 0.3), name)
        if each.stopped_reason is not None:
            return number
    return None


def test_the_fraction_gets_the_treatment():
    assert len(treated(running(fraction=0.1))) == pytest.approx(400, abs=60)


def test_units_keep_the_treatment_when_its_share_grows():
    each = running(fraction=0.1, rollout=(RolloutStep(60.0, 0.2), RolloutStep(120.0, 1.0)))
    assert treated(each) < treated(each, now_s=60.0) < treated(each, now_s=120.0) == set(UNITS)


def test_another_experiment_gives_the_treatment_to_others():
    both = treated(running("one", fraction=0.5)) & treated(running("two", fraction=0.5))
    assert len(both) == pytest.approx(1000, abs=100)


def test_requests_without_a_unit_are_drawn_by_chance():
    each = running(fraction=0.25)
    rng = random.Random(0)
    drawn = [each.arm_of("", 0.0, rng) is each.treatment for _ in range(4000)]
    assert sum(drawn) == pytest.approx(1000, abs=100)


def test_all_requests_of_a_model_have_one_arm_where_it_is_assigned_by_model():
    each = running(fraction=0.5, assign_by=AssignBy.MODEL, guardrails=None)
    assert treated(each) in (set(), set(UNITS))
    experiment = each.experiment
    models = [RunningExperiment(experiment, f"model-{n}", ["a"], 0.0) for n in range(400)]
    assert sum(model.arm_of("", 0.0, CHANCE) is model.treatment for model in models) == pytest.approx(
        200, abs=40
    )


def test_units_are_split_between_experiments_and_within_each_by_its_fraction():
    one, two = running("one", 0.5, unit_range=(0.0, 0.5)), running("two", 0.5, unit_range=(0.5, 0.75))
    both = layer(one, two)
    arms = [both.arm_of(unit, 0.0, CHANCE) for unit in UNITS]
    expected = {one.treatment: 1000, one.control: 1000, two.treatment: 500, two.control: 500, None: 1000}
    for arm, count in expected.items():
        assert arms.count(arm) == pytest.approx(count, abs=100)


def test_a_unit_is_in_the_same_experiment_in_every_release():
    """Another hash would give users another treatment in the middle of an experiment."""
    named = zip("abcd", QUARTERS, strict=True)
    model = layer(*(running(name, 0.5, unit_range=(low, low + 0.25)) for name, low in named))
    assert "".join(model.arm_of(unit, 0.0, CHANCE).experiment_id for unit in UNITS[:12]) == "bdadabcdbbcc"


@pytest.mark.parametrize("unit_range", [(0.0, 1.0), (0.0, 0.999999)])
def test_a_model_gives_a_request_the_arm_that_its_experiment_gives_it_at_the_time(unit_range):
    each = running("v2", 0.1, unit_range=unit_range, rollout=(RolloutStep(60.0, 0.9),))
    model = layer(each)
    for now_s in (0.0, 60.0):
        for unit in UNITS[:200]:
            assert model.arm_of(unit, now_s, CHANCE) is each.arm_of(unit, now_s, CHANCE)


@pytest.mark.parametrize("unit_range", [(0.0, 1.0), (0.0, 0.5)])
def test_requests_without_a_unit_are_drawn_by_chance_into_an_experiment_and_its_arms(unit_range):
    each = running("v2", 0.25, unit_range=unit_range)
    model, rng = layer(each), random.Random(0)
    arms = [model.arm_of("", 0.0, rng) for _ in range(4000)]
    share = unit_range[1]
    assert arms.count(each.treatment) == pytest.approx(4000 * share * 0.25, abs=100)
    assert arms.count(each.control) == pytest.approx(4000 * share * 0.75, abs=100)


def test_an_experiment_that_ends_leaves_the_other_as_it_was():
    one, two = running("one", 0.5, unit_range=(0.0, 0.5)), running("two", 0.5, unit_range=(0.5, 0.75))
    both, alone = layer(one, two), layer(two)
    for unit in UNITS:
        before = both.arm_of(unit, 0.0, CHANCE)
        assert alone.arm_of(unit, 0.0, CHANCE) is (None if before in (one.control, one.treatment) else before)


@pytest.mark.statistics
def test_a_treatment_like_the_control_is_stopped_no_more_often_than_stated():
    stops = [serve(running(fraction=0.2), seed, 5000) for seed in range(60)]
    assert len([stop for stop in stops if stop is not None]) <= 0.01 * 60


@pytest.mark.statistics
def test_a_treatment_like_the_control_is_stopped_no_more_often_than_stated_with_few_units():
    """Users differ in how slow they are and how often they fail, and so by chance do the arms."""
    stops = [serve_users(running(fraction=0.3), seed, users=20, requests=3000) for seed in range(60)]
    assert len([stop for stop in stops if stop is not None]) <= 0.01 * 60


def test_a_treatment_that_fails_for_every_user_is_stopped_soon():
    each = running(fraction=0.3)
    assert serve_users(each, 0, users=60, requests=3000, failing=0.5) < 200
    assert "too many failures: " in each.stopped_reason


def test_a_treatment_that_fails_is_stopped_soon():
    each = running(fraction=0.1)
    assert serve(each, 0, 2000, failing=0.5) < 200
    assert "too many failures: " in each.stopped_reason
    assert treated(each) == set()


def test_a_treatment_that_is_slow_in_the_mean_is_stopped_soon():
    each = running(fraction=0.1, guardrails=Guardrails(slow_ratio=None))
    assert serve(each, 0, 5000, slower=3.4) < 1000
    assert "latency is above 1.5 times the control's, by at least " in each.stopped_reason


def test_a_treatment_with_a_long_tail_is_stopped_soon():
    each = running(fraction=0.1, guardrails=Guardrails(mean_ratio=None))
    assert serve(each, 0, 5000, slower=3.0) < 1000
    assert "above the control's p99" in each.stopped_reason


@pytest.mark.parametrize("cold_arm", ["control", "treatment"])
def test_the_first_answers_of_a_variant_neither_stop_a_treatment_nor_hide_that_it_is_slow(cold_arm):
    each = running(fraction=0.1)
    DECISION.state.answers = 0
    for _ in range(8):
        DECISION.state.answers += 1
        answered(getattr(each, cold_arm), 1e5)
    DECISION.state.answers = 1000
    assert (getattr(each, cold_arm).answers, each.control.latencies.count) == (8, 0)
    assert serve(each, 0, 2000) is None
    assert each.control.latencies.quantile(0.999) < 1000.0
    assert abs(each.difference.get()) < 10.0
    assert serve(each, 1, 2000, slower=3.4) < 1500


@pytest.mark.parametrize(
    ("guardrails", "harm"),
    [
        (Guardrails(error_ratio=None), {"failing": 0.5}),
        (Guardrails(slow_ratio=None, mean_ratio=None), {"slower": 3.0}),
        (None, {}),
    ],
)
def test_an_unwatched_figure_stops_nothing(guardrails, harm):
    assert serve(running(fraction=0.1, guardrails=guardrails), 0, 3000, **harm) is None


def test_one_unit_that_sends_most_of_the_requests_is_no_reason_to_stop():
    each = running(fraction=0.1)
    rng = random.Random(0)
    eager = next(unit for unit in UNITS if each.arm_of(unit, 0.0, rng) is each.treatment)
    for number in range(5000):
        arm = each.arm_of(eager if number % 2 else f"{number}", 0.0, rng)
        answered(arm, rng.lognormvariate(2.0, 0.5), eager if number % 2 else "")
    assert each.stopped_reason is None


@pytest.mark.parametrize(("unit", "stopped"), [("eager", False), ("", True)])
def test_one_unit_that_fails_often_is_no_reason_to_stop(unit, stopped):
    each = running(fraction=0.1)
    for _ in range(100):
        failed(each.treatment, unit)
    assert (each.stopped_reason is not None) is stopped


def test_a_change_keeps_what_was_counted_and_the_start_of_an_unchanged_rollout():
    each = running(fraction=0.1, rollout=(RolloutStep(60.0, 0.2),))
    answered(each.treatment, 1.0)
    each.change(
        Experiment("v2", "latency", "p2c", 0.1, rollout=(RolloutStep(60.0, 0.2),), guardrails=None), 50.0
    )
    assert (each.treatment.answers, each.fraction(60.0)) == (1, 0.2)
    each.change(Experiment("v2", "latency", "p2c", 0.3, rollout=(RolloutStep(60.0, 0.5),)), 100.0)
    assert (each.treatment.answers, each.fraction(159.0), each.fraction(160.0)) == (1, 0.3, 0.5)


def test_guardrails_that_come_later_watch_from_then_on():
    each = running(fraction=0.1, guardrails=None)
    assert serve(each, 0, 500, failing=0.5) is None
    each.change(Experiment("v2", "latency", "p2c", 0.1), 0.0)
    assert serve(each, 1, 2000, failing=0.5) < 200


def test_a_request_that_ends_after_a_stop_is_not_counted():
    each = running(fraction=0.5)
    each.stopped_reason = "too many failures"
    answered(each.treatment, 1.0)
    failed(each.control)
    assert (each.treatment.answers, each.control.failures) == (0, 0)


def test_an_ignored_end_is_not_counted():
    each = running(fraction=0.5)
    for outcome in (Outcome.IGNORED, Outcome.SUCCESS):  # an answer without a latency has an implausible one
        each.treatment.observe(Execution(DECISION, outcome, 0.0))
    assert (each.treatment.answers, each.treatment.failures) == (0, 0)


def test_a_policy_for_an_unknown_variant_is_refused():
    with pytest.raises(ConfigurationError, match="static"):
        RunningExperiment(Experiment("v2", "latency", "static:tpu", 0.1), "resnet50", ["a"], 0.0)


def test_another_rollout_keeps_what_the_guardrails_have_counted():
    def stopped_after(change_after: int) -> int:
        """Return how many failures stop a treatment whose rollout is changed after some of them."""
        each = running(fraction=0.1)
        for failures in range(1, 50):
            answered(each.control, 10.0)
            failed(each.treatment)
            if each.stopped_reason is not None:
                return failures
            if failures == change_after:
                rollout = (RolloutStep(60.0, 0.2),)
                each.change(Experiment("v2", "latency", "p2c", 0.1, rollout=rollout), 0.0)
        raise AssertionError("it was not stopped")

    assert stopped_after(3) == stopped_after(50) > 3


def test_by_model_there_is_no_difference_to_report():
    each = running(fraction=0.5, assign_by=AssignBy.MODEL, guardrails=None)
    for _ in range(100):
        answered(each.arm_of("", 0.0, CHANCE), 1.0)
    assert each.difference.get() is None
    assert each.treatment.answers + each.control.answers == 100
