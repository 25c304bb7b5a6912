"""The experiments of one model: which of them a request is in."""

import random
from collections.abc import Collection, Mapping, Sequence

from router_backend.core.experiments.arm import Arm
from router_backend.core.experiments.assignment import UnitHash
from router_backend.core.experiments.experiment import Experiment, check_experiments
from router_backend.core.experiments.running_experiment import RunningExperiment
from router_backend.errors import ConfigurationError

EVERY_UNIT = (0.0, 1.0)


class ModelExperiments:
    """A layer: a unit's place in it says which experiment it is in, if in any. Not thread-safe.

    The place comes from another hash than the arm, and is the same for all experiments, so that one that
    ends leaves its units to nobody, and one that begins takes them from nobody.

    Args:
        running: the experiments by name, on ranges that do not overlap.
    """

    __slots__ = ("_layer", "_only", "running")

    def __init__(self, running: Mapping[str, RunningExperiment]) -> None:
        self.running = running
        self._layer = UnitHash("layer of a model's policy")
        whole = [each for each in running.values() if each.experiment.unit_range == EVERY_UNIT]
        self._only = whole[0] if whole else None

    def arm_of(self, unit: str, now_s: float, rng: random.Random) -> Arm | None:
        """The arm of a request; None: it takes no part."""
        if self._only is not None:
            return self._only.arm_of(unit, now_s, rng)
        place = self._layer.point(unit) if unit else rng.random()
        for running in self.running.values():
            low, high = running.experiment.unit_range
            if low <= place < high:
                return running.arm_of(unit, now_s, rng)
        return None


def changed(
    before: Mapping[str, RunningExperiment],
    experiments: Sequence[Experiment],
    model_name: str,
    variants: Collection[str],
    now_s: float,
) -> ModelExperiments | None:
    """A model's experiments after a change; None: it has none.

    Those that compare what they compared before go on with what they counted; they are told by
    `go_on`, so that a change of several models can still be refused.

    Args:
        before: what ran before, by name.
        experiments: all that are wanted, of any model.
        model_name: the model.
        variants: the names of its variants.
        now_s: when the others start.

    Raises:
        ConfigurationError: two want the same requests, or a policy is for a variant that the model has not.
    """
    own = [experiment for experiment in experiments if experiment.matches(model_name)]
    check_experiments(model_name, own)
    running: dict[str, RunningExperiment] = {}
    for experiment in own:
        known = before.get(experiment.experiment_id)
        if known is not None and known.experiment.compares_as(experiment):
            running[experiment.experiment_id] = known
            continue
        try:
            started = RunningExperiment(experiment, model_name, variants, now_s)
        except ConfigurationError as error:
            raise error.at(where=f"model '{model_name}', experiment '{experiment.experiment_id}'") from None
        running[experiment.experiment_id] = started
    return ModelExperiments(running) if running else None


def go_on(model: ModelExperiments, experiments: Sequence[Experiment], now_s: float) -> None:
    """Tell those that go on by which rollout and guardrails they do."""
    for experiment in experiments:
        running = model.running.get(experiment.experiment_id)
        if running is not None and running.experiment != experiment:
            running.change(experiment, now_s)
