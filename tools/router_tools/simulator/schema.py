"""The simulator's files: worlds, workloads, suites and traces; the JSON Schemas are generated from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType, field

from router_backend.core.records.basis import Basis
from router_backend.core.records.outcome import Fault, Refusal
from router_backend.core.records.request import OptimizationGoal
from router_backend.core.records.variant import Device
from router_backend.errors import ConfigurationError
from router_backend.typed_load import Section, given

Name = Annotated[str, Meta(min_length=1)]
Positive = Annotated[float, Meta(gt=0)]
NonNegative = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]
Instances = Annotated[int, Meta(ge=1, le=10_000)]
BatchSize = Annotated[int, Meta(ge=1, le=65_536)]
Requests = Annotated[int, Meta(ge=1, le=100_000_000)]
Load = Annotated[float, Meta(gt=0, le=1000)]
Moment = Annotated[float, Meta(ge=0, le=1)]
Sigma = Annotated[float, Meta(ge=0, le=2)]
Milliseconds = Annotated[float, Meta(gt=0, le=1e9, extra={"unit": "ms"})]
Number = Annotated[
    str,
    Meta(
        pattern="^[1-9][0-9]{0,8}$",
        extra={"expected": "a whole number above 0, of 9 digits at most, as a name"},
    ),
]
MsByBatch = Annotated[Mapping[Number, Milliseconds], Meta(min_length=1)]
Weights = Annotated[Mapping[Number, Annotated[float, Meta(gt=0, le=1e9)]], Meta(min_length=1)]


class OneOf(Section, frozen=True, kw_only=True):
    """An object with exactly one of its fields.

    Raises:
        ConfigurationError: it has none or several.
    """

    def __post_init__(self) -> None:
        """Reject none and several."""
        said = given(self)
        if len(said) != 1:
            expected = f"exactly one of {', '.join(self.__struct_encode_fields__)}"
            raise ConfigurationError(expected=expected, found=", ".join(said) or "none")


class AffineFile(Section, frozen=True, kw_only=True):
    """base_ms + per_item_ms · batch, times cliff_factor for batches above cliff_above.

    Args:
        base_ms: the time that every request takes.
        per_item_ms: the time that each item adds.
        cliff_above: the largest batch before the cliff.
        cliff_factor: the factor by which larger batches take longer.

    Raises:
        ConfigurationError: only one of cliff_above and cliff_factor is given.
    """

    base_ms: Milliseconds
    per_item_ms: Annotated[float, Meta(ge=0, le=1e9)]
    cliff_above: Count | UnsetType = UNSET
    cliff_factor: Positive | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Reject one setting of the cliff without the other."""
        if (self.cliff_above is UNSET) != (self.cliff_factor is UNSET):
            raise ConfigurationError(
                expected="both cliff_above and cliff_factor, or neither", found=", ".join(given(self))
            )


class RowFile(Section, frozen=True, kw_only=True):
    """Published times for one sequence length.

    Args:
        ms_by_batch: milliseconds by batch size.
        sequence_length: the length; required if there are several rows.
    """

    ms_by_batch: MsByBatch
    sequence_length: Count | UnsetType = UNSET


class TableFile(Section, frozen=True, kw_only=True):
    """Published times: interpolated between the points, extrapolated above the largest.

    Args:
        rows: by sequence length.
        factor: the factor by which this variant takes longer than the table says.
    """

    rows: Annotated[tuple[RowFile, ...], Meta(min_length=1)]
    factor: Positive = 1.0

    def __post_init__(self) -> None:
        """Reject several rows without a sequence_length."""
        for index, row in enumerate(self.rows):
            if len(self.rows) > 1 and row.sequence_length is UNSET:
                path, expected = f"rows[{index}]", "a sequence_length for each of several rows"
                raise ConfigurationError(path=path, expected=expected, found="none")


class ServiceFile(OneOf, frozen=True, kw_only=True):
    """The mean service time: exactly one law."""

    affine: AffineFile | UnsetType = UNSET
    table: TableFile | UnsetType = UNSET


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


