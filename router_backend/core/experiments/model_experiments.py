"""The experiments of one model: which of them a request takes part in."""

import random
from collections.abc import Collection, Mapping, Sequence

from router_backend.core.experiments.arm import Arm
from router_backend.core.experiments.assignment import UnitHash
from router_backend.core.experiments.experiment import Experiment, check_experiments
from router_backend.core.experiments.running_experiment import RunningExperiment
from router_backend.errors import ConfigurationError

EVERY_UNIT = (0.0, 1.0)

Running = Mapping[str, RunningExperiment]
"""Running experiments by name, on ranges of units that do not overlap."""


class ModelExperiments:
    """A layer: a unit's point in it determines which experiment it takes part in, if any. Not thread-safe.

    The point comes from another hash than the arm and is the same for all experiments, so that no unit moves
    to another experiment when one starts or ends.
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
        return {experiment.experiment_id: self._kept_or_started(experiment, now_s) for experiment in own}

    def apply(self, running: Running, experiments: Sequence[Experiment], now_s: float) -> None:
        """Run what `prepare` returned for the same experiments."""
        self.running = running
        whole = [each for each in running.values() if each.experiment.unit_range == EVERY_UNIT]
        self._only = whole[0] if whole else None
        for experiment in experiments:
            kept = running.get(experiment.experiment_id)
            if kept is not None and kept.experiment != experiment:
                kept.change(experiment, now_s)

    def _kept_or_started(self, experiment: Experiment, now_s: float) -> RunningExperiment:
        known = self.running.get(experiment.experiment_id)
        if known is not None and known.experiment.compares_as(experiment):
            return known
        try:
            return RunningExperiment(experiment, self._model_name, self._variants, now_s)
        except ConfigurationError as error:
            where = f"model '{self._model_name}', experiment '{experiment.experiment_id}'"
            raise error.at(where) from None
