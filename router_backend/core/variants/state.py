"""The state of one variant: what was learned, what is in flight, whether it is healthy."""

import math
from dataclasses import replace

from router_backend.core.learning.failure_share import FailureShare
from router_backend.core.learning.latency_model import remaining_after
from router_backend.core.learning.predictor import MAX_PLAUSIBLE, MIN_PLAUSIBLE
from router_backend.core.learning.regime import SETTLED_FROM
from router_backend.core.learning.resource_model import ResourceModel
from router_backend.core.records.basis import Basis
from router_backend.core.records.learned import LearnedVariant
from router_backend.core.records.outcome import Fault
from router_backend.core.records.request import Request
from router_backend.core.records.variant import Device, Variant
from router_backend.core.variants.candidate import Candidate
from router_backend.core.variants.health import Breaker
from router_backend.core.variants.limit_trial import LimitTrial
from router_backend.core.variants.load import Load, Place
from router_backend.core.variants.profile import ModelProfile

CLOCKS_AGREE_WITHIN = 1.1
MERGED_SHARE = 0.1
"""A request that ends within this share of its predicted time after the one before it was merged with it."""
MEASURED = Basis.MEASURED  # looking up a member of an enumeration is slow


class VariantState:
    """One variant as the router knows it. Not thread-safe: the model's lock guards it.

    Args:
        variant: what is configured.
        coverage: share of latencies that the prediction interval should contain.
        has_copies: whether copies of requests measure it when it may be well again, rather than requests.

    Attributes:
        profile: what was learned.
        load: what is in flight.
        breaker: whether it may be sent requests.
        candidate: what policies see of it.
        max_batch_size: the largest batch that it takes; infinite if its first dimension is not a batch.
        not_ready_reason: why it cannot take requests; `None` if it can.
        unsuitable_reason: why its device cannot run the model; `None` if it can.
        refused_since_sent: requests refused since it was last sent one, as late at every variant.
        late_since_sent: requests that went to others because they would have been late here.
        answers: requests that it answered.
        failures: requests that it failed.
        late_s: when it last answered an overdue request.
        well_s: when it last answered any request, or was loaded again.
        loaded_s: when it was loaded again, as far as is known; what was sent before says nothing about it.
    """

    MAX_DOUBT = 0.5
    REFUSALS_BEFORE_RETRIAL = 100
    MAX_REFUSED_S = 300.0
    COPY_GRACE_S = 2.0  # not every request can be copied
    COPY_PAUSE_S = 0.05
    MAX_COPY_PAUSE_S = 60.0

    __slots__ = (
        "_answers_when_rejected",
        "_copy_grace_s",
        "_copy_pause_s",
        "_failure_share",
        "_late_patience",
        "_limit_trial",
        "_next_copy_s",
        "_restored",
        "answers",
        "breaker",
        "candidate",
        "failures",
        "late_s",
        "late_since_sent",
        "load",
        "loaded_s",
        "max_batch_size",
        "not_ready_reason",
        "profile",
        "refused_since_sent",
        "unsuitable_reason",
        "variant",
        "well_s",
    )

    def __init__(self, variant: Variant, coverage: float, has_copies: bool = False) -> None:
        self.variant = variant
        self.max_batch_size = variant.max_batch_size or math.inf
        self._copy_grace_s = self.COPY_GRACE_S if has_copies else 0.0
        self.profile = ModelProfile(variant, coverage)
        self.load = Load(variant.concurrency)
        self.breaker = Breaker(is_probed=has_copies)
        self.candidate = Candidate(
            variant, concurrency=variant.concurrency, power=self.profile.power, memory=self.profile.memory
        )
        self.not_ready_reason: str | None = None
        self.unsuitable_reason = _stated_unsuitable(variant) or variant.suitability.reason_out
        self.refused_since_sent = 0
        self._limit_trial: LimitTrial | None = None
        self.answers = 0
        self.failures = 0
        self.loaded_s = self.late_s = self.well_s = -math.inf
        self._failure_share = FailureShare()
        self._answers_when_rejected = 0
        self._next_copy_s = -math.inf
        self.late_since_sent = 0
        self._late_patience = self.REFUSALS_BEFORE_RETRIAL
        self._copy_pause_s = self.COPY_PAUSE_S
        self._restored: tuple[LearnedVariant, float] | None = None

    def restore(self, learned: LearnedVariant, absent_s: float, now_s: float) -> None:
        """Start from what was learned before the router's start, which did not run for `absent_s`."""
        age_s = learned.age_s + absent_s
        self._restored = learned, now_s - age_s
        self.profile.restore(learned, age_s, now_s)
        self.learned_excess()
        if learned.failures is not None:
            aged = remaining_after(age_s)
            self._failure_share = FailureShare.of(*(number * aged for number in learned.failures))
            self.candidate.failure_share = self._failure_share.value
            self.candidate.trial_share = self._failure_share.trial_share
            self.failures = max(self.failures, 1)

    def learned(self, now_s: float) -> LearnedVariant | None:
        """Return what was learned; `None` if nothing was.

        If nothing was since it was restored, that is returned with its age, so that restarts in a row do not
        weaken it.
        """
        profile, answers = self.profile, self.answers
        if self._restored is not None and not answers:
            learned, learned_s = self._restored
            return replace(learned, age_s=now_s - learned_s)
        if not profile.latency.known:
            return None
        law, cliffs, excess = profile.latency.learned()
        return LearnedVariant(
            law=law.learned(),
            cliffs=cliffs.learned(),
            noise=profile.latency.change.variance,
            half_width=profile.interval.half_width,
            age_s=max(0.0, now_s - profile.latency.updated_s),
            excess=None if excess is None else excess.learned(),
            failures=self._failure_share.learned() if self.failures else None,
            memory=profile.memory.learned(),
            power=profile.power.learned(),
        )

    def predict(self, size: float, request: Request) -> Candidate:
        """Return the candidate, updated for a request of `size` now."""
        now_s = request.now_s
        load, latency, candidate = self.load, self.profile.latency, self.candidate
        candidate.size = size
        candidate.service_ms = latency.predict(size, now_s)
        candidate.variance = latency.relative_variance(now_s)
        candidate.basis = MEASURED
        usual = latency.usual
        if usual is not None:
            if not request.context.dry_run:
                usual.passed()
            if usual.is_due(now_s - self._copy_grace_s) and not load.in_flight:
                candidate.service_ms = usual.predict(size)  # half open: it is tried if it would be best
        if load.in_flight < load.concurrency:
            candidate.wait_ms = 0.0
        else:
            candidate.wait_ms = load.wait_ms(now_s, latency.change.variance**0.5)
        candidate.utilization = load.utilization(now_s)
        return candidate

    @property
    def basis(self) -> Basis:
        """What its predictions are based on now."""
        if self.profile.latency.known:
            return MEASURED
        return Basis.PRIOR if self.candidate.prior_ms else Basis.GUESS

    @property
    def is_warm(self) -> bool:
        """Whether its first answers, which tell what a start costs, are over."""
        return self.answers > SETTLED_FROM

    @property
    def may_be_measured(self) -> bool:
        """Whether a copy might measure it, now or later: it is kept out, new, or slower than usual."""
        if self.not_ready_reason is not None or self.unsuitable_reason is not None:
            return False
        if not self.breaker.closed:
            return True
        return self._has_few_answers or self.profile.latency.usual is not None

    def should_be_measured(self, now_s: float) -> bool:
        """Return whether it should get a copy: it is new, or was ill, slow or late and may be well."""
        if not self.breaker.closed:
            return self.breaker.probe_is_due(now_s)
        if self.load.in_flight or now_s < self._next_copy_s:
            return False
        if self._has_few_answers or self.late_since_sent >= self._late_patience:
            return True
        usual = self.profile.latency.usual
        return usual is not None and now_s >= usual.retry_s

    @property
    def _has_few_answers(self) -> bool:
        before = 0.0 if self._restored is None else self._restored[0].law.n
        return self.answers + before < SETTLED_FROM

    def late(self) -> bool:
        """Note that a request went elsewhere since it would be late here; return whether to measure that."""
        self.late_since_sent += 1
        return self.late_since_sent >= self._late_patience

    def copied(self, now_s: float) -> None:
        """Note that it is sent a copy of a request; the next one waits longer, in case it fails them."""
        if not self.breaker.closed:
            self.breaker.plan_probe(now_s)
            return
        if self.late_since_sent >= self._late_patience:
            self.late_since_sent = 0
            self._late_patience *= 2
        self._next_copy_s = now_s + self._copy_pause_s
        self._copy_pause_s = min(2.0 * self._copy_pause_s, self.MAX_COPY_PAUSE_S)

    def optimistic_latency_ms(self, now_s: float) -> float:
        """Latency of the request being routed, with the benefit of the doubt if the variant is idle.

        That is one standard deviation less, at most half; 0 if the variant was never measured, or after a
        hundred refused requests or five minutes without an answer. Otherwise a variant that is predicted to
        be too slow would never be sent a request again, and the prediction could not be corrected.
        """
        candidate = self.candidate
        if candidate.in_flight:
            return candidate.latency_ms
        latency = self.profile.latency
        if not latency.known or self.refused_since_sent >= self.REFUSALS_BEFORE_RETRIAL:
            return 0.0
        if self.refused_since_sent and now_s - latency.updated_s >= self.MAX_REFUSED_S:
            return 0.0
        return candidate.service_ms * (1.0 - min(math.sqrt(candidate.variance), self.MAX_DOUBT))

    def refuses(self, use: ResourceModel, limit: float, *, dry_run: bool) -> bool:
        """Return whether to refuse the request being routed, since its predicted `use` is above a limit.

        A use that was never measured is refused always: nothing says that the request would measure it. One
        that was measured once is not, as the reading may be wrong, nor if the last reading contradicts the
        prediction: then the next ones decide.
        """
        if not use.known:
            return True
        if use.readings <= 1.0 or use.by_last_reading(self.candidate.size) <= limit:
            return False
        trial = self._limit_trial or LimitTrial(use.readings)
        refuses = not trial.is_due
        if not dry_run:
            self._limit_trial = trial
            if refuses:
                trial.refused()
        return refuses

    def dispatch(self, now_s: float) -> Place:
        """Reserve a place for the request being routed, which is now sent here."""
        if not self.breaker.closed:
            self.breaker.dispatched()
        self.refused_since_sent = 0
        if self._limit_trial is not None and not self._limit_trial.sent():
            self._limit_trial = None
        load, candidate = self.load, self.candidate
        place = load.enter(candidate.service_ms, now_s)
        candidate.in_flight = load.in_flight
        candidate.mean_service_ms = load.mean_service_ms
        return place

    def answered(self, place: Place, latency_ms: float, now_s: float) -> float | None:
        """Free the place of a request that was answered after `latency_ms`.

        Returns:
            Its service time in ms; `None` if the latency is implausible or the clock did not advance, or if
            it ended with the request before it: Triton's batcher merged them, so its own time is unknown.
        """
        breaker = self.breaker
        self._copy_pause_s = self.COPY_PAUSE_S
        if breaker.failures_in_a_row or not breaker.closed:
            breaker.succeeded()
        self.answers += 1
        self.well_s = now_s
        if self.failures:
            self._learn_end(failed=False)
        if not _is_plausible(place, latency_ms, now_s):
            self._leave(place, now_s, answered=False)
            self.profile.latency.rejected += 1
            return None
        started_s = place.started_s
        finished_s = place.dispatched_s + latency_ms / 1e3
        load, candidate = self.load, self.candidate
        load.leave(place, finished_s if finished_s < now_s else now_s, answered=True)
        candidate.in_flight = load.in_flight
        candidate.concurrency = load.concurrency
        if started_s is None:
            started_s = place.dispatched_s  # it overtook the queue, so it did not wait
        service_ms = (finished_s - started_s) * 1e3
        return None if place.queued and service_ms < MERGED_SHARE * place.predicted_ms else service_ms

    def released(self, place: Place, now_s: float) -> None:
        """Free the place of a request that was not answered."""
        self._leave(place, now_s, answered=False)
        self.breaker.ignored()

    def failed(self, fault: Fault, now_s: float) -> None:
        """Count a failure by the variant's fault; the request's place is already free."""
        if fault is not Fault.UNSUPPORTED:
            self.breaker.failed(fault, now_s)
        if not self.failures:
            self._failure_share = FailureShare(self.answers)
        self.failures += 1
        self._learn_end(failed=True)

    def learn_overdue(self, size: float, waited_ms: float, now_s: float) -> None:
        """Learn that a request took at least this long.

        Only the first of several that are stuck together counts: they have one cause.
        """
        if self.breaker.closed:
            self.profile.latency.hold_longer(size, waited_ms, now_s)

    def loaded_again(self, now_s: float) -> list[Place]:
        """Forget what was in flight before it was loaded again, and return these places."""
        places = self.load.clear()
        self.loaded_s = self.well_s = now_s
        self.candidate.in_flight = 0
        self.breaker.retry_now(now_s)
        return places

    def _learn_end(self, *, failed: bool) -> None:
        share, candidate = self._failure_share, self.candidate
        share.update(failed=failed)
        candidate.failure_share = share.value
        candidate.trial_share = share.trial_share

    def learned_excess(self) -> None:
        """Report to policies what rare, very slow answers add, after it was learned."""
        excess, candidate = self.profile.latency.excess, self.candidate
        if excess is None:
            candidate.excess = candidate.excess_variance = 0.0
        else:
            candidate.excess = excess.value
            candidate.excess_variance = excess.variance
            candidate.excess_trial_share = excess.trial_share

    def rejected(self) -> bool:
        """Note that it rejected a request; return whether it has answered one since the last rejection."""
        has_answered = self.answers > self._answers_when_rejected
        self._answers_when_rejected = self.answers
        return has_answered

    def restore_credit(self) -> None:
        """Note that its last rejection was right, which is as good as an answer."""
        self._answers_when_rejected = -1

    def _leave(self, place: Place, now_s: float, *, answered: bool) -> None:
        load, candidate = self.load, self.candidate
        load.leave(place, now_s, answered=answered)
        candidate.in_flight = load.in_flight
        candidate.concurrency = load.concurrency


