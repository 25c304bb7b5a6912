"""The lines of a trace."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, UnsetType

from router_backend.core.records.basis import Basis
from router_backend.core.records.outcome import Fault, Refusal
from router_backend.core.records.request import OptimizationGoal
from router_backend.core.records.variant import Device
from router_backend.typed_load import Section
from router_tools.simulator.schema.common import Count, Instances, Name, NonNegative, Positive


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


class HedgeLine(Section, frozen=True, kw_only=True):
    """A second copy of a slow request.

    Args:
        variant: the variant that got it.
        after_ms: how long after the decision about the request it was sent.
        won: whether it was answered first.
    """

    variant: Name
    after_ms: NonNegative
    won: bool


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
        variant: the variant that served it; the last one if several were tried; the one that was chosen if a
            second copy was answered before.
        device: the hardware that the variant runs on.
        propensity: the probability with which the variant was chosen; in an experiment, over both arms.
        queued_ms: from its arrival to the decision: in the router's own queue, and in failed attempts.
        latency_ms: from sending it to the variant to the answer; left out if there was none.
        service_ms: the part of that in which it was served, as the router computes it.
        candidates: the variants that could have been chosen, with their predictions.
        hedge: its second copy.
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
    hedge: HedgeLine | UnsetType = UNSET
    failures: tuple[FailureLine, ...] = ()
    refusal: Refusal | UnsetType = UNSET
