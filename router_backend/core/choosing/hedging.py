"""How many requests may be sent a second time, to another variant, because the first one is slow."""

MEAN_STEP = 0.01
BURST = 10.0
"""How many usual requests may be saved up."""
MORE_PATIENCE = 3.0


class HedgeBudget:
    """A token bucket in ms of service: second copies may add a share to the load, and no more.

    Each request adds the share of its predicted service time, a second copy takes the whole of its own. A
    copy is sent while anything is left, so one that takes more leaves a debt. So when all variants become
    slow at once, nearly nothing is sent twice, which would make it worse.

    Attributes:
        left_ms: what is left.

    Examples:
        >>> budget = HedgeBudget()
        >>> for _ in range(100):
        ...     budget.earn(20.0, share=0.05)
        >>> budget.left_ms > 0.0
        True
        >>> for _ in range(5):
        ...     budget.spend(20.0)
        >>> budget.left_ms > 0.0
        False

    References:
        Hedged requests: Dean and Barroso, The Tail at Scale, CACM 56 (2013).
    """

    __slots__ = ("_mean_ms", "left_ms")

    def __init__(self) -> None:
        self.left_ms = 0.0
        self._mean_ms = 0.0

    def earn(self, service_ms: float, share: float) -> None:
        """Add a share of a request's predicted service time."""
        self._mean_ms += MEAN_STEP * (service_ms - self._mean_ms) if self._mean_ms else service_ms
        self.left_ms = min(self.left_ms + share * service_ms, BURST * self._mean_ms)

    def patience(self) -> float:
        """Return how many half-widths of its prediction interval a request is given before it counts as slow.

        One while the bucket is full, four while it is empty. So what is left goes to the slowest requests,
        and the copies settle at the quantile that the share allows.
        """
        missing = 1.0 - max(0.0, self.left_ms) / (BURST * self._mean_ms)
        return 1.0 + MORE_PATIENCE * missing

    def spend(self, service_ms: float) -> None:
        """Take the predicted service time of a second copy."""
        self.left_ms -= service_ms
