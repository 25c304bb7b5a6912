"""What rare, very slow answers add to the mean service time of a variant."""

from __future__ import annotations

DECAY = 1.0 - 1.0 / 32.0
"""Per slow answer."""
PRIOR_WEIGHT = 32.0
"""Weight of the prior, that no answer is very slow, in answers."""
MAX_EXCESS = 100.0
UNLIKELY = 0.001
NEGLIGIBLE = 0.1
"""Decayed number of slow answers below which they are forgotten."""
HELD_TO_BELIEVE = 3
HELD_WITHIN = 32
"""Answers from one held reading to the next, from which on it is believed that they recur."""
TRIAL_SHARE = 1.0 / 100.0
MAX_TRIAL_SHARE = 0.5


class RareExcess:
    """The expected excess of an answer over its prediction: share of slow answers times their mean excess.

    The law describes ordinary answers and learns nothing of one above 6 times the prediction. If such answers
    recur, they would be missing in the mean, by which variants are chosen: with 5 % of answers 100 times
    slower, the mean is six times the ordinary answer.

    The share is (F - 1) / (N + 32), where F and N are the numbers of slow and of all answers, both decayed by
    1/32 per slow answer. So it rests on the last 32 slow ones, however rare they are, and its relative
    standard deviation tends to 1/8; the last 256 answers of a variant with one in a hundred have two or
    three, or none. One is subtracted, so a single spike costs nothing; it takes a second to recur.

    An excess counts as at most 100 times the prediction, which bounds what a reading in a wrong unit can add.
    If so many ordinary answers follow the last slow one that this would have a probability below 0.1 % under
    F / (N + 32) then, all is forgotten.

    A held reading, far enough from the prediction to be in a wrong unit, costs nothing until the third of
    them, each at most 32 answers after the one before; then all of them count.

    A variant that would be best without its excess is tried with 1/100 of the requests, divided by the
    probability of so many ordinary answers since the last slow one, at most with half of them.

    Args:
        answers: the decayed number of answers before the first slow one.

    Attributes:
        share: the share of slow answers.
        value: the expected excess, relative to the prediction.
        variance: its variance, relative to the square of the prediction.

    Examples:
        >>> excess = RareExcess(answers=100.0)
        >>> excess.update(99.0)
        >>> excess.value
        0.0
        >>> for number in range(600):
        ...     excess.update(99.0 if number % 20 == 0 else 0.0)
        >>> round(excess.value)
        4
    """

    __slots__ = (
        "_answers",
        "_held",
        "_likelihood",
        "_ordinary",
        "_recurs",
        "_since_held",
        "_slow",
        "_sum",
        "share",
        "value",
        "variance",
    )

    def __init__(self, answers: float = 0.0) -> None:
        self._answers = answers
        self._slow = self._sum = 0.0
        # The held readings that do not count yet, and whether they were found to recur.
        self._held: list[float] = []
        self._recurs = False
        self._since_held = HELD_WITHIN + 1
        # Of an ordinary answer under the share after the last slow one, and of all those since then.
        self._ordinary = self._likelihood = 1.0
        self.share = self.value = self.variance = 0.0

    def update(self, excess: float) -> None:
        """Learn by how much an answer exceeded its prediction, relative to it; 0 for an ordinary answer."""
        self._since_held += 1
        self._answers += 1.0
        self._likelihood *= self._ordinary
        if excess:
            self._answers *= DECAY
            self._slow = self._slow * DECAY + 1.0
            self._sum = self._sum * DECAY + min(excess, MAX_EXCESS)
        elif self._likelihood < UNLIKELY:
            self._slow = self._sum = 0.0
        self._weigh()
        if excess:
            self._ordinary, self._likelihood = self._ordinary_share(), 1.0

    @classmethod
    def of(cls, answers: float, slow: float, total: float) -> RareExcess:
        """Return the excess of decayed numbers of answers and of slow ones, and the sum of their excesses."""
        excess = cls(answers)
        excess._slow, excess._sum = slow, total
        excess._weigh()
        excess._ordinary = excess._ordinary_share()
        return excess

    def learned(self) -> tuple[float, float, float]:
        """Return the decayed numbers of answers and of slow ones, and the sum of their excesses."""
        return self._answers, self._slow, self._sum

    def _ordinary_share(self) -> float:
        """Return the probability of an ordinary answer, without the doubt about the last slow one."""
        return 1.0 - self._slow / (self._answers + PRIOR_WEIGHT)

    def _weigh(self) -> None:
        weight = self._answers + PRIOR_WEIGHT
        self.share = share = max(0.0, self._slow - 1.0) / weight
        mean = self._sum / self._slow if share else 0.0
        self.value = share * mean
        self.variance = share * mean * mean / weight

    def hold(self, excess: float) -> None:
        """Learn the excess of an answer that may be a wrong reading, once such answers recur."""
        if self._since_held > HELD_WITHIN:
            self._held.clear()
            self._recurs = False
        self._held.append(excess)
        if len(self._held) >= HELD_TO_BELIEVE:
            self._recurs = True
        if self._recurs:
            for each in self._held:
                self.update(each)
            self._held.clear()
        self._since_held = 0

    @property
    def trial_share(self) -> float:
        """The share of requests that a variant should get which would be best without its excess."""
        return min(TRIAL_SHARE / self._likelihood, MAX_TRIAL_SHARE)

    @property
    def is_negligible(self) -> bool:
        """Whether the slow answers are so long ago that they need not be remembered."""
        return self._slow < NEGLIGIBLE and self._since_held > HELD_WITHIN