class PeriodFile(Section, frozen=True, kw_only=True):
    """A period of a run in which a variant behaves differently.

    Args:
        variant: its name.
        begin: when it begins, as a share of the run.
        end: when it ends.
    """

    variant: Name
    begin: Moment = field(name="from")
    end: Moment = field(name="to")

    def __post_init__(self) -> None:
        """Reject a period that ends before it begins."""
        if self.end <= self.begin:
            expected = f"more than 'from' ({self.begin:g})"
            raise ConfigurationError(path="to", expected=expected, found=f"{self.end:g}")


class DriftFile(PeriodFile, frozen=True, kw_only=True):
    """A period in which a variant is slower, for example by heat or a lower clock rate.

    Args:
        factor: the factor by which service takes longer.
    """

    factor: Annotated[float, Meta(gt=0, le=1_000_000)]


class OutageFile(PeriodFile, frozen=True, kw_only=True):
    """A period in which a variant fails every request.

    Args:
        error_ms: how long a call takes to fail; 1 ms if left out, 1 s if the process is dead.
        dead: the process died: Triton keeps each call for a second and then says so.
    """

    error_ms: NonNegative | UnsetType = UNSET
    dead: bool = False


class FailuresFile(PeriodFile, frozen=True, kw_only=True):
    """A period in which a variant fails some of its requests, each after its service time.

    Args:
        share: the share of requests that fail, at random.
    """

    share: Annotated[float, Meta(gt=0, le=1)]


class StallsFile(Section, frozen=True, kw_only=True):
    """A variant that stalls for a moment at random times.

    Args:
        variant: its name.
        every_s: mean time between stalls (exponential).
        mean_ms: mean length of a stall (exponential).
    """

    variant: Name
    every_s: Positive
    mean_ms: Positive


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


Figure = Literal[
    "mean_ms",
    "p99_ms",
    "mean_ratio",
    "p99_ratio",
    "in_time",
    "goodput_ratio",
    "regret_50",
    "regret_200",
    "best_after_100",
    "best_after_events",
    "makespan_s",
    "energy_j",
    "energy_ratio",
    "energy_in_time_j",
    "balanced",
    "balanced_in_time",
    "calibration.service_r2",
    "calibration.latency_r2",
    "calibration.service_error",
    "calibration.latency_error",
    "calibration.coverage",
]


class TargetFile(Section, frozen=True, kw_only=True):
    """Bounds of a policy's figure, as the mean over the seeds.

    Args:
        policy: the policy.
        figure: the name of the figure in the summary.
        at_least: a lower bound.
        at_most: an upper bound.
        least_of_all: `true`: no other policy, except for the oracles, may have a lower value.
        relative_to: the bounds are for the ratio of the figure to this policy's.
    """

    policy: str
    figure: Figure
    at_least: float | UnsetType = UNSET
    at_most: float | UnsetType = UNSET
    least_of_all: bool | UnsetType = UNSET
    relative_to: str | UnsetType = UNSET

    def __post_init__(self) -> None:
        """Reject `false`, which would have no effect."""
        if self.least_of_all is False:
            raise ConfigurationError(path="least_of_all", expected="true, or to leave it out", found="false")


class CaseFile(Section, frozen=True, kw_only=True):
    """A case of a suite.

    Args:
        name: its name, unique in the suite.
        world: the name of a world, or the path of its file relative to this one.
        workload: the name of a workload, or the path of its file relative to this one.
        policies: the policies to compare; all if left out.
        calm: leave out drifts, outages and stalls.
        load: replaces the workload's.
        requests: replaces the workload's.
        told_deadline: replaces the workload's.
        warm_up_batch_sizes: replaces the workload's.
        copies: replaces the workload's.
        coverage: the share of latencies that the router's intervals should contain.
        targets: bounds that the results must meet.
    """

    name: Name
    world: str
    workload: str
    policies: Annotated[tuple[str, ...], Meta(min_length=1)] | UnsetType = UNSET
    calm: bool = False
    load: Load | UnsetType = UNSET
    requests: Requests | UnsetType = UNSET
    told_deadline: bool | UnsetType = UNSET
    warm_up_batch_sizes: tuple[Count, ...] | UnsetType = UNSET
    copies: bool | UnsetType = UNSET
    coverage: Annotated[float, Meta(gt=0, lt=1)] = 0.9
    targets: tuple[TargetFile, ...] = ()


