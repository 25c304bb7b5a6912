"""One variant as the router knows it: what it learned, what is in flight, whether it is healthy."""

import math

from router_backend.core.learning.interval import ConformalInterval
from router_backend.core.learning.latency_model import LatencyModel
from router_backend.core.learning.pace import LearningPace
from router_backend.core.learning.predictor import MAX_PLAUSIBLE, MIN_PLAUSIBLE
from router_backend.core.learning.resource_model import ResourceModel
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.variants.counters import VariantSums
from router_backend.core.variants.health import Breaker, Fault
from router_backend.core.variants.load import Load, Place

CLOCKS_AGREE_WITHIN = 1.1


class VariantProfile:
    """Learning, load and health of one variant, and what they say of the request being routed.

    The last six attributes are made anew for each decision, under the router's lock, in place: an object
    for each candidate of each decision would cost as much as the choice itself.

    Latency, memory and power are each predicted by a `Predictor`: what the router measures itself, and what
    it is told with an answer.

    Args:
        variant: whose profile this is.
        coverage: the share of latencies that the prediction interval is to hold.

    Attributes:
        not_ready_reason: why it cannot take requests; None: it can.
        unsuitable_reason: why its device cannot run the model; None: it can.
        sums: what is counted of it for the metrics.
        turned_away: requests that were refused as late everywhere since it was sent the last.
        weight: how much it is preferred; a policy divides its cost by that.
        size: the size x of the request being routed.
        service_ms: predicted service time S of the request being routed; 0: nothing was learned.
        variance: squared relative standard deviation of that prediction; 1: nothing was learned.
        wait_ms: predicted wait W before that.
        utilization: how busy the variant was over the last seconds, per instance.
        cost: what the policy made of it, in its own unit; the least is best.
    """

    RESTING = "breaker open after failures"
    DEAD = "breaker open: its process has ended, load the model again"
    MOST_DOUBT = 0.5
    MOST_TURNED_AWAY = 100

    __slots__ = (
        "_pace",
        "_prior_fixed_ms",
        "_prior_per_item_ms",
        "breaker",
        "cost",
        "failures",
        "interval",
        "latency",
        "load",
        "memory",
        "not_ready_reason",
        "power",
        "service_ms",
        "size",
        "successes",
        "sums",
        "turned_away",
        "unsuitable_reason",
        "utilization",
        "variance",
        "variant",
        "wait_ms",
        "weight",
    )

    def __init__(self, variant: Variant, coverage: float) -> None:
        self.variant = variant
        self.latency = LatencyModel()
        self._pace = LearningPace()
        suitability = variant.suitability
        self.memory = ResourceModel(suitability.memory_mb or 0.0)
        self.power = ResourceModel(suitability.power_w or 0.0)
        self._prior_fixed_ms = suitability.fixed_ms or 0.0
        self._prior_per_item_ms = suitability.per_item_ms or 0.0
        self.interval = ConformalInterval(coverage)
        self.load = Load(variant.concurrency)
        self.breaker = Breaker()
        self.not_ready_reason: str | None = None
        self.unsuitable_reason = _stated_out(variant) or suitability.reason_out
        self.weight = 1.0
        self.successes = 0
        self.failures = 0
        self.sums = VariantSums()
        self.turned_away = 0
        self.size = self.service_ms = self.wait_ms = self.utilization = self.variance = self.cost = 0.0

    @property
    def latency_ms(self) -> float:
        """Predicted latency W + S of the request being routed."""
        return self.wait_ms + self.service_ms

    @property
    def hoped_ms(self) -> float:
        """The latency of the request being routed with the benefit of the doubt, which idle variants have.

        That is one standard deviation less, by half at the most; nothing where it was never measured, or
        where a hundred requests were turned away since it was sent the last. Without it, a variant that is
        predicted too slow for its deadlines would be refused all requests, and never be known better.
        """
        if self.load.in_flight:
            return self.latency_ms
        if not self.latency.known or self.turned_away >= self.MOST_TURNED_AWAY:
            return 0.0
        return self.service_ms * (1.0 - min(math.sqrt(self.variance), self.MOST_DOUBT))

    @property
    def memory_mb(self) -> float | None:
        """Memory that the request being routed is expected to take; None: not known."""
        return self.memory.predict(self.size) or None

    @property
    def power_w(self) -> float | None:
        """Power that is expected to be drawn for the request being routed; None: not known."""
        return self.power.predict(self.size) or None

    @property
    def measurements_rejected(self) -> int:
        """How much of what it was told cannot be, or was timed by a clock that stood still or jumped back."""
        return self.latency.rejected + self.memory.rejected + self.power.rejected

    @property
    def prior_ms(self) -> float:
        """Prior of the service time of the request being routed; 0: there is none."""
        return self._prior_fixed_ms + self._prior_per_item_ms * self.size

    def reason_out(self, context: RoutingContext, now_s: float) -> str | None:
        """Why a request must not be sent here; None: it may."""
        if self.not_ready_reason is not None:
            return self.not_ready_reason
        if self.unsuitable_reason is not None:
            return self.unsuitable_reason
        variant = self.variant
        if variant.name in context.excluded_variants:
            return "excluded from this request"
        if context.allowed_variants is not None and variant.name not in context.allowed_variants:
            return "not among the allowed variants"
        if context.allowed_devices is not None and variant.device not in context.allowed_devices:
            return "not on an allowed device"
        if 0 < variant.max_batch_size < context.batch_size:
            return f"batch {context.batch_size} is above its maximum {variant.max_batch_size}"
        if not (self.breaker.closed or self.breaker.allows(now_s)):
            return self.DEAD if self.breaker.fault is Fault.DEAD else self.RESTING
        return None

    def predict(self, size: float, now_s: float) -> None:
        """Set what a request of `size` would meet here now."""
        load = self.load
        self.size = size
        self.service_ms = self.latency.predict(size)
        self.variance = self.latency.relative_variance(now_s)
        self.wait_ms = load.wait_ms(now_s) if len(load.running) >= load.concurrency else 0.0
        self.utilization = load.utilization(now_s)

    def above_limit(self, context: RoutingContext) -> str | None:
        """Why the request being routed would take too much here; None: it would not, or nothing says so."""
        memory_mb, power_w = self.memory_mb, self.power_w
        if memory_mb is not None and context.max_memory_mb is not None and memory_mb > context.max_memory_mb:
            return f"expected to take {memory_mb:.4g} MB, above the request's {context.max_memory_mb:g} MB"
        if power_w is not None and context.max_power_w is not None and power_w > context.max_power_w:
            return f"expected to draw {power_w:.4g} W, above the request's {context.max_power_w:g} W"
        return None

    def dispatched(self, now_s: float) -> Place:
        """The request being routed is sent here: reserve its place."""
        self.breaker.dispatched()
        self.turned_away = 0
        return self.load.enter(self.service_ms, now_s)

    def answered(self, place: Place, latency_ms: float, now_s: float) -> float | None:
        """A request was answered after `latency_ms`: its place is free.

        Returns:
            How long it was served, in ms; None: the latency cannot be, or a clock that stands still or jumps
            back bears witness of it.
        """
        self.breaker.succeeded()
        self.successes += 1
        if not _can_be(place, latency_ms, now_s):
            self.load.leave(place, now_s, answered=False)
            return None
        started_s = place.started_s
        finished_s = place.dispatched_s + latency_ms / 1e3
        self.load.leave(place, finished_s if finished_s < now_s else now_s, answered=True)
        if started_s is None or finished_s <= started_s:
            started_s = place.dispatched_s  # it overtook the queue: it cannot have waited there
        return (finished_s - started_s) * 1e3

    def learn(
        self, size: float, service_ms: float | None, expected_ms: float, latency_ms: float, now_s: float
    ) -> bool:
        """Learn from a request that was answered after `latency_ms`; `expected_ms` was predicted for it.

        Args:
            size: its size x.
            service_ms: how long it was served; None: that cannot be told, which is counted, no more.
            expected_ms: the latency that was predicted for it; 0: none was.
            latency_ms: from sending to answer.
            now_s: the time.

        Returns:
            Whether it was credible.
        """
        if service_ms is None:
            self.latency.rejected += 1
            return False
        if not self._pace.takes(now_s):
            return True
        learned = self.latency.update(size, service_ms, now_s)
        if learned and expected_ms > 0.0:
            self.interval.update(math.log(latency_ms / expected_ms))
        return learned

    def measured(self, size: float, memory_mb: float | None, power_w: float | None, now_s: float) -> None:
        """A request of `size` was seen to take this much; None: nobody looked."""
        if memory_mb is not None:
            self.memory.update(size, memory_mb, now_s)
        if power_w is not None:
            self.power.update(size, power_w, now_s)

    def failed(self, fault: Fault, now_s: float) -> None:
        """A request failed by the variant's fault; its place is free already."""
        self.breaker.failed(fault, now_s)
        self.failures += 1
        self.sums.faults[fault] += 1

    def ignored(self, place: Place, now_s: float) -> None:
        """A request ended in a way that teaches nothing."""
        self.load.leave(place, now_s, answered=False)
        self.breaker.ignored()


def _can_be(place: Place, latency_ms: float, now_s: float) -> bool:
    """Whether the clock allows that a request took so long.

    One that was alone needs only a clock that runs. The service of one that waited is told from the departure
    before it, which this clock has timed: there it must have seen the whole latency pass.
    """
    elapsed_ms = (now_s - place.dispatched_s) * 1e3
    if not (MIN_PLAUSIBLE <= latency_ms <= MAX_PLAUSIBLE and elapsed_ms > 0.0):
        return False
    return not place.queued or latency_ms <= CLOCKS_AGREE_WITHIN * elapsed_ms


def _stated_out(variant: Variant) -> str | None:
    """Why the model is stated not to run on the variant's device; None: it is not stated."""
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
