"""The state of one variant: what was learned, what is in flight, whether it is healthy."""

import math

from router_backend.core.learning.predictor import MAX_PLAUSIBLE, MIN_PLAUSIBLE
from router_backend.core.learning.resource_model import ResourceModel
from router_backend.core.records.outcome import Fault
from router_backend.core.records.variant import Device, Variant
from router_backend.core.variants.candidate import Candidate
from router_backend.core.variants.health import Breaker
from router_backend.core.variants.limit_trial import LimitTrial
from router_backend.core.variants.load import Load, Place
from router_backend.core.variants.profile import ModelProfile

CLOCKS_AGREE_WITHIN = 1.1


class VariantState:
    """One variant as the router knows it. Not thread-safe: the model's lock guards it.

    Attributes:
        profile: what was learned.
        load: what is in flight.
        breaker: whether it may be sent requests.
        candidate: what policies see of it.
        not_ready_reason: why it cannot take requests; `None` if it can.
        unsuitable_reason: why its device cannot run the model; `None` if it can.
        refused_since_sent: requests refused since it was last sent one, as late at every variant.
        answers: requests that it answered.
        failures: requests that it failed.
    """

    MAX_DOUBT = 0.5
    REFUSALS_BEFORE_RETRIAL = 100

    __slots__ = (
        "_limit_trial",
        "answers",
        "breaker",
        "candidate",
        "failures",
        "load",
        "not_ready_reason",
        "profile",
        "refused_since_sent",
        "unsuitable_reason",
        "variant",
    )

    def __init__(self, variant: Variant, coverage: float) -> None:
        self.variant = variant
        self.profile = ModelProfile(variant, coverage)
        self.load = Load(variant.concurrency)
        self.breaker = Breaker()
        self.candidate = Candidate(
            variant, concurrency=variant.concurrency, power=self.profile.power, memory=self.profile.memory
        )
        self.not_ready_reason: str | None = None
        self.unsuitable_reason = _stated_unsuitable(variant) or variant.suitability.reason_out
        self.refused_since_sent = 0
        self._limit_trial: LimitTrial | None = None
        self.answers = 0
        self.failures = 0

    def predict(self, size: float, now_s: float) -> Candidate:
        """Return the candidate, updated for a request of `size` now."""
        load, latency, candidate = self.load, self.profile.latency, self.candidate
        candidate.size = size
        candidate.service_ms = latency.predict(size)
        candidate.variance = latency.relative_variance(now_s)
        candidate.wait_ms = load.wait_ms(now_s) if len(load.running) >= load.concurrency else 0.0
        candidate.utilization = load.utilization(now_s)
        return candidate

    @property
    def optimistic_latency_ms(self) -> float:
        """Latency of the request being routed, with the benefit of the doubt if the variant is idle.

        That is one standard deviation less, at most half; 0 if the variant was never measured, or after a
        hundred refused requests. Otherwise a variant that is predicted to be too slow would never be sent a
        request again, and the prediction could not be corrected.
        """
        candidate = self.candidate
        if candidate.in_flight:
            return candidate.latency_ms
        if not self.profile.latency.known or self.refused_since_sent >= self.REFUSALS_BEFORE_RETRIAL:
            return 0.0
        return candidate.service_ms * (1.0 - min(math.sqrt(candidate.variance), self.MAX_DOUBT))

    def refuses(self, use: ResourceModel) -> bool:
        """Return whether to refuse the request being routed, since its predicted `use` is above a limit.

        A use that was never measured is refused always: nothing says that the request would measure it.
        """
        if not use.known:
            return True
        if self._limit_trial is None:
            self._limit_trial = LimitTrial()
        return self._limit_trial.refuses()

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
            Its service time in ms; `None` if the latency is implausible or the clock did not advance.
        """
        breaker = self.breaker
        if breaker.failures_in_a_row or not breaker.closed:
            breaker.succeeded()
        self.answers += 1
        if self.failures:
            self.candidate.failure_share = self.failures / (self.answers + self.failures)
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
        if started_s is None or finished_s <= started_s:
            started_s = place.dispatched_s  # it overtook the queue, so it did not wait
        return (finished_s - started_s) * 1e3

    def released(self, place: Place, now_s: float) -> None:
        """Free the place of a request that was not answered."""
        self._leave(place, now_s, answered=False)
        self.breaker.ignored()

    def failed(self, fault: Fault, now_s: float) -> None:
        """Count a failure by the variant's fault; the request's place is already free."""
        self.breaker.failed(fault, now_s)
        self.failures += 1
        self.candidate.failure_share = self.failures / (self.answers + self.failures)

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
