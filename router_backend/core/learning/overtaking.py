"""Whether a variant serves more requests at once than it is said to."""

LEAST_LEAD = 0.25
FADE = 0.98
THRESHOLD = 2.0


class OvertakingDetector:
    """Counts requests that were answered while, by first come first served, they still had to wait.

    Where c requests are served at once, one that came later can be answered first only if it was served
    beside those before it, and never while all c places are taken. An answer counts when the oldest running
    request follows by more than a quarter of a service later: a shorter lead may come from threads
    that report in another order. Evidence fades by 1/50 with each departure; at 2 there must be one
    place more.

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
        """A request of that service time was answered although it should have been waiting."""
        if self._deadline_s is None:
            self._deadline_s = now_s + LEAST_LEAD * service_ms / 1e3

    def oldest_left(self, now_s: float) -> bool:
        """The oldest running request left; True: more are served at once than was thought."""
        self._evidence *= FADE
        if self._deadline_s is not None:
            self._evidence += now_s > self._deadline_s
            self._deadline_s = None
        if self._evidence <= THRESHOLD:
            return False
        self._evidence = 0.0
        return True
