"""`ModelRouter`: decides which variant serves a request, and learns from how it went."""

import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import NoReturn

from router_backend.core.choosing.decision import RoutingDecision
from router_backend.core.experiments.experiment import Experiment
from router_backend.core.experiments.model_experiments import changed, go_on
from router_backend.core.experiments.report import ExperimentReport, report_on
from router_backend.core.logical_model import LogicalModel
from router_backend.core.policies.base import Policy
from router_backend.core.policies.registry import PolicySource, new_policy
from router_backend.core.records.characteristics import ModelCharacteristics
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.settings import ModelSettings
from router_backend.core.telemetry.snapshot import RoutingMetrics, read_metrics
from router_backend.core.variants.backends import BackendCapabilities, backends_of
from router_backend.core.variants.capacity import Capacity
from router_backend.core.variants.counters import Refusal
from router_backend.core.variants.health import Fault
from router_backend.core.variants.profile import VariantProfile
from router_backend.errors import ConfigurationError, DeadlineError, InvalidRequestError, NoVariantError


class ModelRouter:
    """Routes requests of logical models to their variants. Thread-safe; no lock is held over a call.

    Args:
        config: how to decide; None: the defaults.
        capacity: counts what is in flight on devices that have limits; None: this router's requests alone.
        clock: returns seconds, never goes back; the only source of time.
        rng: the only source of chance; a seeded one lets every decision be replayed.

    Examples:
        >>> from router_backend.core.records.variant import Device, Variant
        >>> router = ModelRouter(clock=lambda: 0.0)
        >>> router.register_model("resnet50", variants=[Variant("resnet50_cpu", Device.CPU)])
        >>> decision = router.route_request("resnet50", RoutingContext(batch_size=8))
        >>> decision.variant
        'resnet50_cpu'
        >>> router.record_execution(decision, latency_ms=4.1)
    """

    def __init__(
        self,
        config: ModelSettings | None = None,
        *,
        capacity: Capacity | None = None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
    ) -> None:
        own = config or ModelSettings()
        self._config_of: Callable[[str], ModelSettings] = lambda _: own
        self._new_policy: Callable[[], Policy] | None = None
        self._capacity = capacity or Capacity()
        self._clock = clock
        self._rng = rng or random.Random()
        self._models = _Models()
        self._experiments: dict[str, Experiment] = {}
        self._lock = threading.Lock()

    def register_model(
        self,
        model_name: str,
        *,
        variants: Sequence[Variant],
        characteristics: ModelCharacteristics | None = None,
        config: ModelSettings | None = None,
    ) -> None:
        """Make a logical model known.

        Args:
            model_name: what clients call it.
            variants: the models that can serve it, at least one, each once.
            characteristics: what it is made of, for the variants that do not say so themselves.
            config: settings of its own; None: what the router has for its name.

        Raises:
            ConfigurationError: it is known already, has no variants, or one twice, or cannot take part in an
                experiment that is for it.
        """
        own = variants if characteristics is None else [_described(v, characteristics) for v in variants]
        settings = config or self._config_of(model_name)
        make = settings.new_policy if config or not self._new_policy else self._new_policy
        model = LogicalModel(model_name, own, make(), settings, self._capacity)
        with self._lock:
            if model_name in self._models:
                raise ConfigurationError(
                    where=f"model '{model_name}'",
                    expected="to register it once",
                    found="it is registered already",
                )
            model.experiments = changed(
                {}, list(self._experiments.values()), model_name, model.profiles, self._clock()
            )
            self._models[model_name] = model
            model.sums.configured_s = self._clock()

    def set_routing_policy(self, policy: PolicySource) -> None:
        """Choose by another policy from now on; what the profiles learned stays.

        Args:
            policy: a name, a class of `Policy`, or a function that makes one; each model gets its own.

        Raises:
            ConfigurationError: no policy has that name, it is an object, or it is for a variant that a model
                has not; then nothing has changed.
        """
        make = partial(new_policy, policy)
        make()  # what is no policy is refused, models or none
        with self._lock:
            policies = [(model, make()) for model in self._models.values()]
            for model, made in policies:
                made.check(model.profiles)
            for model, made in policies:
                model.policy = made
            self._new_policy = make

    def configure(
        self, config_of: Callable[[str], ModelSettings], experiments: Iterable[Experiment] | None = None
    ) -> None:
        """Decide by the settings that are told for each model's name from now on; what was learned stays.

        Args:
            config_of: is asked for every model at once, and for each one that is registered later.
            experiments: run these, and no others, as `set_experiments` does; None: they stay as they are.

        Raises:
            ConfigurationError: a policy is for a variant that a model has not, or as `set_experiments`; then
                nothing has changed.
        """
        wanted = None if experiments is None else _by_name(experiments)
        with self._lock:
            configs = {name: config_of(name) for name in self._models}
            policies = {name: config.new_policy() for name, config in configs.items()}
            for name, policy in policies.items():
                policy.check(self._models[name].profiles)
            if wanted is not None:
                self._run_experiments(wanted)
            for name, policy in policies.items():
                self._reconfigure(self._models[name], policy, configs[name])
            self._config_of, self._new_policy = config_of, None

    def reconfigure(self, model_name: str, config: ModelSettings) -> None:
        """Decide about a model's requests by other settings from now on; what was learned stays.

        Its coverage is that of the profiles, which stay as they are.

        Raises:
            InvalidRequestError: the model is unknown.
            ConfigurationError: the policy is for a variant that the model has not; then nothing has changed.
        """
        model = self._models[model_name]
        policy = config.new_policy()
        with self._lock:
            self._reconfigure(model, policy, config)

    def enable_ab_testing(
        self,
        experiment_id: str,
        control: PolicySource,
        treatment: PolicySource,
        treatment_fraction: float,
    ) -> None:
        """Compare two policies on every model, from now on; change that comparison, if it runs already.

        Args:
            experiment_id: its name.
            control: what the treatment is compared with: the name of a policy, a class of `Policy`, or a
                function that makes one; a function that is not the same starts the comparison anew.
            treatment: what is tried, told the same way.
            treatment_fraction: the share of the requests' units that gets the treatment.

        Raises:
            ConfigurationError: as `set_experiments`.
        """
        experiment = Experiment(experiment_id, control, treatment, treatment_fraction)
        with self._lock:
            self._run_experiments(self._experiments | {experiment_id: experiment})

    def disable_ab_testing(self, experiment_id: str) -> None:
        """End an experiment: the models' own policies decide again, and what was counted of it is gone.

        Raises:
            InvalidRequestError: there is none of that name.
        """
        with self._lock:
            self._experiment(experiment_id)
            left = self._experiments.copy()
            del left[experiment_id]
            self._run_experiments(left)

    def set_experiments(self, experiments: Iterable[Experiment]) -> None:
        """Run these experiments from now on, and no others.

        One that compares what it compared before goes on with what it counted, by its new rollout and
        guardrails; one that compares something else starts anew.

        Raises:
            ConfigurationError: two have one name, two want the same requests, or a policy is for a variant
                that a model has not; then nothing has changed.
        """
        by_name = _by_name(experiments)
        with self._lock:
            self._run_experiments(by_name)

    @property
    def has_experiments(self) -> bool:
        """Whether a request's unit matters."""
        return bool(self._experiments)

    def experiments(self) -> tuple[Experiment, ...]:
        """The experiments that run, those that the guardrails have stopped included."""
        return tuple(self._experiments.values())

    def get_experiment_report(self, experiment_id: str) -> ExperimentReport:
        """What an experiment has found so far; it may be looked at at any time.

        Raises:
            InvalidRequestError: there is none of that name.
        """
        with self._lock:
            return self._report_on(self._experiment(experiment_id))

    def get_experiment_reports(self) -> dict[str, ExperimentReport]:
        """What all experiments have found so far, by name, at one moment."""
        with self._lock:
            return {name: self._report_on(each) for name, each in self._experiments.items()}

    def route_request(self, model_name: str, context: RoutingContext) -> RoutingDecision:
        """Choose a variant for a request and reserve its place in flight.

        Raises:
            InvalidRequestError: the model is unknown, or none of its variants could ever serve this.
            NoVariantError: every variant is out at the moment.
            DeadlineError: none would answer in time, and such requests are refused.
        """
        model = self._models[model_name]
        asked_s = self._clock()
        with self._lock:
            sums = model.sums
            sums.decisions += 1
            try:
                return model.route(context, self._clock(), self._rng)
            except DeadlineError:
                sums.refusals[Refusal.DEADLINE] += 1
                raise
            except NoVariantError:
                sums.refusals[Refusal.NO_VARIANT] += 1
                raise
            except InvalidRequestError:
                sums.refusals[Refusal.INVALID_REQUEST] += 1
                raise
            finally:
                sums.decision_s += self._clock() - asked_s

    def record_execution(
        self,
        decision: RoutingDecision,
        *,
        latency_ms: float | None = None,
        memory_mb: float | None = None,
        power_w: float | None = None,
        error: Fault | None = None,
        counted: bool = True,
    ) -> None:
        """Free the decision's place and learn how it ended; recording it again does nothing.

        Args:
            decision: what `route_request` returned.
            latency_ms: from sending to answer; None without an error: the end says nothing (ignored). One
                that cannot be, or during which the clock stood still or jumped back, is counted, no more.
            memory_mb: memory that the request was seen to take; None: nobody looked.
            power_w: power that was seen to be drawn for it; None: nobody looked.
            error: how the variant failed; None: it did not.
            counted: whether the metrics count it now; not one that nobody sent, such as a warm-up, nor one
                that failed for a reason that is not known yet: `report_fault` or `report_ignored` counts it.
        """
        model = self._models[decision.model_name]
        with self._lock:
            model.record(decision, latency_ms, error, self._clock(), memory_mb, power_w, counted=counted)

    def report_fault(self, decision: RoutingDecision, fault: Fault) -> None:
        """Count a failure against the variant of a decision that was recorded uncounted.

        For failures that turn out to be the variant's own only when another variant has answered the
        same request.
        """
        model = self._models[decision.model_name]
        with self._lock:
            decision.profile.failed(fault, self._clock())
            model.count(decision, None, fault)

    def report_ignored(self, decision: RoutingDecision) -> None:
        """Count the end of a decision that was recorded uncounted, and says nothing about the variant."""
        model = self._models[decision.model_name]
        with self._lock:
            model.count(decision, None, None)

    def report_retry(self, decision: RoutingDecision) -> None:
        """Count that a request went on to another variant after a decision's had failed it."""
        with self._lock:
            decision.profile.sums.retries += 1

    def report_refusal(self, model_name: str, refusal: Refusal) -> None:
        """Count a request that was refused before it came to a decision."""
        model = self._models[model_name]
        with self._lock:
            model.sums.refusals[refusal] += 1

    def report_refused_config(self, model_name: str) -> None:
        """Count a change of a model's settings that was not taken up."""
        model = self._models[model_name]
        with self._lock:
            model.sums.configs_refused += 1

    def get_metrics(self) -> RoutingMetrics:
        """What was counted so far, and how the variants stand now."""
        with self._lock:
            return read_metrics(self._models, self._clock())

    def export_prometheus_metrics(self) -> str:
        """The metrics as OpenMetrics text; needs the package `prometheus-client`."""
        # The router is whole without it: only whoever asks for the text needs the exporter and its package.
        from router_backend.core.telemetry.exposition import exposition

        return exposition(self.get_metrics())

    def backends(self) -> dict[Device, BackendCapabilities]:
        """The devices that have variants: what they can do, and how they stand now."""
        with self._lock:
            return backends_of(self._models.values(), self._capacity, self._clock())

    def set_ready(self, model_name: str, variant: str, not_ready_reason: str | None) -> None:
        """Tell whether a variant can take requests: None, or the reason why it cannot."""
        profile = self.profile(model_name, variant)
        with self._lock:
            profile.not_ready_reason = not_ready_reason

    def profile(self, model_name: str, variant: str) -> VariantProfile:
        """What is known of a variant; to be read, not changed.

        Raises:
            InvalidRequestError: the model or the variant is unknown.
        """
        profiles = self._models[model_name].profiles
        if variant not in profiles:
            raise InvalidRequestError(
                f"model '{model_name}' has no variant '{variant}': expected one of {', '.join(profiles)}"
            )
        return profiles[variant]

    def _reconfigure(self, model: LogicalModel, policy: Policy, config: ModelSettings) -> None:
        model.reconfigure(policy, config)
        model.sums.configs_accepted += 1
        model.sums.configured_s = self._clock()

    def _run_experiments(self, experiments: dict[str, Experiment]) -> None:
        now_s = self._clock()
        wanted = list(experiments.values())
        after = [
            (model, changed(model.running_experiments, wanted, model.name, model.profiles, now_s))
            for model in self._models.values()
        ]
        for model, running in after:
            model.experiments = running
            if running is not None:
                go_on(running, wanted, now_s)
        self._experiments = experiments

    def _report_on(self, experiment: Experiment) -> ExperimentReport:
        now_s = self._clock()
        running = {name: model.running_experiments for name, model in self._models.items()}
        found = {
            name: report_on(own[experiment.experiment_id], now_s)
            for name, own in running.items()
            if experiment.experiment_id in own
        }
        return ExperimentReport(experiment, found)

    def _experiment(self, experiment_id: str) -> Experiment:
        try:
            return self._experiments[experiment_id]
        except KeyError:
            known = ", ".join(self._experiments) or "none"
            raise InvalidRequestError(f"experiment '{experiment_id}' does not run: found {known}") from None


class _Models(dict[str, LogicalModel]):
    """The logical models by name; one that is missing is told of as a client may have it."""

    def __missing__(self, model_name: str) -> NoReturn:
        known = ", ".join(self) or "none yet"
        raise InvalidRequestError(f"model '{model_name}' is not registered: found {known}")


def _described(variant: Variant, characteristics: ModelCharacteristics) -> Variant:
    return variant if variant.characteristics else replace(variant, characteristics=characteristics)


def _by_name(experiments: Iterable[Experiment]) -> dict[str, Experiment]:
    wanted = list(experiments)
    by_name = {experiment.experiment_id: experiment for experiment in wanted}
    if len(by_name) < len(wanted):
        names = ", ".join(experiment.experiment_id for experiment in wanted)
        raise ConfigurationError(
            path="experiments",
            expected="every experiment_id once",
            found=names,
            fix="give each experiment a name of its own",
        )
    return by_name
