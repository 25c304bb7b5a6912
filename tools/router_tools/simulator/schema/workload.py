"""The file of a workload."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType, field

from router_backend.errors import ConfigurationError
from router_backend.typed_load import Section
from router_tools.simulator.schema.common import (
    BatchSize,
    Count,
    Load,
    OneOf,
    Positive,
    PriorityWeights,
    Requests,
    Sigma,
    Weights,
)


class PoissonFile(Section, frozen=True):
    """Poisson arrivals."""


class BurstyFile(Section, frozen=True, kw_only=True):
    """Two alternating states of exponential length with Poisson arrivals (MMPP-2).

    Args:
        burst_factor: the rate in a burst divided by the rate in a calm period.
        mean_burst_s: mean length of a burst.
        mean_calm_s: mean length of a calm period.
    """

    burst_factor: Annotated[float, Meta(gt=1)]
    mean_burst_s: Positive
    mean_calm_s: Positive


class RecordedFile(Section, frozen=True, kw_only=True):
    """The arrivals and sizes of a trace, all of them at the recorded rate unless load or requests is given.

    Args:
        trace: the path of the trace, relative to this file.
    """

    trace: str


class ArrivalsFile(OneOf, frozen=True, kw_only=True):
    """When requests arrive: exactly one process."""

    poisson: PoissonFile | UnsetType = UNSET
    bursty: BurstyFile | UnsetType = UNSET
    recorded: RecordedFile | UnsetType = UNSET


class LogUniformFile(Section, frozen=True, kw_only=True):
    """P(b) = ln((b + 1)/b) / ln((to + 1)/from).

    Args:
        smallest: the smallest batch.
        largest: the largest batch.
    """

    smallest: BatchSize = field(name="from")
    largest: BatchSize = field(name="to")

    def __post_init__(self) -> None:
        """Reject an empty range."""
        if self.largest < self.smallest:
            expected = f"at least 'from' ({self.smallest})"
            raise ConfigurationError(path="to", expected=expected, found=f"{self.largest}")


class BatchSizesFile(OneOf, frozen=True, kw_only=True):
    """How large requests are: exactly one distribution."""

    log_uniform: LogUniformFile | UnsetType = UNSET
    fixed: Count | UnsetType = UNSET
    weights: Weights | UnsetType = UNSET


class DeadlineFile(OneOf, frozen=True, kw_only=True):
    """When an answer is late: exactly one rule."""

    times_best_service: Positive | UnsetType = UNSET
    fixed_ms: Positive | UnsetType = UNSET


class WorkloadFile(Section, frozen=True, kw_only=True):
    """A workload: when requests arrive and how large they are.

    Args:
        description: a sentence about this workload.
        arrivals: when requests arrive.
        batch_sizes: how large they are; 1 each if left out.
        sequence_lengths: the relative frequency of each length.
        content_sigma: standard deviation of ln(work / its mean) among requests of one size: what is in a
            request makes it longer on every variant, and the router cannot see it.
        priorities: the relative frequency of each priority; 0 each if left out.
        load: offered load as a share of the world's capacity; 0.5, or the recorded load, if left out.
        requests: number of requests; 6000, or the recorded number, if left out.
        deadline: when an answer is late; after 3 times the best variant's service time if left out.
        told_deadline: requests carry the deadline.
        refuse_late: the router may reject requests that it cannot serve in time.
        copies: the router may send copies of requests, to measure variants; `true` if left out.
        warm_up_batch_sizes: batches sent to each variant before the run; 1, 1, 8, 8 if left out.
        address: the address of this schema, for editors.

    Raises:
        ConfigurationError: sizes in addition to those of a trace.
    """

    description: str
    arrivals: ArrivalsFile
    batch_sizes: BatchSizesFile | UnsetType = UNSET
    sequence_lengths: Weights | UnsetType = UNSET
    content_sigma: Sigma | UnsetType = UNSET
    priorities: PriorityWeights | UnsetType = UNSET
    load: Load | UnsetType = UNSET
    requests: Requests | UnsetType = UNSET
    deadline: DeadlineFile | UnsetType = UNSET
    told_deadline: bool | UnsetType = UNSET
    refuse_late: bool | UnsetType = UNSET
    warm_up_batch_sizes: tuple[Count, ...] | UnsetType = UNSET
    copies: bool | UnsetType = UNSET
    address: str = field(name="$schema", default="")

    def __post_init__(self) -> None:
        """Reject sizes in addition to those of a trace."""
        if self.arrivals.recorded is not UNSET:
            for name in ("batch_sizes", "sequence_lengths"):
                if getattr(self, name) is not UNSET:
                    expected = "nothing, since the sizes are those of the trace"
                    raise ConfigurationError(path=name, expected=expected, found="some")
