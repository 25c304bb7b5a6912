"""The failures of a variant in a trace: the share of attempts that fail over time, and how long they take.

With k failures among n attempts and L(k, n) = k ln(k/n) + (n - k) ln(1 - k/n), an interval of attempts with
k₁ of n₁ is a period of its own if

    2 · (L(k₁, n₁) + L(k - k₁, n - n₁) - L(k, n))

is above 25. The interval for which it is highest is found first; then what is before, in and after it is
divided in the same way. Intervals rather than points, since a breaker lets only a few attempts through while
a variant is out.

References:
    Olshen, Venkatraman, Lucito and Wigler, Circular binary segmentation, Biostatistics 5 (2004).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy.special import xlogy

from router_backend.core.records.outcome import Fault
from router_tools.simulator.array import Array
from router_tools.simulator.empirical_drift import stretch_of
from router_tools.simulator.trace import TracedRequest
from router_tools.simulator.world import Failures

THRESHOLD = 25.0
MOST_ENDS = 400
"""Candidates for the ends of an interval: more would take too long."""
LIKE_SERVICE = 2.0
"""A failed attempt that is at most this many times longer or shorter than an answer was served."""


class Attempts(NamedTuple):
    """The attempts at one variant, as arrays of equal length.

    Args:
        request: indices of the requests.
        moment: when the requests arrived, as fractions of the trace.
        failed: whether they failed.
    """

    request: Array
    moment: Array
    failed: Array


class Failing(NamedTuple):
    """How a variant fails.

    Args:
        changes: where the share of failures changes, as fractions of the trace.
        error_s: time that a call takes to fail; `None`: its service time.
        dead: whether most failures are those of a dead process.
    """

    changes: tuple[float, ...]
    error_s: float | None
    dead: bool

    def periods(self, variant: str, attempts: Attempts) -> Iterator[Failures]:
        """Yield the periods in which some of these attempts failed, with their shares."""
        stretch = stretch_of(attempts.moment, self.changes)
        for number, (start, end) in enumerate(pairwise((0.0, *self.changes, 1.0))):
            failed = attempts.failed[stretch == number]
            if failed.any():
                yield Failures(variant, start, end, float(failed.mean()), self.error_s, self.dead)


def attempts_of(requests: Sequence[TracedRequest], variants: Mapping[str, object]) -> dict[str, Attempts]:
    """Return the attempts at each of these variants that failed at least once.

    A variant that was not ready is not counted: it is another one's absence, not a failure.
    """
    begin_s, end_s = requests[0].arrival_s, requests[-1].arrival_s
    rows: dict[str, list[tuple[int, float, bool]]] = defaultdict(list)
    for index, request in enumerate(requests):
        moment = (request.arrival_s - begin_s) / (end_s - begin_s)
        for failure in request.failures:
            if failure.fault is not Fault.NOT_READY:
                rows[failure.variant].append((index, moment, True))
        if request.variant is not None and request.latency_ms is not None:
            rows[request.variant].append((index, moment, False))
    return {
        name: Attempts(*map(np.array, zip(*rows[name], strict=True)))
        for name in variants
        if any(failed for *_, failed in rows[name])
    }


def failing(variant: str, attempts: Attempts, requests: Sequence[TracedRequest]) -> Failing:
    """Return how a variant fails."""
    cuts = _cuts(np.concatenate([[0], np.cumsum(attempts.failed)]), 0, len(attempts.failed))
    changes = sorted({float(attempts.moment[cut]) for cut in cuts} - {0.0})
    faults = [each.fault for request in requests for each in request.failures if each.variant == variant]
    dead = faults.count(Fault.DEAD) > len(faults) / 2
    return Failing(tuple(changes), _error_s(variant, requests, dead=dead), dead)


def _error_s(variant: str, requests: Sequence[TracedRequest], *, dead: bool) -> float | None:
    """Return how long an attempt takes to fail: the delay of requests that this variant alone failed."""
    answered = [each for each in requests if each.latency_ms is not None]
    delayed_ms = [
        each.queued_ms for each in answered if [failure.variant for failure in each.failures] == [variant]
    ]
    if not delayed_ms:
        return 1.0 if dead else None
    queue_ms = float(np.median([each.queued_ms for each in answered if not each.failures] or [0.0]))
    served_ms = float(np.median([each.latency_ms or 0.0 for each in answered if each.variant == variant]))
    usual_ms = float(np.median(delayed_ms)) - queue_ms
    if not dead and served_ms / LIKE_SERVICE <= usual_ms <= served_ms * LIKE_SERVICE:
        return None
    return max(0.0, float(np.mean(delayed_ms)) - queue_ms) / 1e3


def _cuts(failed_before: Array, first: int, last: int) -> list[int]:
    """Return where the attempts from `first` to before `last` are divided.

    Args:
        failed_before: the number of failures before each attempt.
        first: the first attempt.
        last: the attempt after the last.
    """
    attempts, failures = last - first, int(failed_before[last] - failed_before[first])
    failed = first + np.flatnonzero(np.diff(failed_before[first : last + 1]))
    if not failures or failures == attempts:
        return []
    failed = failed[:: -(-len(failed) // MOST_ENDS)]
    begins, ends = np.meshgrid(failed, failed + 1)
    begin: Array = begins[ends > begins]
    end: Array = ends[ends > begins]
    inside, inside_failed = end - begin, failed_before[end] - failed_before[begin]
    outside, outside_failed = attempts - inside, failures - inside_failed
    evidence = _log_likelihood(inside_failed, inside) + _log_likelihood(outside_failed, outside)
    best = int(np.argmax(evidence))
    together = float(_log_likelihood(np.array(failures), np.array(attempts)))
    if 2.0 * (float(evidence[best]) - together) <= THRESHOLD:
        return []
    edges = [first, int(begin[best]), int(end[best]), last]
    found = [edge for edge in edges[1:3] if first < edge < last]
    for start, stop in pairwise(edges):
        if start < stop:
            found += _cuts(failed_before, start, stop)
    return sorted(found)


def _log_likelihood(failures: Array, attempts: Array) -> Array:
    share = failures / np.maximum(attempts, 1)
    found: Array = xlogy(failures, share) + xlogy(attempts - failures, 1.0 - share)
    return found
