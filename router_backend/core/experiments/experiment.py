"""An experiment: two policies, and which of them decides which requests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from itertools import combinations

from router_backend.core.experiments.guardrails import Guardrails
from router_backend.core.experiments.rollout import RolloutStep, check_fraction, check_rollout
from router_backend.core.policies.base import Policy
from router_backend.core.policies.registry import NO_PARAMETERS, PolicySource, new_policy
from router_backend.errors import ConfigurationError, require


class AssignBy(str, Enum):
    """What the arm of a request depends on."""

    REQUEST = "request"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Experiment:
    """A comparison of two policies on a share of the requests.

    Args:
        experiment_id: its name; the assignment depends on it, so that reusing a name repeats the assignment.
        control: the policy to compare with: a name, a subclass of `Policy`, or a factory of policies.
        treatment: the policy to try, given in the same way.
        fraction: the share of the participating units that get the treatment.
        control_parameters: the control's settings as strings, by name.
        treatment_parameters: the treatment's settings as strings, by name.
        model_name_pattern: the models that it is for; `*` is any text, `?` any character.
        assign_by: REQUEST: by each request's unit; MODEL: the model's name is the unit of all its requests,
            so that all take part, with the same arm, or none does.
        unit_range: the units that take part, as shares from and to; experiments on one model must not
            overlap.
        rollout: larger fractions, each from some time after the start on.
        guardrails: when to stop the treatment; `None` for never, as required with MODEL, where a model has
            no second arm to compare with.
    """

    experiment_id: str
    control: PolicySource
    treatment: PolicySource
    fraction: float
    control_parameters: Mapping[str, str] = field(default_factory=lambda: NO_PARAMETERS)
    treatment_parameters: Mapping[str, str] = field(default_factory=lambda: NO_PARAMETERS)
    model_name_pattern: str = "*"
    assign_by: AssignBy = AssignBy.REQUEST
    unit_range: tuple[float, float] = (0.0, 1.0)
    rollout: tuple[RolloutStep, ...] = ()
    guardrails: Guardrails | None = field(default_factory=Guardrails)

    def __post_init__(self) -> None:
        """Reject invalid experiments.

        Raises:
            ConfigurationError: no name, an unknown policy or parameter, a share out of range, rollout steps
                that do not increase, or guardrails for an experiment by model.
        """
        require(bool(self.experiment_id), "experiment_id", "a name", "nothing")
        try:
            self._check()
        except ConfigurationError as error:
            raise error.at(where=f"experiment '{self.experiment_id}'") from None

    def matches(self, model_name: str) -> bool:
        """Return whether it is for a model."""
        return fnmatchcase(model_name, self.model_name_pattern)

    def overlaps(self, other: "Experiment") -> bool:
        """Return whether both would use the same requests of a model."""
        if self.assign_by is not other.assign_by:
            return True  # one would take all requests of the model, or none
        return self.unit_range[0] < other.unit_range[1] and other.unit_range[0] < self.unit_range[1]

    def compares_as(self, other: "Experiment") -> bool:
        """Return whether both compare the same, so that the other's counts are valid for this one."""
        return _compared(self) == _compared(other)

    def new_control(self) -> Policy:
        """Return a new policy for the control of one model."""
        return new_policy(self.control, self.control_parameters)

    def new_treatment(self) -> Policy:
        """Return a new policy for the treatment of one model."""
        return new_policy(self.treatment, self.treatment_parameters)

    def _check(self) -> None:
        check_fraction(self.fraction)
        check_rollout(self.fraction, self.rollout)
        for arm, make in (("control", self.new_control), ("treatment", self.new_treatment)):
            try:
                make()
            except ConfigurationError as error:
                raise error.at(path=arm) from None
        low, high = self.unit_range
        expected = "two shares from 0 to 1, the smaller first"
        require(0.0 <= low < high <= 1.0, "unit_range", expected, f"{low} and {high}")
        valid = self.guardrails is None or self.assign_by is not AssignBy.MODEL
        expected = "none where the arm is assigned by model, which has no second arm to compare with"
        require(valid, "guardrails", expected, "some", fix="set guardrails to none, or assign by request")


def _compared(experiment: Experiment) -> tuple[object, ...]:
    return (
        experiment.experiment_id,
        (experiment.control, dict(experiment.control_parameters)),
        (experiment.treatment, dict(experiment.treatment_parameters)),
        experiment.assign_by,
        experiment.unit_range,
    )


def check_names(experiments: Sequence[Experiment]) -> None:
    """Reject experiments of the same name.

    Raises:
        ConfigurationError: two have the same.
    """
    names, fix = [each.experiment_id for each in experiments], "give each experiment a name of its own"
    valid = len(set(names)) == len(names)
    require(valid, "experiments", "every experiment_id once", ", ".join(names), fix=fix)


def check_experiments(model_name: str, experiments: Sequence[Experiment]) -> None:
    """Reject experiments that would use the same requests of a model.

    They form one layer: all of them change the same thing, the policy of the model, so no request can be in
    two of them.

    References:
        Tang, Agarwal, O'Brien and Meyer, Overlapping experiment infrastructure, KDD 2010.

    Raises:
        ConfigurationError: two of them overlap.
    """
    ordered = sorted(experiments, key=lambda experiment: experiment.unit_range[0])
    for before, after in combinations(ordered, 2):
        where, same = f"model '{model_name}'", before.assign_by is after.assign_by
        expected = "experiments that are all assigned by request, or all by model"
        found = " and ".join(f"'{each.experiment_id}' by {each.assign_by.value}" for each in (before, after))
        require(same, "", expected, found, where=where, fix="give each a model_name_pattern of its own")
        expected = "experiments whose unit_ranges do not overlap"
        found = f"{_shown(before)} and {_shown(after)}"
        fix = "give each a range of its own, such as 0 to 0.5 and 0.5 to 1"
        require(not before.overlaps(after), "", expected, found, where=where, fix=fix)


def _shown(experiment: Experiment) -> str:
    low, high = experiment.unit_range
    return f"'{experiment.experiment_id}' on {low:g} to {high:g}"
