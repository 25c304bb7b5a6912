"""How many of a variant's answers are learned from, where there are more than learning needs."""

ENOUGH_PER_S = 250.0
WINDOW_S = 0.25


class LearningPace:
    """Takes one answer in k, with k so that 250 to 500 a second are learned from; of fewer than 500, all.

    A law that remembers 256 answers looks back over half a second at least by that; at thousands a second it
    would follow whatever held the machine up for a blink, and what it learned would cost each request as much
    as its decision does.

    k follows from the rate of the last quarter of a second, never from the answer at hand: to take the first
    one after a pause would prefer the slow ones, since it is those that a busy variant answers after a pause
    (inspection paradox).

    Examples:
        >>> pace = LearningPace()
        >>> sum(pace.takes(number / 2000.0) for number in range(20_000))  # 2000 a second, for 10 s
        3058
        >>> all(pace.takes(20.0 + number / 100.0) for number in range(100))  # 100 a second
        True
    """

    __slots__ = ("_answers", "_one_in", "_since_s")

    def __init__(self) -> None:
        self._one_in = 1
        self._answers = 0
        self._since_s = 0.0

    def takes(self, now_s: float) -> bool:
        """Whether to learn from an answer that came now."""
        elapsed_s = now_s - self._since_s
        if not 0.0 <= elapsed_s <= WINDOW_S:
            self._one_in = max(1, int(self._answers / (elapsed_s * ENOUGH_PER_S)))
            self._answers = 0
            self._since_s = now_s
        self._answers += 1
        return self._answers % self._one_in == 0
