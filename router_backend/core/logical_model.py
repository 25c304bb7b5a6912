"""One logical model: its variants' profiles, and the choice among them."""

import math
import random
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace

from router_backend.core.capacity import UNLIMITED, Capacity
from router_backend.core.decision import RoutingDecision
from router_backend.core.experiments.arm import Arm
from router_backend.core.experiments.model_experiments import ModelExperiments
from router_backend.core.experiments.running_experiment import RunningExperiment
from router_backend.core.health import Fault
from router_backend.core.learning.predictor import LEAST, MOST
from router_backend.core.load import Place
from router_backend.core.metrics import ModelSums
from router_backend.core.policies.base import Policy
from router_backend.core.policies.goals import POLICY_OF_GOAL
from router_backend.core.policies.registry import create_policy
from router_backend.core.profile import VariantProfile
from router_backend.core.request import RoutingContext
from router_backend.core.router_config import RouterConfig
from router_backend.core.variant import Variant
from router_backend.errors import (
    ConfigurationError,
    DeadlineError,
    InvalidRequestError,
    NoVariantError,
    RequestPolicyError,
)

Out = list[tuple[VariantProfile, str]]


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

    UNTRIED_SHARE_OF_BEST = 0.5
    DEFERRED_SHARE_OF_BEST = 4.0
    UNKNOWN_SERVICE_MS = 1.0
    TYPICAL_STEP = 0.1
    TYPICAL_SPREAD = 0.5
    LATE = "would be late"

    def __init__(
        self,
        name: str,
        variants: Sequence[Variant],
        policy: Policy,
        config: RouterConfig,
        capacity: Capacity | None = None,
    ) -> None:
        names = [variant.name for variant in variants]
        if not names:
            raise ConfigurationError(f"model '{name}': expected at least one variant, found none")
        if len(set(names)) < len(names):
            raise ConfigurationError(
                f"model '{name}': every variant may stand once, found {', '.join(names)}"
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
        self._typical_log_size: float | None = None
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
        candidates, out = self._filter(context, now_s)
        unknown = False
        for candidate in candidates:
            candidate.predict(size, now_s)
            if candidate.service_ms == 0.0:
                unknown = True
        if unknown:
            self._guess_unknown(candidates, size)
        if context.max_memory_mb is not None or context.max_power_w is not None:
            candidates = self._within_limits(candidates, out, context)
        if self.limits:
            candidates = self._with_room(candidates, out, context)
        deadline_ms = self._max_latency_ms if context.max_latency_ms is None else context.max_latency_ms
        if deadline_ms is not None:
            refuse_late = self._refuse_late if context.refuse_late is None else context.refuse_late
            candidates = self._in_time(candidates, out, deadline_ms, refuse_late)
            if context.max_latency_ms is None:
                context = replace(context, max_latency_ms=deadline_ms)  # policies know of no configuration
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
    def default_max_latency_ms(self) -> float | None:
        """The deadline of requests that name none; None: they have none."""
        return self._max_latency_ms

    @property
    def running_experiments(self) -> Mapping[str, RunningExperiment]:
        """The model's experiments by name."""
        return self.experiments.running if self.experiments is not None else {}

    def reconfigure(self, policy: Policy, config: RouterConfig) -> None:
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
        self._capacity.free(place)
        profile = decision.profile
        if counted:
            self.count(decision, latency_ms, error)
        if error is None and latency_ms is not None:
            if not self._profiling:
                profile.answered(place, now_s)
                return
            if profile.succeeded(place, decision.size, decision.expected_latency_ms, latency_ms, now_s):
                decision.chooser.observe(profile, decision.size, decision.propensity, latency_ms, now_s)
            if memory_mb is not None or power_w is not None:
                profile.measured(decision.size, memory_mb, power_w, now_s)
            return
        profile.ignored(place, now_s)
        if error is not None:
            profile.failed(error, now_s)

    def count(self, decision: RoutingDecision, latency_ms: float | None, error: Fault | None) -> None:
        """Count how a decision ended, for the metrics and for its experiment."""
        decision.profile.sums.ended(decision, latency_ms, error)
        if decision.arm is not None:
            self._tell_arm(decision.arm, decision, latency_ms, error)

    def _configure(self, config: RouterConfig) -> None:
        self._refuse_late = config.refuse_late
        self._profiling = config.profiling
        self._max_latency_ms = config.max_latency_ms
        self.limits = config.device_limits
        for profile in self.profiles.values():
            profile.weight = config.weight(profile.variant.device)

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

    def _within_limits(
        self, candidates: list[VariantProfile], out: Out, context: RoutingContext
    ) -> list[VariantProfile]:
        """Those that are not expected to take more than the request allows.

        Raises:
            NoVariantError: there are none.
        """
        within: list[VariantProfile] = []
        for candidate in candidates:
            reason = candidate.above_limit(context)
            if reason is None:
                within.append(candidate)
            else:
                out.append((candidate, reason))
        if not within:
            raise self._nobody(context, out)
        return within

    def _with_room(
        self, candidates: list[VariantProfile], out: Out, context: RoutingContext
    ) -> list[VariantProfile]:
        """Those on a device that can hold one more request.

        Raises:
            NoVariantError: there are none.
        """
        with_room: list[VariantProfile] = []
        for candidate in candidates:
            device = candidate.variant.device
            limits = self.limits.get(device, UNLIMITED)
            reason = self._capacity.reason_out(device, limits, candidate.memory_mb)
            if reason is None:
                with_room.append(candidate)
            else:
                out.append((candidate, reason))
        if not with_room:
            raise self._nobody(context, out)
        return with_room

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

    def _filter(self, context: RoutingContext, now_s: float) -> tuple[list[VariantProfile], Out]:
        candidates: list[VariantProfile] = []
        out: Out = []
        for profile in self.profiles.values():
            reason = profile.reason_out(context, now_s)
            if reason is None:
                candidates.append(profile)
            else:
                out.append((profile, reason))
        return (candidates, out) if candidates else self._last_resort(context, out)

    def _last_resort(self, context: RoutingContext, out: Out) -> tuple[list[VariantProfile], Out]:
        """Better a variant that failed a moment ago than no answer; a dead process gives none anyway."""
        resting = [p for p, reason in out if reason is p.RESTING]
        if not resting:
            raise self._nobody(context, out)
        return resting, [entry for entry in out if entry[0] not in resting]

    def _in_time(
        self, candidates: list[VariantProfile], out: Out, deadline_ms: float, refuse_late: bool
    ) -> list[VariantProfile]:
        """Those that would answer within the deadline; where none would, all of them, or those that might.

        No margin: one of 10 % lost 7 % of what was answered in time under overload, since it keeps requests
        from the slower variants that would just do.

        Raises:
            DeadlineError: none would, and such requests are refused.
        """
        late = [
            candidate for candidate in candidates if candidate.wait_ms + candidate.service_ms > deadline_ms
        ]
        if not late:
            return candidates
        if len(late) == len(candidates):
            if not refuse_late:
                return candidates
            late = [candidate for candidate in candidates if candidate.hoped_ms > deadline_ms]
            if len(late) == len(candidates):
                raise self._too_late(candidates, deadline_ms)
        out += [(candidate, self.LATE) for candidate in late]
        return [candidate for candidate in candidates if candidate not in late]

    def _too_late(self, candidates: list[VariantProfile], deadline_ms: float) -> DeadlineError:
        soonest_ms = min(candidate.latency_ms for candidate in candidates)
        left_ms = max(deadline_ms, 0.0)
        return DeadlineError(
            f"model '{self.name}': no variant can answer within {left_ms:.4g} ms, the soonest is "
            f"expected in {soonest_ms:.4g} ms: allow more time, or send less"
        )

    def _guess_unknown(self, candidates: list[VariantProfile], size: float) -> None:
        """Guess what was never measured: by its prior, else fast enough to be tried by a small request.

        Those without a prior are tried one at a time. A large request, and one that comes while an unknown
        variant is being tried, takes it for slow.
        """
        known = [candidate.service_ms for candidate in candidates if candidate.latency.known]
        unknown = [candidate for candidate in candidates if not candidate.latency.known]
        best_ms = min(known, default=self.UNKNOWN_SERVICE_MS)
        tried = any(candidate.load.in_flight for candidate in unknown)
        small = self._is_small(size)
        share = self.UNTRIED_SHARE_OF_BEST if small and not tried else self.DEFERRED_SHARE_OF_BEST
        for candidate in unknown:
            prior_ms = candidate.prior_ms
            candidate.service_ms = prior_ms or share * best_ms
            candidate.wait_ms = (prior_ms or best_ms) * candidate.load.in_flight

    def _is_small(self, size: float) -> bool:
        """Whether a request is no larger than is typical; the typical size is a geometric mean.

        A mean that was once below a steady size never quite reaches it: within √2 counts as typical.
        """
        log_size = math.log2(size)
        if self._typical_log_size is None:
            self._typical_log_size = log_size
        self._typical_log_size += self.TYPICAL_STEP * (log_size - self._typical_log_size)
        return log_size <= self._typical_log_size + self.TYPICAL_SPREAD

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
