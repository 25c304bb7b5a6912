"""Subsampling of a variant's responses for learning, at high request rates."""

MIN_LEARNED_PER_S = 250.0
WINDOW_S = 0.25


class LearningPace:
    """Select one response in k, with k such that 250 to 500 per second are learned from; all below 500.

    An `AffineLaw` remembers 256 observations, so this keeps its memory at half a second or more. Learning
    from thousands of responses per second would make it follow momentary stalls of the machine, and would
    cost each request as much as its routing decision.

    k is computed from the rate over the last quarter of a second and never depends on the current response.
    Selecting the first response after a pause would oversample slow ones, because a busy variant pauses
    before a slow response (inspection paradox).

    Examples:
        >>> pace = LearningPace()
        >>> sum(pace.takes(number / 2000.0) for number in range(20_000))  # 2000 a second, for 10 s
        3058
        >>> all(pace.takes(20.0 + number / 100.0) for number in range(100))  # 100 a second
        True
    """

    __slots__ = ("_one_in", "_responses", "_since_s")

    def __init__(self) -> None:
        self._one_in = 1
        self._responses = 0
        self._since_s = 0.0

    def takes(self, now_s: float) -> bool:
        """Return whether to learn from a response that arrives at `now_s`."""
        elapsed_s = now_s - self._since_s
        if not 0.0 <= elapsed_s <= WINDOW_S:
            self._one_in = max(1, int(self._responses / (elapsed_s * MIN_LEARNED_PER_S)))
            self._responses = 0
            self._since_s = now_s
        self._responses += 1
        return self._responses % self._one_in == 0
