"""The file of a suite."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType, field

from router_backend.errors import ConfigurationError
from router_backend.typed_load import Section
from router_tools.simulator.schema.common import Count, Load, Name, Requests

Figure = Literal[
    "mean_ms",
    "p99_ms",
    "mean_ratio",
    "p99_ratio",
    "p999_ms",
    "extra_load",
    "in_time",
    "in_time_preferred",
    "goodput_per_s",
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
        hedge_share: what second copies of slow requests may add to the load, as a share; none if left out.
        requests_before_restart: requests of an earlier run, whose profiles the router starts with.
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
    hedge_share: Annotated[float, Meta(gt=0, le=1)] | UnsetType = UNSET
    requests_before_restart: Count | UnsetType = UNSET
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
