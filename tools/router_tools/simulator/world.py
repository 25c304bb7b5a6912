"""Worlds: the variants of one logical model with their true properties, and events."""

from dataclasses import dataclass, field, replace

from router_backend.core.records.variant import Device
from router_tools.simulator.service_law import ServiceLaw


@dataclass(frozen=True, slots=True)
class DynamicBatching:
    """Triton's dynamic batcher.

    Args:
        max_batch_size: the maximum number of items in one execution.
        max_queue_delay_s: how long the first request waits for others.
        preferred_batch_sizes: sizes that are executed without delay, in descending order.
    """

    max_batch_size: int
    max_queue_delay_s: float
    preferred_batch_sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WorldVariant:
    """The true properties of one variant.

    Args:
        name: the name of the variant.
        device: the hardware that it runs on.
        concurrency: the number of requests that it serves concurrently.
        told_concurrency: the concurrency that the router is configured with.
        max_batch_size: the largest batch that it accepts; 0 for no limit.
        law: its mean service time.
        noise_sigma: standard deviation of ln(service time / mean).
        cold_factor: factor on the service time of its first call.
        batching: its dynamic batcher; `None` if it has none.
        processor: the shared processor that it runs on; `None` if it does not share one.
        hidden_load: load from requests that bypass the router, as a fraction of its capacity.
        power_w: power that its device draws while all of its instances serve; `None` if unknown.
        slow_share: share of calls that take `slow_factor` times as long.
        slow_factor: see there.
        measured_noise: measured values of service time / mean to draw from; empty for log-normal noise.
    """

    name: str
    device: Device
    concurrency: int
    told_concurrency: int
    max_batch_size: int
    law: ServiceLaw
    noise_sigma: float
    batching: DynamicBatching | None
    processor: str | None
    hidden_load: float
    power_w: float | None = None
    cold_factor: float = 1.0
    slow_share: float = 0.0
    slow_factor: float = 1.0
    measured_noise: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Drift:
    """A period in which a variant is slower.

    Args:
        variant: the name of the variant.
        start: start of the period, as a fraction of the run.
        end: end of the period, as a fraction of the run.
        factor: factor on the service time.
    """

    variant: str
    start: float
    end: float
    factor: float


@dataclass(frozen=True, slots=True)
class Outage:
    """A period in which every request to a variant fails.

    Args:
        variant: the name of the variant.
        start: start of the period, as a fraction of the run.
        end: end of the period, as a fraction of the run.
        error_s: time that a call takes to fail.
        dead: whether its process is dead, which Triton reports only after a timeout.
    """

    variant: str
    start: float
    end: float
    error_s: float
    dead: bool


@dataclass(frozen=True, slots=True)
class Failures:
    """A period in which a variant fails some of its requests.

    Args:
        variant: the name of the variant.
        start: start of the period, as a fraction of the run.
        end: end of the period, as a fraction of the run.
        share: the probability that a request fails.
        error_s: time that a call takes to fail, beside those that are served; `None`: its service time.
        dead: whether a process of it is dead, which Triton reports only after a timeout.
    """

    variant: str
    start: float
    end: float
    share: float
    error_s: float | None = None
    dead: bool = False


@dataclass(frozen=True, slots=True)
class Stalls:
    """Random stalls of a variant, with exponential intervals and durations.

    Args:
        variant: the name of the variant.
        every_s: mean time between two stalls.
        mean_s: mean duration of a stall.
    """

    variant: str
    every_s: float
    mean_s: float


@dataclass(frozen=True, slots=True)
class World:
    """The variants of one logical model, and events.

    Args:
        name: the name of the world and of the logical model.
        description: a description in one sentence.
        assumed: assumptions that are not based on published figures.
        variants: the variants, at least one.
        contention: by shared processor, the relative slowdown of a variant per other busy variant.
        drifts: periods in which variants are slower.
        outages: periods in which variants fail every request.
        failures: periods in which variants fail some requests.
        stalls: random stalls of variants.
    """

    name: str
    description: str
    variants: tuple[WorldVariant, ...]
    assumed: tuple[str, ...] = ()
    contention: dict[str, float] = field(default_factory=dict)
    drifts: tuple[Drift, ...] = ()
    outages: tuple[Outage, ...] = ()
    failures: tuple[Failures, ...] = ()
    stalls: tuple[Stalls, ...] = ()

    @property
    def calm_from(self) -> float:
        """The end of the last drift, outage or failures, as a fraction of the run; 0 if there are none."""
        events: tuple[Drift | Outage | Failures, ...] = (*self.drifts, *self.outages, *self.failures)
        return max((event.end for event in events), default=0.0)

    def calm(self) -> "World":
        """Return the same world without drifts, outages, failures and stalls."""
        return replace(self, drifts=(), outages=(), failures=(), stalls=())
