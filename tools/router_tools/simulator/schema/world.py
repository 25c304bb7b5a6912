"""The file of a world."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from msgspec import UNSET, Meta, UnsetType, field

from router_backend.core.records.variant import Device
from router_backend.errors import ConfigurationError
from router_backend.typed_load import Section
from router_tools.simulator.schema.common import (
    BatchSize,
    Count,
    Instances,
    Name,
    NonNegative,
    Positive,
    Sigma,
)
from router_tools.simulator.schema.events import DriftFile, FailuresFile, OutageFile, StallsFile
from router_tools.simulator.schema.service import ServiceFile


class BatchingFile(Section, frozen=True, kw_only=True):
    """Triton's dynamic batcher: waiting requests become one execution.

    Args:
        max_batch_size: the largest batch.
        max_queue_delay_ms: how long it waits for more.
        preferred_batch_sizes: sizes that are sent at once when they can be made.
    """

    max_batch_size: BatchSize
    max_queue_delay_ms: NonNegative = 0.0
    preferred_batch_sizes: tuple[Count, ...] = ()


class VariantFile(Section, frozen=True, kw_only=True):
    """A variant of a world.

    Args:
        name: its name.
        device: the hardware it runs on.
        service: its mean service time.
        source: the source of the numbers.
        concurrency: how many requests it serves at once (its instances).
        told_concurrency: the concurrency that the router is configured with; the actual one if left out.
        max_batch_size: the largest batch it takes; any if left out.
        noise_sigma: standard deviation of ln(service time / its mean): log-normal noise.
        cold_factor: the factor by which its first call takes longer.
        slow_share: the share of calls that take `slow_factor` times as long, at random.
        slow_factor: see there.
        dynamic_batching: its batcher.
        processor: the shared processor that it runs on; one of its own if left out.
        hidden_load: load that bypasses the router, as a share of its capacity.
        power_w: the power of its device while all of its instances serve, in watts, of which each draws an
            equal share; without it no energy is computed.

    Raises:
        ConfigurationError: it has a batcher on a shared processor.
    """

    name: Name
    device: Device
    service: ServiceFile
    source: str = ""
    concurrency: Instances = 1
    told_concurrency: Instances | UnsetType = UNSET
    max_batch_size: BatchSize | UnsetType = UNSET
    noise_sigma: Sigma = 0.0
    cold_factor: Annotated[float, Meta(ge=1, le=1_000_000)] = 1.0
    slow_share: Annotated[float, Meta(ge=0, le=1)] = 0.0
    slow_factor: Annotated[float, Meta(ge=1, le=1_000_000)] = 1.0
    dynamic_batching: BatchingFile | UnsetType = UNSET
    processor: str | UnsetType = UNSET
    hidden_load: Annotated[float, Meta(gt=0, lt=1)] | UnsetType = UNSET
    power_w: Positive | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Reject a batcher on a shared processor."""
        if self.processor is not UNSET and self.dynamic_batching is not UNSET:
            raise ConfigurationError(
                path="dynamic_batching",
                expected="a processor of its own for a variant that batches",
                found="a shared one",
            )


class ProcessorFile(Section, frozen=True, kw_only=True):
    """A processor that several variants share.

    Args:
        contention: how much slower a variant is for each other busy one: service times are multiplied by
            1 + contention · others; 1 is a fair share.
    """

    contention: NonNegative


class WorldFile(Section, frozen=True, kw_only=True):
    """A world: the variants of one logical model, and the events that affect them.

    Args:
        description: a sentence about this world.
        variants: the variants.
        assumed: what is assumed rather than published or measured.
        processors: processors that several variants share, by name.
        drifts: periods in which a variant is slower.
        outages: periods in which a variant fails every request.
        failures: periods in which a variant fails some requests.
        stalls: variants that stall for a moment at random times.
        address: the address of this schema, for editors.
    """

    description: str
    variants: Annotated[tuple[VariantFile, ...], Meta(min_length=1)]
    assumed: tuple[str, ...] = ()
    processors: Mapping[str, ProcessorFile] = field(default_factory=dict)
    drifts: tuple[DriftFile, ...] = ()
    outages: tuple[OutageFile, ...] = ()
    failures: tuple[FailuresFile, ...] = ()
    stalls: tuple[StallsFile, ...] = ()
    address: str = field(name="$schema", default="")

    def __post_init__(self) -> None:
        """Reject duplicate and unknown names."""
        names = [variant.name for variant in self.variants]
        for index, variant in enumerate(self.variants):
            if variant.name in names[:index]:
                path = f"variants[{index}].name"
                raise ConfigurationError(path=path, expected="a unique name", found=f"'{variant.name}' again")
            if variant.processor is not UNSET and variant.processor not in self.processors:
                raise ConfigurationError(
                    path=f"variants[{index}].processor",
                    expected=f"one of the processors ({', '.join(self.processors) or 'none'})",
                    found=f"'{variant.processor}'",
                )
        for kind in ("drifts", "outages", "failures", "stalls"):
            for index, event in enumerate(getattr(self, kind)):
                if event.variant not in names:
                    path, expected = f"{kind}[{index}].variant", f"one of {', '.join(names)}"
                    raise ConfigurationError(path=path, expected=expected, found=f"'{event.variant}'")
