"""The expected latency of a request, with a price on congestion."""

from collections.abc import Sequence

from router_backend.core.records.request import MAX_PRIORITY
from router_backend.core.variants.candidate import Candidate

UTILIZATION_LIMIT = 0.95


def priority_factor(priority: int) -> float:
    """Return how much of a price on later requests a request pays: 2^(-priority), for -10 to 10.

    Examples:
        >>> [priority_factor(priority) for priority in (-2, -1, 0, 1, 2)]
        [4.0, 2.0, 1.0, 0.5, 0.25]
    """
    return 2.0 ** -max(-MAX_PRIORITY, min(priority, MAX_PRIORITY))


class CongestionPrice:
    """W + E + price: the wait, the expected service time, and the delay that it causes to later requests.

    A prediction S from few measurements is penalized for its low confidence: its error is about log-normal
    with relative variance v, and the mean of such a quantity is S·(1 + v/2), not its median S. Rare, very
    slow answers add e, so E = S·(1 + v/2 + e).

    Every request that arrives before the queue is empty again waits E longer. The price is E times the
    expected number of these requests. With utilization u, c instances, the variant's mean service S̄, the
    candidates' mean utilization ū and the pressure r = ū / (1 - ū):

        price = E · (η · u / ((1 - u) · c)  +  r · σ · W / (W + 2·S̄)  +  r · ω · u · (W + E/2) / S̄).

    - η: those that arrive while the variant would have been idle, and could still go elsewhere.
    - σ: those that arrive while others wait. The term grows with the queue up to a few service times:
      requests that find a long queue go elsewhere, and the queues level out before they are empty.
    - ω: those that cannot go elsewhere and wait for the whole backlog; the price that first policy iteration
      gives for a first-come-first-served queue.

    So the long queue builds up at the fastest variant, for the large requests, and short ones at the others.

    A request of priority p pays 2^(-p) of the price.

    Args:
        idle: η.
        shared: σ.
        own: ω.

    References:
        First policy iteration for dispatching with known sizes: Hyytiä, Penttinen and Aalto, European Journal
        of Operational Research 218 (2012). The second term and the numbers were found in the simulator: a
        form with few parameters that comes close to a policy which simulates the future of every choice.
    """

    __slots__ = ("_idle", "_own", "_shared")

    def __init__(self, idle: float = 0.25, shared: float = 1.75, own: float = 0.1) -> None:
        self._idle = idle
        self._shared = shared
        self._own = own

    def set_costs(self, candidates: Sequence[Candidate], priority: int) -> None:
        """Set each candidate's cost to W + E + price, in ms."""
        busy = 0.0
        for candidate in candidates:
            busy += candidate.utilization
        busy /= len(candidates)
        if busy > UTILIZATION_LIMIT:
            busy = UTILIZATION_LIMIT
        factor = priority_factor(priority) if priority else 1.0
        idle = factor * self._idle
        pressure = factor * busy / (1.0 - busy)
        shared, own = pressure * self._shared, pressure * self._own
        for candidate in candidates:
            u = candidate.utilization
            if u > UTILIZATION_LIMIT:
                u = UTILIZATION_LIMIT
            wait_ms = candidate.wait_ms
            expected_ms = candidate.service_ms * (1.0 + 0.5 * candidate.variance + candidate.excess)
            mean_ms = candidate.mean_service_ms or expected_ms
            backlog = (wait_ms + 0.5 * expected_ms) / mean_ms
            price = u * (idle / ((1.0 - u) * candidate.concurrency) + own * backlog)
            if wait_ms:
                price += shared * wait_ms / (wait_ms + 2.0 * mean_ms)
            candidate.cost = wait_ms + expected_ms * (1.0 + price)
