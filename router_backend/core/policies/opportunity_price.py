"""The value of a device's time in energy."""

from router_backend.core.variants.candidate import Candidate


class OpportunityPrice:
    """λ, in mJ per ms of a variant's time: the energy that later requests would save by using it.

    A request that is served here rather than by the most efficient other variant saves the difference of
    their energies. With r, the recent mean of the energy saved per ms of service here, the price is

        λ = r · min(1, u)²,

    since time taken now displaces a later request only if the variant is busy then. A variant that rejects
    requests while it is busy is busy with probability u, and λ = r · u makes it accept exactly the requests
    that save more per ms than its average gain per unit of time, which is optimal (a semi-Markov decision
    process with two states). Here a request may wait behind one other: two are there with probability u².

    References:
        Bid prices: Talluri and van Ryzin, The Theory and Practice of Revenue Management, 2004. Admission to
        a loss system by its gain: Miller, Management Science 16 (1969).
    """

    KEPT = 0.97
    """The weight of the past after each request: r is a mean over about 30 requests."""

    __slots__ = ("_saved",)

    def __init__(self) -> None:
        self._saved: dict[str, tuple[float, float]] = {}

    def mj_per_ms(self, candidate: Candidate) -> float:
        """Return λ of a candidate; 0 before its first request."""
        saved = self._saved.get(candidate.variant.name)
        if saved is None:
            return 0.0
        saved_mj, service_ms = saved
        u = candidate.utilization
        return saved_mj / service_ms * (u * u if u < 1.0 else 1.0)

    def served(self, candidate: Candidate, saved_mj: float) -> None:
        """Learn that the request being routed saves energy at a candidate; a negative saving counts as 0."""
        past_mj, past_ms = self._saved.get(candidate.variant.name, (0.0, 0.0))
        saved_mj = max(saved_mj, 0.0)
        self._saved[candidate.variant.name] = (
            self.KEPT * past_mj + saved_mj,
            self.KEPT * past_ms + candidate.service_ms,
        )
