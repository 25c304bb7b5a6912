"""Detection of a variant that serves more requests concurrently than is assumed."""

MIN_LEAD = 0.25
DECAY = 0.98
THRESHOLD = 2.0


class OvertakingDetector:
    """Count responses to requests that should still have been queued under first come, first served.

    With c requests served concurrently, a request that arrived later can only finish first if it was served
    beside the earlier ones, which is impossible while they occupy all c places. A response counts as evidence
    if the oldest running request finishes more than a quarter of a service time after it; a shorter lead may
    be due to threads reporting out of order. Evidence decays by 1/50 with each departure of the oldest
    request; above 2, the variant must serve one more request concurrently.

    Examples:
        >>> detector = OvertakingDetector()
        >>> for second in (1.0, 2.0, 3.0):
        ...     detector.overtook(second, service_ms=10.0)
        ...     print(detector.oldest_left(second + 0.005))
        False
        False
        True
    """

    __slots__ = ("_deadline_s", "_evidence")

    def __init__(self) -> None:
        self._evidence = 0.0
        self._deadline_s: float | None = None

    def overtook(self, now_s: float, service_ms: float) -> None:
        """Record an answer to a request, of predicted `service_ms`, that should have been queued."""
        if self._deadline_s is None:
            self._deadline_s = now_s + MIN_LEAD * service_ms / 1e3

    def oldest_left(self, now_s: float) -> bool:
        """Record that the oldest running request finished; return whether one more is served than assumed."""
        self._evidence *= DECAY
        if self._deadline_s is not None:
            self._evidence += now_s > self._deadline_s
            self._deadline_s = None
        if self._evidence <= THRESHOLD:
            return False
        self._evidence = 0.0
        return True
