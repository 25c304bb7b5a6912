"""One logical model: its variants' profiles, and the choice among them."""

import random
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace

from router_backend.core.choosing.cold_start import ColdStart
from router_backend.core.choosing.decision import RoutingDecision
from router_backend.core.choosing.filters import Out, Profiles, able, in_time, with_room, within_limits
from router_backend.core.experiments.arm import Arm
from router_backend.core.experiments.model_experiments import ModelExperiments
from router_backend.core.experiments.running_experiment import RunningExperiment
from router_backend.core.learning.predictor import LEAST, MOST
from router_backend.core.policies.base import Policy
from router_backend.core.policies.goals import POLICY_OF_GOAL
from router_backend.core.policies.registry import create_policy
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Variant
from router_backend.core.settings import ModelSettings
from router_backend.core.variants.capacity import Capacity
from router_backend.core.variants.counters import ModelSums
from router_backend.core.variants.health import Fault
from router_backend.core.variants.load import Place
from router_backend.core.variants.profile import VariantProfile
from router_backend.errors import (
    ConfigurationError,
    DeadlineError,
    InvalidRequestError,
    NoVariantError,
    RequestPolicyError,
)


class LogicalModel:
    """Routes the requests of one logical model. Not thread-safe: the router guards it.

    Args:
        name: what clients call it.
        variants: the models that can serve it, at least one, each once.
        policy: the policy that chooses, for this model alone.
        config: the settings of the router.
        capacity: what is in flight on each device, shared with other models; None: with none.

    Raises:
        ConfigurationError: no variants, one twice, or a policy for a variant that is not among them.
    """

    def __init__(
        self,
        name: str,
        variants: Sequence[Variant],
        policy: Policy,
        config: ModelSettings,
        capacity: Capacity | None = None,
    ) -> None:
        names = [variant.name for variant in variants]
        if not names:
            raise ConfigurationError(where=f"model '{name}'", expected="at least one variant", found="none")
        if len(set(names)) < len(names):
            raise ConfigurationError(
                where=f"model '{name}'",
                expected="every variant once",
                found=", ".join(names),
                fix="name each variant once",
            )
        policy.check(names)
        self.name = name
        self.policy = policy
        self.profiles = {variant.name: VariantProfile(variant, config.coverage) for variant in variants}
        self._policies_by_name: dict[str, Policy] = {}
        self._capacity = capacity or Capacity()
        self.sums = ModelSums()
        self.experiments: ModelExperiments | None = None
        self._configure(config)
        self._reference_elements = 0.0
        self._cold_start = ColdStart()
        self._abandoned: deque[tuple[VariantProfile, Place]] = deque()

    def route(self, context: RoutingContext, now_s: float, rng: random.Random) -> RoutingDecision:
        """Choose a variant and reserve a place in flight there.

        Raises:
            InvalidRequestError: no variant could ever serve this request.
            NoVariantError: every variant is out at the moment; the text says why each one is.
            DeadlineError: none would answer in time, and such requests are refused.
        """
        if self._abandoned:
            self._free_abandoned(now_s)
        size = self._size(context)
        out: Out = []
        candidates = self._candidates(context, size, now_s, out)
        deadline_ms = self._max_latency_ms if context.max_latency_ms is None else context.max_latency_ms
        if deadline_ms is not None:
            deadline_ms -= context.spent_ms
            refuse_late = self._refuse_late if context.refuse_late is None else context.refuse_late
            timely = in_time(candidates, deadline_ms, refuse_late, out)
            if not timely:
                raise self._turn_away(candidates, deadline_ms)
            candidates = timely
            if deadline_ms != context.max_latency_ms:  # policies know of no configuration
                context = replace(context, max_latency_ms=deadline_ms, spent_ms=0.0)
        policy, arm = self._chooser(context, now_s, rng)
        choice = policy.choose(candidates, context, now_s, rng)
        place = choice.candidate.dispatched(now_s)
        if self.limits:
            self._take_room(choice.candidate, place)
        return RoutingDecision(
            self.name,
            policy,
            size,
            now_s,
            choice,
            candidates,
            out,
            place,
            deadline_ms,
            self._abandoned.append,
            arm,
        )

    @property
    def running_experiments(self) -> Mapping[str, RunningExperiment]:
        """The model's experiments by name."""
        return self.experiments.running if self.experiments is not None else {}

    def reconfigure(self, policy: Policy, config: ModelSettings) -> None:
        """Decide by other settings from now on; what the profiles learned stays.

        Raises:
            ConfigurationError: the policy is for a variant that the model has not; nothing has changed.
        """
        policy.check(self.profiles)
        self.policy = policy
        self._policies_by_name.clear()
        self._configure(config)

    def record(
        self,
        decision: RoutingDecision,
        latency_ms: float | None,
        error: Fault | None,
        now_s: float,
        memory_mb: float | None = None,
        power_w: float | None = None,
        *,
        counted: bool = True,
    ) -> None:
        """Free the decision's place and learn how it ended; a second call for it does nothing."""
        place = decision.take_place()
        if place is None:
            return
        profile = decision.profile
        if counted:
            self.count(decision, latency_ms, error)
        if error is not None or latency_ms is None:
            self._capacity.free(place)
            profile.ignored(place, now_s)
            if error is not None:
                profile.failed(error, now_s)
            return
        self._capacity.free(place)
        service_ms = profile.answered(place, latency_ms, now_s)
        if not self._profiling:
            return
        if profile.learn(decision.size, service_ms, decision.expected_latency_ms, latency_ms, now_s):
            decision.chooser.observe(profile, decision.size, decision.propensity, latency_ms, now_s)
        if memory_mb is not None or power_w is not None:
            profile.measured(decision.size, memory_mb, power_w, now_s)

    def count(self, decision: RoutingDecision, latency_ms: float | None, error: Fault | None) -> None:
        """Count how a decision ended, for the metrics and for its experiment."""
        decision.profile.sums.ended(decision, latency_ms, error)
        if decision.arm is not None:
            self._tell_arm(decision.arm, decision, latency_ms, error)

    def _configure(self, config: ModelSettings) -> None:
        self._refuse_late = config.refuse_late
        self._profiling = config.profiling
        self._max_latency_ms = config.max_latency_ms
        self.limits = config.device_limits
        for profile in self.profiles.values():
            profile.weight = config.weight(profile.variant.device)

    def _candidates(self, context: RoutingContext, size: float, now_s: float, out: Out) -> Profiles:
        """Those that can serve a request and may, with what it would meet there.

        Raises:
            InvalidRequestError, NoVariantError: there are none.
        """
        candidates = able(self.profiles.values(), context, now_s, out)
        unknown = False
        for candidate in candidates:
            candidate.predict(size, now_s)
            if candidate.service_ms == 0.0:
                unknown = True
        if unknown:
            self._cold_start.guess(candidates, size)
        if context.max_memory_mb is not None or context.max_power_w is not None:
            candidates = within_limits(candidates, context, out)
        if self.limits:
            candidates = with_room(candidates, self._capacity, self.limits, out)
        if not candidates:
            raise self._nobody(context, out)
        return candidates

    def _chooser(
        self, context: RoutingContext, now_s: float, rng: random.Random
    ) -> tuple[Policy, Arm | None]:
        """The policy that a request asks for by name or by goal, else its experiment's, else the model's own.

        A further try of a request with a unit is decided by the same arm, which counts the first alone.
        """
        if context.policy is not None:
            return self._policy_named(context.policy), None
        if context.optimization_goal is not None:
            return self._policy_named(POLICY_OF_GOAL[context.optimization_goal]), None
        if self.experiments is None:
            return self.policy, None
        arm = self.experiments.arm_of(context.unit, now_s, rng)
        if arm is None:
            return self.policy, None
        return arm.policy, None if context.excluded_variants else arm

    def _tell_arm(
        self, arm: Arm, decision: RoutingDecision, latency_ms: float | None, error: Fault | None
    ) -> None:
        self.sums.arm_ended(arm.experiment_id, arm.name, latency_ms, error)
        if error is not None:
            arm.running.failed(arm, decision.variant, decision.now_s)
        elif latency_ms is not None and LEAST <= latency_ms <= MOST:
            arm.running.answered(arm, decision.variant, latency_ms, decision.now_s)

    def _policy_named(self, name: str) -> Policy:
        """The model's own policy where it has that name; else one for all requests that ask for it.

        Raises:
            RequestPolicyError: no policy has that name, or it is for a variant that the model has not.
        """
        if name == self.policy.name:
            return self.policy
        if name not in self._policies_by_name:
            try:
                self._policies_by_name[name] = create_policy(name)
                self._policies_by_name[name].check(self.profiles)
            except ConfigurationError as error:
                self._policies_by_name.pop(name, None)
                raise RequestPolicyError(self.name, str(error)) from None
        return self._policies_by_name[name]

    def _take_room(self, candidate: VariantProfile, place: Place) -> None:
        device = candidate.variant.device
        if device in self.limits:
            self._capacity.take(place, device, candidate.memory_mb)

    def _size(self, context: RoutingContext) -> float:
        """The request's size x: its elements relative to one item of the first request seen."""
        if context.elements is None or context.elements == 0:
            return float(context.batch_size)
        if self._reference_elements == 0.0:
            self._reference_elements = context.elements / context.batch_size
        return context.elements / self._reference_elements

    def _turn_away(self, candidates: list[VariantProfile], deadline_ms: float) -> DeadlineError:
        """Count the request as refused at each of them; the error tells when it could have been answered."""
        for candidate in candidates:
            candidate.turned_away += 1
        soonest_ms = min(candidate.latency_ms for candidate in candidates)
        left_ms = max(deadline_ms, 0.0)
        return DeadlineError(
            f"model '{self.name}': no variant can answer within {left_ms:.4g} ms, the soonest is "
            f"expected in {soonest_ms:.4g} ms: allow more time, or send less"
        )

    def _nobody(self, context: RoutingContext, out: Out) -> InvalidRequestError | NoVariantError:
        reasons = "; ".join(f"{profile.variant.name}: {reason}" for profile, reason in out)
        largest = max(profile.variant.max_batch_size for profile in self.profiles.values())
        if largest and context.batch_size > largest:
            return InvalidRequestError(
                f"model '{self.name}': a batch of {context.batch_size} is above the largest "
                f"that a variant takes, {largest}: send smaller batches"
            )
        return NoVariantError(f"model '{self.name}': no variant can serve this request now ({reasons})")

    def _free_abandoned(self, now_s: float) -> None:
        while self._abandoned:
            profile, place = self._abandoned.popleft()
            self._capacity.free(place)
            profile.ignored(place, now_s)
