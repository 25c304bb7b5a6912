"""What a device's time is worth in energy."""

from router_backend.core.variants.candidate import Candidate


class OpportunityPrice:
    """λ, in mJ for a ms of a variant's time: what that time saves when it goes to the requests to come.

    A request that is served here rather than by the thriftiest other variant saves the difference of their
    energies. With r, the mean of what a ms of service here saved lately, the price is

        λ = r · min(1, u)²,

    since a ms that is taken now displaces a later request only if the variant is busy then. A variant that
    turns away who finds it busy is busy with probability u, and λ = r · u makes it take exactly the requests
    whose saving for a ms is above its average gain per unit of time, which is optimal (a semi-Markov decision
    process with two states). Here a request may wait behind one other: two are there with probability u².

    References:
        Bid prices: Talluri and van Ryzin, The Theory and Practice of Revenue Management, 2004. Admission to
        a loss system by its gain: Miller, Management Science 16 (1969).
    """

    KEPT = 0.97
    """The weight of the past after each request: r is a mean over about the last 30 here."""

    __slots__ = ("_saved",)

    def __init__(self) -> None:
        self._saved: dict[str, tuple[float, float]] = {}

    def mj_per_ms(self, candidate: Candidate) -> float:
        """λ of a candidate; 0 until it has served something."""
        saved = self._saved.get(candidate.variant.name)
        if saved is None:
            return 0.0
        saved_mj, service_ms = saved
        u = candidate.utilization
        return saved_mj / service_ms * (u * u if u < 1.0 else 1.0)

    def served(self, candidate: Candidate, saved_mj: float) -> None:
        """The request being routed goes to a candidate and saves so much; less than nothing is nothing."""
        past_mj, past_ms = self._saved.get(candidate.variant.name, (0.0, 0.0))
        saved_mj = max(saved_mj, 0.0)
        self._saved[candidate.variant.name] = (
            self.KEPT * past_mj + saved_mj,
            self.KEPT * past_ms + candidate.service_ms,
        )
