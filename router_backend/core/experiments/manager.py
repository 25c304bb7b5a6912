"""Starts, changes, stops and reports experiments on all models of a router."""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from router_backend.core.experiments.experiment import Experiment, check_names
from router_backend.core.experiments.model_experiments import ModelExperiments, Running
from router_backend.core.experiments.report import ExperimentReport, report_on
from router_backend.errors import InvalidRequestError


class Change(NamedTuple):
    """Experiments by name that were checked against every model, and what will run on each model.

    `configured` names those of the configuration; the others were set by hand.
    """

    experiments: dict[str, Experiment]
    configured: frozenset[str]
    running: Mapping[str, Running]
    now_s: float


class ExperimentManager:
    """The experiments of a router. Thread-safe.

    An experiment belongs to the configuration if that set it last, and is set by hand otherwise. Another
    configuration replaces the experiments of the one before and leaves those set by hand.

    Args:
        lock: the router's; `prepare`, `apply` and `add_model` expect it to be held.
        clock: the router's.
    """

    def __init__(self, lock: threading.Lock, clock: Callable[[], float]) -> None:
        self._lock = lock
        self._clock = clock
        self._experiments: dict[str, Experiment] = {}
        self._configured: frozenset[str] = frozenset()
        self._models: dict[str, ModelExperiments] = {}

    def __bool__(self) -> bool:
        """Return whether any experiment runs, so that a request's unit matters."""
        return bool(self._experiments)

    def __iter__(self) -> Iterator[Experiment]:
        """Iterate over the running experiments, including those stopped by their guardrails."""
        return iter(self._experiments.values())

    def start(self, experiment: Experiment) -> None:
        """Start an experiment, or change the one of that name.

        Raises:
            ConfigurationError: as `set`.
        """
        with self._lock:
            name = experiment.experiment_id
            wanted = self._experiments | {name: experiment}
            self.apply(self._prepare(wanted.values(), self._configured - {name}))

    def stop(self, experiment_id: str) -> None:
        """Stop an experiment and drop its counts: the models' own policies decide again.

        Raises:
            InvalidRequestError: no experiment has that name.
        """
        with self._lock:
            stopped = self._find(experiment_id)
            wanted = [each for each in self._experiments.values() if each is not stopped]
            self.apply(self._prepare(wanted, self._configured - {experiment_id}))

    def set(self, experiments: Iterable[Experiment]) -> None:
        """Run these experiments from now on, set by hand, and no others.

        One that compares the same as before keeps its counts, with its new rollout and guardrails; one that
        compares something else starts from the beginning.

        Raises:
            ConfigurationError: two have the same name or would use the same requests, or a policy is for a
                variant that a model lacks; then nothing has changed.
        """
        with self._lock:
            self.apply(self._prepare(experiments, frozenset()))

    def configure(self, experiments: Iterable[Experiment]) -> None:
        """Run these experiments in place of those of the last configuration, beside those set by hand.

        One that has the name of one set by hand takes its place.

        Raises:
            ConfigurationError: as `set`.
        """
        with self._lock:
            self.apply(self.prepare(experiments))

    def report(self, experiment_id: str) -> ExperimentReport:
        """Return the results of an experiment so far, valid at any time.

        Raises:
            InvalidRequestError: no experiment has that name.
        """
        with self._lock:
            return self._report_on(self._find(experiment_id))

    def reports(self) -> dict[str, ExperimentReport]:
        """Return the results of all experiments so far, by name."""
        with self._lock:
            return {name: self._report_on(each) for name, each in self._experiments.items()}

    def stops(self, model_name: str) -> dict[str, str]:
        """Return why guardrails have stopped treatments on a model, by experiment."""
        with self._lock:
            running = self._models[model_name].running
            reasons = {name: each.stopped_reason for name, each in running.items()}
        return {name: reason for name, reason in reasons.items() if reason is not None}

    def add_model(self, model_name: str, variants: Collection[str]) -> ModelExperiments:
        """Return the experiments of a model that is being registered.

        Raises:
            ConfigurationError: it cannot take part in an experiment that is for it.
        """
        now_s = self._clock()
        wanted = list(self._experiments.values())
        model = ModelExperiments(model_name, variants)
        model.apply(model.prepare(wanted, now_s), wanted, now_s)
        self._models[model_name] = model
        return model

    def prepare(self, experiments: Iterable[Experiment]) -> Change:
        """Check the experiments of a configuration, as `configure` runs them; nothing changes yet.

        Raises:
            ConfigurationError: as `set`.
        """
        stated = list(experiments)
        configured = frozenset(each.experiment_id for each in stated)
        gone = self._configured | configured
        by_hand = [each for name, each in self._experiments.items() if name not in gone]
        return self._prepare([*by_hand, *stated], configured)

    def _prepare(self, experiments: Iterable[Experiment], configured: frozenset[str]) -> Change:
        wanted = list(experiments)
        check_names(wanted)
        by_name = {experiment.experiment_id: experiment for experiment in wanted}
        now_s = self._clock()
        running = {name: model.prepare(wanted, now_s) for name, model in self._models.items()}
        return Change(by_name, configured, running, now_s)

    def apply(self, change: Change) -> None:
        """Run what `prepare` returned."""
        wanted = list(change.experiments.values())
        for name, running in change.running.items():
            self._models[name].apply(running, wanted, change.now_s)
        self._experiments, self._configured = change.experiments, change.configured

    def _find(self, experiment_id: str) -> Experiment:
        try:
            return self._experiments[experiment_id]
        except KeyError:
            known = ", ".join(self._experiments) or "none"
            raise InvalidRequestError(f"experiment '{experiment_id}' does not run: found {known}") from None

    def _report_on(self, experiment: Experiment) -> ExperimentReport:
        now_s = self._clock()
        name = experiment.experiment_id
        found = {
            model_name: report_on(model.running[name], now_s)
            for model_name, model in self._models.items()
            if name in model.running
        }
        return ExperimentReport(experiment, found)
