"""`ModelRouter`: decides which variant serves a request, and learns from the outcome."""

import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import NoReturn

from router_backend.core.choosing.decision import RoutingDecision
from router_backend.core.choosing.filters import FILTERS, Filter
from router_backend.core.dispatch import Dispatch
from router_backend.core.experiments.experiment import Experiment
from router_backend.core.experiments.manager import ExperimentManager
from router_backend.core.model.environment import Environment
from router_backend.core.model.forward_clock import ForwardClock
from router_backend.core.model.logical_model import LogicalModel, check_variants
from router_backend.core.policies.base import Policy
from router_backend.core.policies.registry import PolicySource, new_policy
from router_backend.core.records.characteristics import ModelCharacteristics
from router_backend.core.records.outcome import Fault
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.suitability import UNKNOWN
from router_backend.core.records.variant import Device, Variant
from router_backend.core.settings import ModelSettings
from router_backend.core.telemetry.snapshot import RoutingMetrics
from router_backend.core.variants.backends import BackendCapabilities, backends_of
from router_backend.core.variants.capacity import Capacity, DeviceLimits
from router_backend.core.variants.device_fit import fit
from router_backend.errors import ConfigurationError, InvalidRequestError


def _raise(defect: BaseException) -> None:
    raise defect


class ModelRouter:
    """Routes requests of logical models to their variants. Thread-safe.

    Args:
        settings: how to decide; the defaults if `None`.
        capacity: counts what is in flight on devices that have limits; only for this router if `None`.
        clock: returns seconds; the only source of time. If it jumps back, the router's time goes on.
        rng: the only source of randomness; with a seed, every decision can be replayed.
        filters: decide which variants may serve a request.
        copies: whether the host sends the copies of requests that `Dispatch.copy` asks for. They measure
            variants that are not known, or may be well again; without them, requests of clients do.
        on_defect: receives what a policy raises while it learns, under the router's lock, so that the request
            goes on; by default it is raised to the caller, and the rest of the request is not recorded.

    Attributes:
        experiments: starts, changes, stops and reports experiments.

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
        settings: ModelSettings | None = None,
        *,
        capacity: Capacity | None = None,
        clock: Callable[[], float] = time.monotonic,
        rng: random.Random | None = None,
        filters: Sequence[Filter] = FILTERS,
        copies: bool = False,
        on_defect: Callable[[BaseException], object] = _raise,
    ) -> None:
        if clock is not time.monotonic:  # which never goes back
            clock = ForwardClock(clock)
        default = settings or ModelSettings()
        self._settings_of: Callable[[str], ModelSettings] = lambda _: default
        self._new_policy: Callable[[], Policy] | None = None
        self._models = _Models()
        self._lock = threading.Lock()
        self._clock = clock
        self._environment = Environment(
            self._lock, clock, rng or random.Random(), capacity or Capacity(), filters, copies, on_defect
        )
        self.experiments = ExperimentManager(self._lock, clock)

    def register_model(
        self,
        model_name: str,
        *,
        variants: Sequence[Variant],
        characteristics: ModelCharacteristics | None = None,
        settings: ModelSettings | None = None,
    ) -> None:
        """Register a logical model.

        Args:
            model_name: its name for clients.
            variants: the models that can serve it, at least one, each once.
            characteristics: its properties, for variants that do not state their own. From these follow the
                suitability and the priors of a variant that does not state its own.
            settings: its own settings; the router's for its name if `None`.

        Raises:
            ConfigurationError: it is already registered, has no variants or a duplicate, or cannot take part
                in an experiment that is for it.
        """
        variants = [_described(variant, characteristics) for variant in variants]
        check_variants(model_name, variants)
        own = settings or self._settings_of(model_name)
        policy = own.new_policy() if settings or not self._new_policy else self._new_policy()
        names = [variant.name for variant in variants]
        policy.check(names)
        with self._lock:
            if model_name in self._models:
                raise ConfigurationError(
                    where=f"model '{model_name}'",
                    expected="to register it once",
                    found="it is registered already",
                )
            experiments = self.experiments.add_model(model_name, names)
            model = LogicalModel(model_name, variants, policy, own, experiments, self._environment)
            self._models[model_name] = model

    def set_routing_policy(self, policy: PolicySource) -> None:
        """Use another policy from now on; what was learned stays.

        Args:
            policy: a name, a subclass of `Policy`, or a factory of policies; each model gets its own.

        Raises:
            ConfigurationError: no policy has that name, it is a policy object, or it is for a variant that a
                model lacks; then nothing has changed.
        """
        make = partial(new_policy, policy)
        make()  # reject an invalid policy even if there is no model yet
        with self._lock:
            policies = [(model, make()) for model in self._models.values()]
            for model, made in policies:
                made.check(model.states)
            for model, made in policies:
                model.set_policy(made)
            self._new_policy = make

    def configure(
        self, settings_of: Callable[[str], ModelSettings], experiments: Iterable[Experiment] | None = None
    ) -> None:
        """Use other settings from now on; what was learned stays.

        Args:
            settings_of: returns the settings for a model's name; called for every model now, and for each one
                that is registered later.
            experiments: run these in place of those of the last call, as `experiments.configure`; no change
                if `None`.

        Raises:
            ConfigurationError: a policy is for a variant that a model lacks, or as `experiments.set`; then
                nothing has changed.
        """
        with self._lock:
            settings = {name: settings_of(name) for name in self._models}
            policies = {name: own.new_policy() for name, own in settings.items()}
            for name, policy in policies.items():
                policy.check(self._models[name].states)
            if experiments is not None:
                self.experiments.apply(self.experiments.prepare(experiments))
            for name, policy in policies.items():
                self._models[name].configure(policy, settings[name])
            self._settings_of, self._new_policy = settings_of, None

    def enable_ab_testing(
        self,
        experiment_id: str,
        control: PolicySource,
        treatment: PolicySource,
        treatment_fraction: float,
    ) -> None:
        """Compare two policies on every model from now on; change the experiment if it is already running.

        Args:
            experiment_id: its name.
            control: the policy to compare with: a name, a subclass of `Policy`, or a factory of policies;
                another factory object starts the comparison again.
            treatment: the policy to try, given in the same way.
            treatment_fraction: the share of units that get the treatment.

        Raises:
            ConfigurationError: as `experiments.set`.
        """
        self.experiments.start(Experiment(experiment_id, control, treatment, treatment_fraction))

    def dispatch(self, model_name: str, context: RoutingContext) -> Dispatch:
        """Start a request: iterate over its attempts, and report how each of them ended.

        Raises:
            InvalidRequestError: the model is unknown.
        """
        return Dispatch(self._models[model_name], context)

    def route_request(self, model_name: str, context: RoutingContext) -> RoutingDecision:
        """Choose a variant for a request and reserve its place in flight.

        Raises:
            InvalidRequestError: the model is unknown, or no variant can ever serve this request.
            NoVariantError: every variant is rejected now; the text says why.
            DeadlineError: none would answer in time, and late requests are refused.
        """
        return self._models[model_name].route(context)

    def record_execution(
        self,
        decision: RoutingDecision,
        *,
        latency_ms: float | None = None,
        memory_mb: float | None = None,
        power_w: float | None = None,
        error: Fault | None = None,
    ) -> None:
        """Free the decision's place and learn how the attempt ended; recording it again does nothing.

        Args:
            decision: what `route_request` returned.
            latency_ms: from sending to answer; `None` without an error if the end says nothing (ignored). An
                implausible one, or one during which the clock did not advance, is counted but not learned.
            memory_mb: measured memory of the request; `None` if not measured.
            power_w: measured power of its device, which the requests in service share; `None` if not
                measured.
            error: how the variant failed; `None` if it did not.
        """
        self._models[decision.model_name].record(decision, latency_ms, memory_mb, power_w, error)

    def model(self, model_name: str) -> LogicalModel:
        """Return one logical model: its counters and the state of its variants.

        Raises:
            InvalidRequestError: the model is unknown.
        """
        return self._models[model_name]

    def backends(self) -> dict[Device, BackendCapabilities]:
        """Return the capabilities and current state of the devices that have variants."""
        with self._lock:
            now_s = self._clock()
            states = [state for model in self._models.values() for state in model.states.values()]
            reasons_out: dict[str, str] = {}
            for model in self._models.values():
                reasons_out |= model.reasons_out(now_s)
            limits: dict[Device, list[DeviceLimits]] = {}
            for model in self._models.values():
                for device, stated in model.device_limits.items():
                    limits.setdefault(device, []).append(stated)
            return backends_of(states, reasons_out, limits, self._environment.capacity, now_s)

    def get_metrics(self) -> RoutingMetrics:
        """Return the counts so far and the current state of the variants."""
        with self._lock:
            return RoutingMetrics({name: model.metrics() for name, model in self._models.items()})

    def export_prometheus_metrics(self) -> str:
        """Return the metrics as OpenMetrics text; needs the package `prometheus-client`."""
        from router_backend.core.telemetry.exposition import exposition  # only this needs the package

        return exposition(self.get_metrics())


class _Models(dict[str, LogicalModel]):
    """Models by name. Looking up an unknown name raises `InvalidRequestError`."""

    def __missing__(self, model_name: str) -> NoReturn:
        known = ", ".join(self) or "none yet"
        raise InvalidRequestError(f"model '{model_name}' is not registered: found {known}")


def _described(variant: Variant, characteristics: ModelCharacteristics | None) -> Variant:
    model = variant.characteristics or characteristics
    if model is None:
        return variant
    suitability = fit(model, variant.device) if variant.suitability == UNKNOWN else variant.suitability
    return replace(variant, characteristics=model, suitability=suitability)
