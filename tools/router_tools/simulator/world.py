"""A world: the variants of one logical model as they truly are, and what happens to them."""

from dataclasses import dataclass, field, replace

from router_backend.core.records.variant import Device
from router_tools.simulator.service_law import ServiceLaw


@dataclass(frozen=True, slots=True)
class DynamicBatching:
    """Triton's dynamic batcher.

    Args:
        max_batch_size: the most items of one execution.
        max_queue_delay_s: how long the first request waits for more.
        preferred_batch_sizes: sizes that are sent at once when they can be made, descending.
    """

    max_batch_size: int
    max_queue_delay_s: float
    preferred_batch_sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WorldVariant:
    """One variant as it truly is.

    Args:
        name: its name.
        device: the hardware it runs on.
        concurrency: how many requests it serves at once.
        told_concurrency: what the router is told of that.
        max_batch_size: the largest batch it takes; 0: any.
        law: its mean service time.
        noise_sigma: standard deviation of ln(service time / mean).
        batching: its dynamic batcher; None: it has none.
        processor: the processor it shares; None: it has its own.
        hidden_load: what reaches it without the router, as a share of its capacity.
        power_w: what its device draws while it serves; None: not known.
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


@dataclass(frozen=True, slots=True)
class Drift:
    """A variant is slower between two shares of the run.

    Args:
        variant: which one.
        start: when it begins, as a share of the run.
        end: when it ends.
        factor: how many times longer service takes.
    """

    variant: str
    start: float
    end: float
    factor: float


@dataclass(frozen=True, slots=True)
class Outage:
    """A variant fails whatever reaches it between two shares of the run.

    Args:
        variant: which one.
        start: when it begins, as a share of the run.
        end: when it ends.
        error_s: how long a call takes to fail.
        dead: whether its process died, so that it says so only after a while.
    """

    variant: str
    start: float
    end: float
    error_s: float
    dead: bool


@dataclass(frozen=True, slots=True)
class Stalls:
    """A variant stops for a moment at random times, both exponential.

    Args:
        variant: which one.
        every_s: mean time between two stalls.
        mean_s: mean length of one.
    """

    variant: str
    every_s: float
    mean_s: float


@dataclass(frozen=True, slots=True)
class World:
    """The variants of one logical model, and what happens to them.

    Args:
        name: how it is called; also the logical model's name.
        description: what it is, in a sentence.
        assumed: what is assumed rather than published.
        variants: the variants, at least one.
        contention: by shared processor, how much slower a variant is for each other busy one.
        drifts: when variants are slower.
        outages: when variants fail.
        stalls: which variants stop at random.
    """

    name: str
    description: str
    variants: tuple[WorldVariant, ...]
    assumed: tuple[str, ...] = ()
    contention: dict[str, float] = field(default_factory=dict)
    drifts: tuple[Drift, ...] = ()
    outages: tuple[Outage, ...] = ()
    stalls: tuple[Stalls, ...] = ()

    def calm(self) -> "World":
        """The same without drift, outages and stalls."""
        return replace(self, drifts=(), outages=(), stalls=())
