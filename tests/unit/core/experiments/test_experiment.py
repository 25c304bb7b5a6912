import math

import pytest

from router_backend.core.experiments.experiment import (
    AssignBy,
    Experiment,
    check_experiments,
    check_names,
)
from router_backend.core.experiments.guardrails import Guardrails
from router_backend.core.experiments.rollout import RolloutStep
from router_backend.errors import ConfigurationError


def experiment(name: str = "v2", **settings: object) -> Experiment:
    return Experiment(**({"experiment_id": name, "control": "latency", "treatment": "p2c"} | settings))


FRACTION = "fraction: expected a number from 0 to 1, found {}; 0.1 gives the treatment to 10 %"
UNIT_RANGE = "unit_range: expected two shares from 0 to 1, the smaller first, found {}"
ROLLOUT = (
    "rollout: expected each step later and larger than the one before, found {} after 60 s behind 0.1 after "
    "{} s; sort them"
)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fraction": -0.1}, FRACTION.format(-0.1)),
        ({"fraction": 1.01}, FRACTION.format(1.01)),
        ({"fraction": math.nan}, FRACTION.format(math.nan)),
        ({"unit_range": (0.5, 0.5)}, UNIT_RANGE.format("0.5 and 0.5")),
        ({"unit_range": (0.5, 1.5)}, UNIT_RANGE.format("0.5 and 1.5")),
        ({"unit_range": (-0.5, 1.0)}, UNIT_RANGE.format("-0.5 and 1.0")),
        ({"rollout": (RolloutStep(60.0, 0.05),)}, ROLLOUT.format(0.05, 0)),
        ({"rollout": (RolloutStep(60.0, 0.1),)}, ROLLOUT.format(0.1, 0)),
        (
            {"assign_by": AssignBy.MODEL},
            "guardrails: expected none where the arm is assigned by model, which has no second arm to "
            "compare with, found some; set guardrails to none, or assign by request",
        ),
    ],
)
def test_an_invalid_experiment_is_refused_with_its_name(settings, message):
    with pytest.raises(ConfigurationError) as error:
        experiment(**({"fraction": 0.1} | settings))
    assert str(error.value) == f"experiment 'v2': {message}"


