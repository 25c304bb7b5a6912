"""The latency that a request is expected to meet, with a price on congestion."""

from collections.abc import Sequence

from router_backend.core.variants.candidate import Candidate

UTILIZATION_LIMIT = 0.95
LOW_PRIORITY_FACTOR = 2.0


class CongestionPrice:
    """W + E + price, where E is the expected service time and the price what later requests pay for it.

    A prediction S that was learned from little is penalized for its low confidence: its error is about
    log-normal with relative variance v, and the mean of such a quantity is E = S·(1 + v/2), not its median S.

    Serving E makes everyone wait E longer who comes to the variant before its queue is empty again. The price
    is E times the requests that this is expected to hold up. With utilization u, c instances, the variant's
    mean service S̄, the candidates' mean utilization ū and its pressure r = ū / (1 - ū):

        price = E · (η · u / ((1 - u) · c)  +  r · σ · W / (W + 2·S̄)  +  r · ω · u · (W + E/2) / S̄).

    - η: those that come while the variant would have been idle, and could still go elsewhere.
    - σ: those that come while others wait. It grows with the queue, but not beyond a few services of it:
      requests that find it long go elsewhere, and the queues level out before they are empty.
    - ω: what is held up where they cannot go elsewhere, the whole backlog; the price that first policy
      iteration gives for a first-come queue.

    So the long queue is kept at the fastest variant, for the large requests, and short ones at the others.

    A request of priority above 0 does not pay the price, one below 0 pays it twice.

    Args:
        idle: η.
        shared: σ.
        own: ω.

    References:
        First policy iteration for dispatching with known sizes: Hyytiä, Penttinen and Aalto, European Journal
        of Operational Research 218 (2012). The second term and the numbers were found in the simulator: a
        form of few parameters that comes near to a policy which simulates the future of every choice.
    """

    __slots__ = ("_idle", "_own", "_shared")

    def __init__(self, idle: float = 0.25, shared: float = 1.75, own: float = 0.1) -> None:
        self._idle = idle
        self._shared = shared
        self._own = own

    def set_costs(self, candidates: Sequence[Candidate], priority: int) -> None:
        """Set each candidate's cost to (W + E + price) / weight, in ms.

        Args:
            candidates: at least one.
            priority: of the request.
        """
        busy = 0.0
        for candidate in candidates:
            busy += candidate.utilization
        busy /= len(candidates)
        if busy > UTILIZATION_LIMIT:
            busy = UTILIZATION_LIMIT
        factor = 1.0 if priority == 0 else self._priority_factor(priority)
        idle = factor * self._idle
        pressure = factor * busy / (1.0 - busy)
        shared, own = pressure * self._shared, pressure * self._own
        for candidate in candidates:
            u = candidate.utilization
            if u > UTILIZATION_LIMIT:
                u = UTILIZATION_LIMIT
            wait_ms = candidate.wait_ms
            expected_ms = candidate.service_ms * (1.0 + 0.5 * candidate.variance)
            mean_ms = candidate.mean_service_ms or expected_ms
            backlog = (wait_ms + 0.5 * expected_ms) / mean_ms
            price = u * (idle / ((1.0 - u) * candidate.concurrency) + own * backlog)
            if wait_ms:
                price += shared * wait_ms / (wait_ms + 2.0 * mean_ms)
            candidate.cost = (wait_ms + expected_ms * (1.0 + price)) / candidate.weight

    def _priority_factor(self, priority: int) -> float:
        return 0.0 if priority > 0 else LOW_PRIORITY_FACTOR
