"""Detection of a variant that serves more requests concurrently than is assumed, or fewer."""

MIN_LEAD = 0.25
DECAY = 0.98
THRESHOLD = 2.0
MAX_RATIO = 1.5
BLOCKED = 3


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


class BlockingDetector:
    """Count requests that should have overtaken the ones before them, but were blocked by them.

    If k requests are assumed to run and only k - 1 are served, the one that was sent last waits for the first
    of the others to leave, however short it is itself. It is evidence if it is still there when the first one
    leaves, although it was assumed to run for more than 1.5 times its expected time. That time is relative to
    the one that leaves, so that a variant that becomes slower is no evidence. If the last of k or more leaves
    first, k are served, and the evidence for fewer is void. Three in a row mean that fewer are served than
    in any of these cases.

    Examples:
        >>> detector = BlockingDetector()
        >>> [detector.blocked(count, ran_s=0.09, expected_s=0.01) for count in (2, 4, 3)]
        [None, None, 3]
    """

    __slots__ = ("_blocked", "_count")

    def __init__(self) -> None:
        self._blocked = self._count = 0

    def overtook(self, count: int) -> None:
        """Record that of `count` running requests the last one left first."""
        if count >= self._count:
            self._blocked = self._count = 0

    def blocked(self, count: int, ran_s: float, expected_s: float) -> int | None:
        """Record that of `count` running requests another one left first, `ran_s` after the last one started.

        Returns:
            How many are served at most; `None` as long as there is too little evidence.
        """
        if ran_s <= MAX_RATIO * expected_s:
            return None
        self._blocked += 1
        self._count = max(self._count, count)
        if self._blocked < BLOCKED:
            return None
        bound = self._count - 1
        self._blocked = self._count = 0
        return bound