class SuiteFile(Section, frozen=True, kw_only=True):
    """A suite: cases to run together, and the targets of each.

    Args:
        description: a sentence about what this suite shows.
        cases: the cases.
        policies: the policies to compare in cases without their own; all if left out.
        address: the address of this schema, for editors.
    """

    description: str
    cases: Annotated[tuple[CaseFile, ...], Meta(min_length=1)]
    policies: Annotated[tuple[str, ...], Meta(min_length=1)] | UnsetType = UNSET
    address: str = field(name="$schema", default="")

    def __post_init__(self) -> None:
        """Reject two cases with the same name."""
        names = [case.name for case in self.cases]
        for index, name in enumerate(names):
            if name in names[:index]:
                path = f"cases[{index}].name"
                raise ConfigurationError(path=path, expected="a unique name", found=f"'{name}' again")


class CandidateLine(Section, frozen=True, kw_only=True):
    """What was predicted for a request at a variant that could have been chosen.

    Args:
        variant: its name.
        concurrency: how many requests it is configured to serve at once.
        wait_ms: the predicted wait before service.
        service_ms: the predicted service time.
        basis: what that is based on.
    """

    variant: Name
    wait_ms: NonNegative
    service_ms: NonNegative
    basis: Basis = Basis.MEASURED
    concurrency: Instances = 1


class FailureLine(Section, frozen=True, kw_only=True):
    """An attempt that failed.

    Args:
        variant: the variant that was tried.
        fault: how it failed.
    """

    variant: Name
    fault: Fault


class TraceLine(Section, frozen=True, kw_only=True):
    """One line of a trace: a request that a router received.

    A trace is a file of such lines, in any order; the run begins with the earliest arrival.

    Args:
        arrival_s: when it arrived, in seconds of any monotonic clock.
        batch_size: number of items in it.
        elements: number of tensor elements of all its inputs; one per item if left out.
        goal: the objective that the request itself named.
        deadline_ms: its deadline, from its arrival.
        policy: the policy that chose.
        experiment: the experiment that the request counts for.
        arm: its side of the experiment.
        variant: the variant that served it; the last one if several were tried.
        device: the hardware that the variant runs on.
        propensity: the probability with which the variant was chosen; in an experiment, over both arms.
        queued_ms: from its arrival to the decision: in the router's own queue, and in failed attempts.
        latency_ms: from sending it to the variant to the answer; left out if there was none.
        service_ms: the part of that in which it was served, as the router computes it.
        candidates: the variants that could have been chosen, with their predictions.
        failures: the attempts that failed, in order.
        refusal: why it was not answered, unless variants failed it.
    """

    arrival_s: float
    batch_size: Count
    elements: Count | UnsetType = UNSET
    goal: OptimizationGoal | UnsetType = UNSET
    deadline_ms: float | UnsetType = UNSET
    policy: str | UnsetType = UNSET
    experiment: str | UnsetType = UNSET
    arm: str | UnsetType = UNSET
    variant: Name | UnsetType = UNSET
    device: Device | UnsetType = UNSET
    propensity: Annotated[float, Meta(gt=0, le=1)] | UnsetType = UNSET
    queued_ms: NonNegative | UnsetType = UNSET
    latency_ms: Positive | UnsetType = UNSET
    service_ms: Positive | UnsetType = UNSET
    candidates: tuple[CandidateLine, ...] = ()
    failures: tuple[FailureLine, ...] = ()
    refusal: Refusal | UnsetType = UNSET
