"""The use of one resource by a request on one variant: memory in MB, or power in W."""

import math

from router_backend.core.learning.affine import AffineLaw
from router_backend.core.learning.change import ChangeDetector
from router_backend.core.learning.predictor import MAX_PLAUSIBLE, MIN_PLAUSIBLE
from router_backend.core.records.learned import LearnedLaw

FAR = math.log(8.0)
ALIKE = math.log(4.0)
READINGS_TO_RELEARN = 5
"""With one in ten wrong, all alike, three in a row come once in a thousand readings, five in 100,000. If the
law rests on fewer than four, one more than it has is enough."""
READINGS_TO_LEARN = 2
MAX_LEVERAGE = 0.4
"""The leverage of a size after three readings."""
TYPICAL_LEVERAGE = 1.5
"""Times 1/n: that of sizes near the mean."""
BOUNDED_FROM = 2.0
REMAINING_AFTER_CHANGE = 0.02


class ResourceModel:
    """An affine function of the request's size, with a constant prior before the first measurement.

    The prior is 0 if it is unknown. Until two sizes differ in their use, it is the same at all sizes.

    Robustness: readings that are implausible as in `LatencyModel`, or more than 8 times above or below the
    prediction, are counted and not learned from. If the last five were alike, within a factor of 4, the
    fifth is learned as a change of level; one more than were learned is enough. Where nothing was measured
    yet, the second is learned: if only the prior says otherwise, and at a size unlike those seen before, by
    its leverage, unless it is more than a proportional law explains. The error of a reading above twice the
    prediction is relative to the reading (bounded influence).

    Change: the detector compares readings at known sizes with the law. After a change of level, the law is
    rescaled to the last reading and 2 % of its weight is kept, so all sizes change at once.

    Attributes:
        known: whether anything has been learned yet.
        rejected: the number of readings that were not learned from.

    References:
        Bounded influence: Huber, Robust Statistics, 1981.

    Examples:
        >>> memory = ResourceModel(prior=100.0)
        >>> memory.predict(8)
        100.0
        >>> for x in (1, 8) * 10:
        ...     memory.update(x, 50.0 + 10.0 * x)
        >>> memory.update(1, 60e6)
        >>> round(memory.predict(4)), memory.rejected
        (90, 1)
    """

    __slots__ = ("_change", "_far", "_far_by", "_far_unseen", "_last", "_law", "_prior", "known", "rejected")

    def __init__(self, prior: float = 0.0) -> None:
        self._law = AffineLaw(slope_share=0.0)
        self._change = ChangeDetector()
        self._prior = prior
        self.known = False
        self.rejected = 0
        # The last readings in a row that were far from the prediction and alike: how many, whether nothing
        # had been measured there, and by how much the last one was off.
        self._far = 0
        self._far_unseen = False
        self._far_by = 0.0
        self._last = (1.0, 0.0)  # the size and value of the last plausible reading

    def update(self, x: float, value: float) -> None:
        """Learn that a request of size x used `value`."""
        if not (MIN_PLAUSIBLE <= value <= MAX_PLAUSIBLE and MIN_PLAUSIBLE <= x <= MAX_PLAUSIBLE):
            self.rejected += 1
            return
        self._last = (x, value)
        expected = self.predict(x)
        if expected > 0.0 and not self._is_credible(x, value, expected):
            self.rejected += 1
            return
        self._law.update(x, value, value if value > BOUNDED_FROM * expected else expected)
        self._law.keep_slope()
        self.known = True

    def restore(self, learned: LearnedLaw, remaining: float) -> None:
        """Start from what was learned before, with this share of its weight."""
        self._law = AffineLaw.of(learned)
        self._law.forget(remaining)
        self.known = True

    def learned(self) -> LearnedLaw | None:
        """Return what was learned; `None` if nothing was."""
        return self._law.learned() if self.known else None

    def predict(self, x: float) -> float:
        """Return the expected use of a request of size x; 0 without prior and measurements."""
        return self._law.predict(x) if self.known else self._prior

    @property
    def readings(self) -> float:
        """The decayed number of readings that the prediction rests on."""
        return self._law.n

    def by_last_reading(self, x: float) -> float:
        """Return the use of a request of size x if the last reading is right and the prediction is not."""
        last_x, last = self._last
        return last * self.predict(x) / self.predict(last_x)

    def _is_credible(self, x: float, value: float, expected: float) -> bool:
        """Return whether to learn from a reading, after the change of level that it may confirm."""
        law, known = self._law, self.known
        off_by = math.log(value / expected)
        new_size = not known or law.leverage(x) > max(MAX_LEVERAGE, TYPICAL_LEVERAGE / law.n)
        if abs(off_by) > FAR:
            growth = math.log(x * law.w / law.wx) if known else 0.0
            by_size = off_by * growth > 0.0 and abs(off_by) <= FAR + abs(growth)
            unseen = new_size and (by_size or not known)
            if not self._is_confirmed(off_by - growth if unseen else off_by, unseen=unseen):
                return False
            changed = not unseen
        else:
            if new_size or not self._far_unseen:
                self._far = 0
            changed = not new_size and self._change.update(off_by)
        if changed:
            law.rescale(value / expected)
            law.forget(REMAINING_AFTER_CHANGE)
        return True

    def _is_confirmed(self, far_by: float, *, unseen: bool) -> bool:
        """Return whether a far reading is like those before it, and enough of them are alike."""
        alike = unseen == self._far_unseen and abs(far_by - self._far_by) <= ALIKE
        self._far = self._far + 1 if alike else 1
        self._far_unseen, self._far_by = unseen, far_by
        if self._far < (READINGS_TO_LEARN if unseen else min(READINGS_TO_RELEARN, self._law.n + 1.0)):
            return False
        self._far = 0
        return True