def is_plausible_ms(latency_ms: float) -> bool:
    """Return whether a clock can show this latency."""
    return MIN_PLAUSIBLE <= latency_ms <= MAX_PLAUSIBLE


def _is_plausible(place: Place, latency_ms: float, now_s: float) -> bool:
    """Return whether a latency is plausible and agrees with the router's clock.

    For a request that did not wait, the clock only has to advance. The service time of one that waited is
    computed from the departure before it, by the router's clock, so the whole latency must agree with it.
    """
    elapsed_ms = (now_s - place.dispatched_s) * 1e3
    if not (MIN_PLAUSIBLE <= latency_ms <= MAX_PLAUSIBLE and elapsed_ms > 0.0):
        return False
    return not place.queued or latency_ms <= CLOCKS_AGREE_WITHIN * elapsed_ms


def _stated_unsuitable(variant: Variant) -> str | None:
    """Return the reason if the model is stated not to run on the variant's device, else `None`."""
    characteristics = variant.characteristics
    if characteristics is None:
        return None
    stated = {
        Device.GPU: characteristics.supports_gpu,
        Device.NEURAL_ENGINE: characteristics.supports_neural_engine,
        Device.MPS: characteristics.supports_mps,
    }
    if stated.get(variant.device) is False:
        return f"the model is stated not to run on {variant.device.value}"
    return None
