"""Reads and writes the experiments in `routing.json`."""

from collections.abc import Mapping
from typing import Any

from router_backend.config.json_node import JsonNode
from router_backend.config.policy_section import policy_document, read_policy
from router_backend.config.routing_config import PolicyChoice
from router_backend.core.experiments.experiment import AssignBy, Experiment
from router_backend.core.experiments.guardrails import Guardrails
from router_backend.core.experiments.rollout import RolloutStep
from router_backend.core.policies.registry import PolicySource
from router_backend.errors import ConfigurationError

REQUIRED = ("experiment_id", "control", "treatment", "fraction")
KEYS = (*REQUIRED, "model_name_pattern", "assign_by", "unit_range", "rollout", "guardrails")
A_SHARE = "a number from 0 to 1 (0.1 is 10 %)"
A_RATIO = "a number of at least 1, or null (2 lets the treatment do it twice as often as the control)"


def read_experiments(node: JsonNode) -> tuple[Experiment, ...]:
    """The experiments of a routing configuration.

    Raises:
        ConfigurationError: something in one of them is wrong.
    """
    return tuple(map(_experiment, node.items("a list of experiments")))


def experiment_document(experiment: Experiment) -> dict[str, Any]:
    """What is read as this experiment.

    Raises:
        ConfigurationError: an arm is a class or a function.
    """
    guardrails = experiment.guardrails
    return {
        "experiment_id": experiment.experiment_id,
        "control": _arm_document(experiment, experiment.control, experiment.control_parameters),
        "treatment": _arm_document(experiment, experiment.treatment, experiment.treatment_parameters),
        "fraction": experiment.fraction,
        "model_name_pattern": experiment.model_name_pattern,
        "assign_by": experiment.assign_by.value,
        "unit_range": list(experiment.unit_range),
        "rollout": [{"after_s": step.after_s, "fraction": step.fraction} for step in experiment.rollout],
        "guardrails": None if guardrails is None else _guardrails_document(guardrails),
    }


def _experiment(node: JsonNode) -> Experiment:
    members = node.members(KEYS, REQUIRED)
    experiment_id = members["experiment_id"].text("the name of an experiment")
    control, treatment = read_policy(members["control"]), read_policy(members["treatment"])
    fraction, more = _share(members["fraction"]), _optional(members)
    try:
        return Experiment(
            experiment_id,
            control.name,
            treatment.name,
            fraction,
            control_parameters=control.parameters,
            treatment_parameters=treatment.parameters,
            **more,
        )
    except ConfigurationError as error:
        raise node.about(error) from None


def _arm_document(
    experiment: Experiment, policy: PolicySource, parameters: Mapping[str, str]
) -> dict[str, Any]:
    if not isinstance(policy, str):
        raise ConfigurationError(
            f"experiment '{experiment.experiment_id}': expected the names of policies, which are all that a "
            f"file can hold, found {policy!r}: name it"
        )
    return policy_document(PolicyChoice(policy, parameters))


def _optional(members: dict[str, JsonNode]) -> dict[str, Any]:
    """What an experiment may leave out, by field of `Experiment`."""
    readers = {
        "model_name_pattern": lambda node: node.text("a pattern of model names, such as resnet*"),
        "assign_by": lambda node: node.one_of(AssignBy),
        "unit_range": _range,
        "rollout": lambda node: tuple(map(_step, node.items("a list of steps"))),
        "guardrails": _guardrails,
    }
    return {key: read(members[key]) for key, read in readers.items() if key in members}


def _range(node: JsonNode) -> tuple[float, float]:
    expected = "a list of two numbers from 0 to 1, the smaller first"
    items = node.items(expected)
    if len(items) != len(("from", "to")):
        raise node.refusal(expected)
    low, high = map(_share, items)
    return low, high


def _step(node: JsonNode) -> RolloutStep:
    members = node.members(("after_s", "fraction"), required=("after_s", "fraction"))
    after_s = members["after_s"].above_zero("a number of seconds above 0")
    return RolloutStep(after_s, _share(members["fraction"]))


def _guardrails(node: JsonNode) -> Guardrails | None:
    if node.value is None:
        return None
    members = node.members(("error_ratio", "slow_ratio", "false_stop_rate"))
    readers = {"error_ratio": _ratio, "slow_ratio": _ratio, "false_stop_rate": _rate}
    bounds: dict[str, Any] = {key: readers[key](member) for key, member in members.items()}
    return Guardrails(**bounds)


def _guardrails_document(guardrails: Guardrails) -> dict[str, float | None]:
    return {
        "error_ratio": guardrails.error_ratio,
        "slow_ratio": guardrails.slow_ratio,
        "false_stop_rate": guardrails.false_stop_rate,
    }


def _share(node: JsonNode) -> float:
    return node.number(A_SHARE, lambda number: 0.0 <= number <= 1.0)


def _ratio(node: JsonNode) -> float | None:
    return None if node.value is None else node.number(A_RATIO, lambda number: number >= 1.0)


def _rate(node: JsonNode) -> float:
    return node.number("a number between 0 and 1", lambda number: 0.0 < number < 1.0)
