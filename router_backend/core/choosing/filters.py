"""Which variants may serve a request: each filter keeps some of them, and says of the others why not."""

from collections.abc import Iterable, Mapping

from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device
from router_backend.core.variants.capacity import UNLIMITED, Capacity, DeviceLimits
from router_backend.core.variants.profile import VariantProfile

Profiles = list[VariantProfile]
Out = list[tuple[VariantProfile, str]]
"""Those that are out, each with the reason; a filter adds to it."""

LATE = "would be late"


def able(profiles: Iterable[VariantProfile], context: RoutingContext, now_s: float, out: Out) -> Profiles:
    """Those that can take the request and are allowed to.

    Where there are none, those that only rest after failures: better a variant that failed a moment ago than
    no answer. A dead process gives none anyway.
    """
    candidates: Profiles = []
    for profile in profiles:
        reason = profile.reason_out(context, now_s)
        if reason is None:
            candidates.append(profile)
        else:
            out.append((profile, reason))
    return candidates or _resting(out)


def within_limits(candidates: Profiles, context: RoutingContext, out: Out) -> Profiles:
    """Those that are not expected to take more than the request allows."""
    within: Profiles = []
    for candidate in candidates:
        reason = candidate.above_limit(context)
        if reason is None:
            within.append(candidate)
        else:
            out.append((candidate, reason))
    return within


def with_room(
    candidates: Profiles, capacity: Capacity, limits: Mapping[Device, DeviceLimits], out: Out
) -> Profiles:
    """Those on a device that can hold one more request."""
    with_room: Profiles = []
    for candidate in candidates:
        device = candidate.variant.device
        reason = capacity.reason_out(device, limits.get(device, UNLIMITED), candidate.memory_mb)
        if reason is None:
            with_room.append(candidate)
        else:
            out.append((candidate, reason))
    return with_room


def in_time(candidates: Profiles, deadline_ms: float, refuse_late: bool, out: Out) -> Profiles:
    """Those that would answer within the deadline.

    Where none would: all of them, or, where late requests are refused, those that might.

    No margin: one of 10 % lost 7 % of what was answered in time under overload, since it keeps requests from
    the slower variants that would just do.
    """
    late = [candidate for candidate in candidates if candidate.wait_ms + candidate.service_ms > deadline_ms]
    if not late:
        return candidates
    if len(late) == len(candidates):
        if not refuse_late:
            return candidates
        late = [candidate for candidate in candidates if candidate.hoped_ms > deadline_ms]
    out += [(candidate, LATE) for candidate in late]
    return [candidate for candidate in candidates if candidate not in late]


def _resting(out: Out) -> Profiles:
    """Take back those that are out because their breaker is open."""
    resting = [profile for profile, reason in out if reason is profile.RESTING]
    out[:] = [entry for entry in out if entry[0] not in resting]
    return resting
