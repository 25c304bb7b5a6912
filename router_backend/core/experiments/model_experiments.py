"""The experiments of one model: which of them a request takes part in."""

import random
from collections.abc import Collection, Mapping, Sequence

from router_backend.core.experiments.arm import Arm
from router_backend.core.experiments.assignment import UnitHash
from router_backend.core.experiments.experiment import AssignBy, Experiment, check_experiments
from router_backend.core.experiments.running_experiment import RunningExperiment
from router_backend.errors import ConfigurationError

EVERY_UNIT = (0.0, 1.0)

Running = Mapping[str, RunningExperiment]
"""Running experiments by name, on ranges of units that do not overlap."""


class ModelExperiments:
    """A layer: a unit's point in it determines which experiment it takes part in, if any. Not thread-safe.

    The point comes from another hash than the arm and is the same for all experiments, so that no unit moves
    to another experiment when one starts or ends. In an experiment by model, the model's name is the unit of
    all its requests: it runs here if the name's point is in its range, and then alone.
    """

    __slots__ = ("_layer", "_model_name", "_only", "_variants", "running")

    def __init__(self, model_name: str, variants: Collection[str]) -> None:
        self._model_name = model_name
        self._variants = variants
        self._layer = UnitHash("layer of a model's policy")
        self._only: RunningExperiment | None = None
        self.running: Running = {}

    def arm_of(self, unit: str, now_s: float, rng: random.Random) -> Arm | None:
        """Return the arm of a request; `None` if it takes part in no experiment."""
        if self._only is not None:
            return self._only.arm_of(unit, now_s, rng)
        point = self._layer.point(unit) if unit else rng.random()
        for running in self.running.values():
            low, high = running.experiment.unit_range
            if low <= point < high:
                return running.arm_of(unit, now_s, rng)
        return None

    def prepare(self, experiments: Sequence[Experiment], now_s: float) -> Running:
        """Return what would run after a change, without applying it, since it may fail for another model.

        `experiments` are those of all models. One that compares the same as before keeps its counts.

        Raises:
            ConfigurationError: two would use the same requests, or a policy is for a variant that the model
                lacks.
        """
        own = [experiment for experiment in experiments if experiment.matches(self._model_name)]
        check_experiments(self._model_name, own)
        here = [experiment for experiment in own if self._takes_part(experiment)]
        return {experiment.experiment_id: self._kept_or_started(experiment, now_s) for experiment in here}

    def apply(self, running: Running, experiments: Sequence[Experiment], now_s: float) -> None:
        """Run what `prepare` returned for the same experiments."""
        self.running = running
        whole = [each for each in running.values() if _has_every_request(each.experiment)]
        self._only = whole[0] if whole else None
        for experiment in experiments:
            kept = running.get(experiment.experiment_id)
            if kept is not None and kept.experiment != experiment:
                kept.change(experiment, now_s)

    def _takes_part(self, experiment: Experiment) -> bool:
        """Return whether any requests of the model take part."""
        low, high = experiment.unit_range
        by_request = experiment.assign_by is AssignBy.REQUEST
        return by_request or low <= self._layer.point(self._model_name) < high

    def _kept_or_started(self, experiment: Experiment, now_s: float) -> RunningExperiment:
        known = self.running.get(experiment.experiment_id)
        if known is not None and known.experiment.compares_as(experiment):
            return known
        try:
            return RunningExperiment(experiment, self._model_name, self._variants, now_s)
        except ConfigurationError as error:
            where = f"model '{self._model_name}', experiment '{experiment.experiment_id}'"
            raise error.at(where) from None


def _has_every_request(experiment: Experiment) -> bool:
    """Return whether all requests of a model take part, if it takes part at all."""
    return experiment.unit_range == EVERY_UNIT or experiment.assign_by is AssignBy.MODEL
