"""Which variants may serve a request: an extensible list of filters that give reasons for rejections."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from router_backend.core.records.outcome import Fault
from router_backend.core.records.request import Request
from router_backend.core.records.variant import Device
from router_backend.core.variants.capacity import UNLIMITED, Capacity, DeviceLimits
from router_backend.core.variants.state import VariantState

Rejected = list[tuple[VariantState, str]]
"""Rejected variants, each with the reason."""

ReasonOut = Callable[[VariantState, Request], str | None]
"""Returns why a variant may not serve a request; `None` if it may."""

BREAKER_OPEN = "breaker open after failures"
BREAKER_OPEN_WRONG = "breaker open after wrong answers: Triton's log says what was wrong"
BREAKER_OPEN_DEAD = "breaker open: its process has ended, load the model again"
BREAKER_OPEN_OVERDUE = "breaker open: it has not answered in time"
BREAKER_OPEN_AFTER = {
    Fault.WRONG_ANSWER: BREAKER_OPEN_WRONG,
    Fault.DEAD: BREAKER_OPEN_DEAD,
    Fault.OVERDUE: BREAKER_OPEN_OVERDUE,
}
RESTING = (BREAKER_OPEN, BREAKER_OPEN_WRONG, BREAKER_OPEN_OVERDUE)
"""Reasons of variants that are tried anyway if there is no other."""
LATE = "would be late"


class Filter(NamedTuple):
    """One reason to reject a variant.

    Args:
        reason_out: returns why the variant may not serve the request; `None` if it may.
        constraint: whether it only concerns requests for which `RoutingContext.is_constrained()`.
        needs_prediction: whether it reads what is predicted for the request, in `state.candidate`.

    Examples:
        >>> from router_backend.core.records.request import RoutingContext
        >>> from router_backend.core.records.variant import Variant
        >>> only_cpu = Filter(lambda state, _: None if state.variant.device is Device.CPU else "not a CPU")
        >>> state = VariantState(Variant("v", Device.GPU), coverage=0.9)
        >>> only_cpu.reason_out(state, Request(RoutingContext(), None, 0.0))
        'not a CPU'
    """

    reason_out: ReasonOut
    constraint: bool = False
    needs_prediction: bool = False


def excluded(state: VariantState, request: Request) -> str | None:
    """Reject variants that the request excludes, usually because they already failed it."""
    if state.variant.name not in request.context.excluded_variants:
        return None
    return state.not_ready_reason or "excluded from this request"


def not_allowed(state: VariantState, request: Request) -> str | None:
    """Reject variants that are not among the request's allowed ones."""
    allowed = request.context.allowed_variants
    return None if allowed is None or state.variant.name in allowed else "not among the allowed variants"


def device_not_allowed(state: VariantState, request: Request) -> str | None:
    """Reject variants that are not on one of the request's allowed devices."""
    allowed = request.context.allowed_devices
    return None if allowed is None or state.variant.device in allowed else "not on an allowed device"


def unavailable(state: VariantState, request: Request) -> str | None:
    """Reject variants that are not loaded, cannot run the model or the batch, or failed a moment ago.

    This is one filter because every request needs it: four calls per variant would add a tenth to a decision.
    """
    if state.not_ready_reason is not None:
        return state.not_ready_reason
    if state.unsuitable_reason is not None:
        return state.unsuitable_reason
    batch_size, breaker = request.context.batch_size, state.breaker
    if batch_size > state.max_batch_size:
        return f"batch {batch_size} is above its maximum {state.max_batch_size}"
    if breaker.closed or breaker.allows(request.now_s, is_own=request.is_own):
        return None
    return BREAKER_OPEN_AFTER.get(breaker.fault, BREAKER_OPEN)


def too_much_memory(state: VariantState, request: Request) -> str | None:
    """Reject a variant that is expected to take more memory than the request allows."""
    memory_mb, limit_mb = state.candidate.memory_mb, request.context.max_memory_mb
    if memory_mb is None or limit_mb is None or memory_mb <= limit_mb:
        return None
    if state.refuses(state.profile.memory, limit_mb, dry_run=request.context.dry_run):
        return f"expected to take {memory_mb:.4g} MB, above the request's {limit_mb:g} MB"
    return None


def too_much_power(state: VariantState, request: Request) -> str | None:
    """Reject a variant that is expected to draw more power than the request allows."""
    power_w, limit_w = state.candidate.power_w, request.context.max_power_w
    if limit_w is None or power_w <= limit_w:
        return None
    if state.refuses(state.profile.power, limit_w, dry_run=request.context.dry_run):
        return f"expected to draw {power_w:.4g} W, above the request's {limit_w:g} W"
    return None


FILTERS: tuple[Filter, ...] = (
    Filter(excluded, constraint=True),
    Filter(not_allowed, constraint=True),
    Filter(device_not_allowed, constraint=True),
    Filter(unavailable),
    Filter(too_much_memory, constraint=True, needs_prediction=True),
    Filter(too_much_power, constraint=True, needs_prediction=True),
)
"""In the order in which they are asked; a variant gets the reason of the first that rejects it."""


class FilterPlan(NamedTuple):
    """The filters for requests of one kind: those that need no prediction, and those that need one."""

    before: tuple[ReasonOut, ...]
    after: tuple[ReasonOut, ...]

    @classmethod
    def of(cls, filters: Iterable[Filter]) -> "FilterPlan":
        """Return the plan for filters, in their order, but for `unavailable`, which comes last of its kind.

        A variant that only its breaker keeps out may be taken back, so all others must have passed it.
        """
        ordered = sorted(filters, key=lambda each: each.reason_out is unavailable)
        return cls(
            tuple(each.reason_out for each in ordered if not each.needs_prediction),
            tuple(each.reason_out for each in ordered if each.needs_prediction),
        )


def room_filter(capacity: Capacity, limits: Mapping[Device, DeviceLimits]) -> Filter:
    """Return the filter that rejects variants on devices without room for one more request.

    Memory that would not fit even if the device were idle is tried again as by `VariantState.refuses`, but
    only while it is idle.
    """

    def no_room(state: VariantState, request: Request) -> str | None:
        device, memory_mb = state.variant.device, state.candidate.memory_mb
        limit = limits.get(device, UNLIMITED)
        reason = capacity.reason_out(device, limit, memory_mb)
        limit_mb = limit.max_memory_mb
        if reason is None or limit_mb is None or not limit.never_fits(memory_mb):
            return reason
        if state.refuses(state.profile.memory, limit_mb, dry_run=request.context.dry_run):
            return reason
        return reason if capacity.taken(device).requests else None

    return Filter(no_room, needs_prediction=True)


def passing(
    filters: Sequence[ReasonOut], states: Iterable[VariantState], request: Request, rejected: Rejected
) -> list[VariantState]:
    """Return the variants that no filter rejects, and add the others to `rejected`."""
    kept = []
    for state in states:
        for reason_out in filters:
            reason = reason_out(state, request)
            if reason is not None:
                rejected.append((state, reason))
                break
        else:
            kept.append(state)
    return kept


def take_back_resting(rejected: Rejected, now_s: float) -> list[VariantState]:
    """Return the variants that only their open breaker keeps out, as a last resort if all were rejected.

    A variant that failed a moment ago is better than no answer. One whose process is dead is not, until it is
    time for a probe: then a request of a client is the probe.
    """
    resting = [
        state
        for state, reason in rejected
        if reason in RESTING or (reason is BREAKER_OPEN_DEAD and state.breaker.probe_is_due(now_s))
    ]
    rejected[:] = [entry for entry in rejected if entry[0] not in resting]
    return resting