def test_an_experiment_without_a_name_is_refused():
    with pytest.raises(ConfigurationError, match=r"^experiment_id: expected a name, found nothing$"):
        experiment("", fraction=0.1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"control": "latancy"}, r"^experiment 'v2': control: .* \(did you mean 'latency'\?\)$"),
        ({"treatment": "static"}, "^experiment 'v2', policy 'static': treatment: expected 'static:'"),
        (
            {"treatment_parameters": {"a": "1"}},
            r"^experiment 'v2', policy 'p2c': treatment\.parameters: expected none, found 'a'; remove them$",
        ),
        (
            {"control_parameters": {"a": "1"}},
            r"^experiment 'v2', policy 'latency': control\.parameters: expected none, found 'a'; remove",
        ),
    ],
)
def test_an_arm_that_is_no_policy_is_refused_with_its_place(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        experiment(**({"fraction": 0.1} | settings))


def test_a_rollout_has_its_steps_in_the_order_of_time():
    with pytest.raises(ConfigurationError) as error:
        experiment(fraction=0.1, rollout=(RolloutStep(60.0, 0.2), RolloutStep(60.0, 0.3)))
    assert "found 0.3 after 60 s behind 0.2 after 60 s" in str(error.value)


def test_two_experiments_of_one_name_are_refused():
    named = [experiment(name, fraction=0.1) for name in ("a", "b", "a")]
    check_names(named[:2])
    with pytest.raises(ConfigurationError) as error:
        check_names(named)
    assert str(error.value) == (
        "experiments: expected every experiment_id once, found a, b, a; "
        "give each experiment a name of its own"
    )


@pytest.mark.parametrize("ratio", [0.9, math.inf, math.nan, -1.0])
@pytest.mark.parametrize("name", ["error_ratio", "slow_ratio", "mean_ratio"])
def test_a_guardrail_below_the_control_is_refused(name, ratio):
    with pytest.raises(ConfigurationError) as error:
        Guardrails(**{name: ratio})
    assert str(error.value) == (
        f"{name}: expected a number of at least 1, found {ratio}; "
        "2 lets the treatment have twice as much of it as the control"
    )


@pytest.mark.parametrize("name", ["error_ratio", "slow_ratio", "mean_ratio"])
def test_a_guardrail_may_equal_the_control(name):
    assert getattr(Guardrails(**{name: 1.0}), name) == 1.0


@pytest.mark.parametrize("rate", [0.0, 1.0, math.nan])
def test_a_rate_of_false_stops_that_is_not_a_probability_is_refused(rate):
    message = f"^false_stop_rate: expected a number between 0 and 1, found {rate}$"
    with pytest.raises(ConfigurationError, match=message):
        Guardrails(false_stop_rate=rate)


def test_experiments_on_one_model_may_not_overlap():
    one = experiment("one", fraction=0.1, unit_range=(0.4, 1.0))
    two = experiment("two", fraction=0.1, unit_range=(0.0, 0.5))
    with pytest.raises(ConfigurationError) as error:
        check_experiments("resnet50", [one, two])
    assert str(error.value) == (
        "model 'resnet50': expected experiments whose unit_ranges do not overlap, found 'two' on 0 to 0.5 "
        "and "
        "'one' on 0.4 to 1; give each a range of its own, such as 0 to 0.5 and 0.5 to 1"
    )


def test_an_experiment_within_another_is_refused_with_the_one_that_begins_first():
    inner = experiment("inner", fraction=0.1, unit_range=(0.4, 0.6))
    with pytest.raises(ConfigurationError, match=r"found 'outer' on 0 to 1 and 'inner' on 0\.4 to 0\.6"):
        check_experiments("resnet50", [inner, experiment("outer", fraction=0.1)])


def test_experiments_side_by_side_are_valid():
    one = experiment("one", fraction=0.1, unit_range=(0.5, 1.0))
    check_experiments("resnet50", [one, experiment("two", fraction=0.1, unit_range=(0.0, 0.5))])


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        ((0.0, 0.5), (0.5, 1.0), False),
        ((0.0, 0.5), (0.6, 1.0), False),
        ((0.0, 0.5), (0.4, 1.0), True),
        ((0.0, 1.0), (0.4, 0.6), True),
        ((0.2, 0.4), (0.2, 0.4), True),
    ],
)
def test_two_experiments_overlap_if_they_share_units(one, other, overlap):
    first, second = (experiment(fraction=0.1, unit_range=each) for each in (one, other))
    assert first.overlaps(second) is second.overlaps(first) is overlap


def test_an_experiment_by_model_and_one_by_request_compete_for_the_requests_of_any_model():
    one = experiment("one", fraction=0.1, unit_range=(0.0, 0.5))
    by_model = experiment(
        "two", fraction=0.1, unit_range=(0.5, 1.0), assign_by=AssignBy.MODEL, guardrails=None
    )
    assert one.overlaps(by_model)
    with pytest.raises(ConfigurationError) as error:
        check_experiments("resnet50", [by_model, one])
    assert str(error.value) == (
        "model 'resnet50': expected experiments that are all assigned by request, or all by model, found "
        "'one' by request and 'two' by model; give each a model_name_pattern of its own"
    )


def test_a_pattern_says_which_models_it_is_for():
    assert experiment(fraction=0.1, model_name_pattern="resnet*").matches("resnet50")
    assert not experiment(fraction=0.1, model_name_pattern="resnet*").matches("bert")


@pytest.mark.parametrize(
    ("settings", "same"),
    [
        ({"fraction": 0.2}, True),
        ({"rollout": (RolloutStep(60.0, 0.5),)}, True),
        ({"guardrails": None}, True),
        ({"treatment": "c3"}, False),
        ({"control": "c3"}, False),
        ({"experiment_id": "v3"}, False),
        ({"unit_range": (0.0, 0.5)}, False),
        ({"assign_by": AssignBy.MODEL, "guardrails": None}, False),
    ],
)
def test_counts_are_kept_while_the_same_arms_are_compared(settings, same):
    assert experiment(**({"fraction": 0.1} | settings)).compares_as(experiment(fraction=0.1)) is same


@pytest.mark.parametrize("arm", ["control", "treatment"])
def test_counts_are_not_kept_if_a_policy_has_other_parameters(arm):
    def of(weight: str) -> Experiment:
        return experiment(fraction=0.1, **{arm: "adaptive", f"{arm}_parameters": {"latency_weight": weight}})

    assert of("1").compares_as(of("1"))
    assert not of("1").compares_as(of("2"))
