"""The service time of one variant: affine law, cliffs, drift and change detection combined."""

import copy
import math

from router_backend.core.learning.affine import AffineLaw
from router_backend.core.learning.bucket_residual import BucketResidual
from router_backend.core.learning.change import ChangeDetector
from router_backend.core.learning.level import FRESH_S, MEMORY_S, LevelFilter
from router_backend.core.learning.predictor import (
    EARLY_GROWTH_PER_S,
    LEVEL_VARIANCE,
    MAX_PLAUSIBLE,
    MIN_PLAUSIBLE,
    VARIANCE_GROWTH_PER_S,
    VARIANCE_UNKNOWN,
    variance_of,
)
from router_backend.core.learning.rare_excess import RareExcess
from router_backend.core.learning.regime import COLD_FROM, FirstAnswers, UsualRegime
from router_backend.core.records.learned import LearnedVariant

OUTLIER_RATIO = 100.0
LOWEST_RATIO = 1.0 / OUTLIER_RATIO
MAX_OUTLIERS_IN_A_ROW = 2
WINSORIZE_RATIO = 6.0
WINSORIZE_FROM = 4.0
"""Number of first observations without winsorizing: the prediction is unreliable."""
MAX_RARE_SHARE = 0.125
"""Share of slow answers beyond which they are ordinary: the law becomes the mean, and learns from them."""
REMAINING_AFTER_CHANGE = 0.02
HALF_LIFE_S = 24.0 * 3600.0
"""Time in which the weight of what was learned halves while the router does not run."""
SLOWDOWN_RATIO = 2.0
"""Observed / predicted from which a change is a slowdown that may pass."""


class LatencyModel:
    """S(x) = g · (a + c·x) · β(x), learned from service times.

    Robustness: of an observation above 6·S, the level and the change detector learn 6·S, and the law nothing,
    so a stall does not distort it; if stalls recur, their `excess` is part of the mean (`RareExcess`).
    Implausible ones (NaN, or outside MIN_PLAUSIBLE to MAX_PLAUSIBLE) are rejected. So are those above 100
    times the prediction or below a hundredth of it, as in a wrong unit, unless they are the third or later in
    a row.

    Learning: the law is updated first, then each factor is fitted to the residual of the ones before it
    (backfitting); otherwise one outlier would be corrected three times.

    Change: the detector compares observations with the law and its cliffs, without the level g. The level
    would hide a change from the detector, and would look like one itself after a stall. On an alarm, 2 % of
    the law's weight is kept, scaled to the new time, and both factors are reset. After a slowdown, the usual
    law is remembered (`UsualRegime`), and restored by the first answer that fits it.

    Attributes:
        known: whether anything is known yet: two answers. The first is often slow, since memory is allocated,
            code is loaded or compiled; it is only learned if the second confirms it.
        first: the law of the first answer alone.
        excess: what rare, very slow answers add to the mean; `None` if there were none of late.
        usual: what the variant may be like again, after a slowdown or once cold calls are over; `None` if
            there is no doubt.
        rejected: the number of observations that were rejected.
        restored: whether everything was learned before a restart: there was no answer since.
        updated_s: the time of the last observation, in seconds of the router's clock.

    Examples:
        >>> model = LatencyModel()
        >>> for second, x in enumerate([1, 8] * 10):
        ...     learned = model.update(x, 2.0 + x, now_s=second)
        >>> round(model.predict(4, now_s=20.0))
        6

    References:
        Backfitting: Friedman and Stuetzle, Projection Pursuit Regression, JASA 76 (1981).
    """

    __slots__ = (
        "_kept",
        "_learned_variance",
        "_outliers_in_a_row",
        "_predicted_at",
        "_predicted_ms",
        "change",
        "cliffs",
        "excess",
        "first",
        "known",
        "law",
        "level",
        "rejected",
        "restored",
        "updated_s",
        "usual",
    )

    def __init__(self) -> None:
        self.law = AffineLaw()
        self.cliffs = BucketResidual()
        self.level = LevelFilter()
        self.change = ChangeDetector()
        self.usual: UsualRegime | FirstAnswers | None = None
        self.excess: RareExcess | None = None
        self._kept: tuple[AffineLaw, BucketResidual, RareExcess | None] | None = None
        self.known = False
        self.first = AffineLaw()
        self.rejected = 0
        self._outliers_in_a_row = 0
        # Caches, computed on demand and cleared by each update.
        self._learned_variance: float | None = None
        self._predicted_at: float | None = None
        self._predicted_ms = 0.0
        self.updated_s = 0.0
        self.restored = False

    def restore(self, learned: LearnedVariant, age_s: float, now_s: float) -> None:
        """Start from what was learned before the router's start, `age_s` ago.

        The law keeps its shape, but less weight the older it is, so that new answers soon count more. The
        level is not what it was. The variant has probably been started again, too, so a first answer that
        looks like a cold call is not learned.
        """
        aged = remaining_after(age_s)
        self.law = AffineLaw.of(learned.law)
        self.law.forget(max(aged, REMAINING_AFTER_CHANGE))
        self.cliffs = BucketResidual.of(
            {bucket: (total * aged, weight * aged) for bucket, (total, weight) in learned.cliffs.items()}
        )
        self.change.variance = learned.noise
        if learned.excess is not None:
            self.excess = RareExcess.of(*(number * aged for number in learned.excess))
        self.known = self.restored = True
        self._learned_variance = self._predicted_at = None
        self.updated_s = now_s - age_s

    def is_cold_call(self, x: float, service_ms: float, now_s: float) -> bool:
        """Return whether the first answer after a restart looks like a cold call; later ones never do."""
        self.restored = False
        return service_ms > COLD_FROM * self.predict(x, now_s)

    def learned(self) -> tuple[AffineLaw, BucketResidual, RareExcess | None]:
        """Return the law, its cliffs and its excess: those from before a slowdown that may pass."""
        usual = self.usual
        if isinstance(usual, UsualRegime):
            return usual.law, usual.cliffs, usual.excess
        return self.law, self.cliffs, self.excess

    def update(self, x: float, service_ms: float, now_s: float) -> bool:
        """Learn that a request of size x took `service_ms` at `now_s`; return `False` if that is rejected."""
        if not (MIN_PLAUSIBLE <= service_ms <= MAX_PLAUSIBLE and MIN_PLAUSIBLE <= x <= MAX_PLAUSIBLE):
            self.rejected += 1
            return False
        if self.usual is not None:
            self._review(self.usual, x, service_ms, now_s)
        law = self.law
        if self.known:
            cliff = self.cliffs.factors.get(math.frexp(x)[1], 1.0)
            usual_ms = (law.a + law.c * x) * cliff  # without the level
            expected_ms = usual_ms * self.level.value
            if LOWEST_RATIO * expected_ms <= service_ms <= WINSORIZE_RATIO * expected_ms:
                self._outliers_in_a_row = 0  # the usual case
                if self.excess is not None:
                    self._learn_excess(0.0)
                    self.level.settle()
            else:
                learned = self._learn_outlier(x, service_ms, usual_ms, now_s)
                if learned is not None:
                    return learned
            if self._is_change(x, service_ms, service_ms / usual_ms, now_s):
                return True
        elif self._is_confirmed(x, service_ms, now_s):
            law = self.law
        else:
            return self._outliers_in_a_row == 0
        law.update(x, service_ms)
        # Backfitting: each factor learns the residual of the ones before it.
        level = self.level
        ratio = service_ms / (law.a + law.c * x)
        residual = ratio / self.cliffs.update(x, ratio / level.value)
        level.update(residual, now_s, self.change.variance)
        self._learned_variance = self._predicted_at = None
        self.updated_s = now_s
        self.known = True
        return True

    def hold_longer(self, x: float, at_least_ms: float, now_s: float) -> None:
        """Hold that a request of size x takes at least so long: if this recurs, it counts in the mean."""
        expected_ms = self.predict(x, now_s)
        if self.known and at_least_ms > WINSORIZE_RATIO * expected_ms:
            self.excess = self.excess or RareExcess(self.law.n)
            self.excess.hold(at_least_ms / expected_ms - 1.0)

    def predict(self, x: float, now_s: float) -> float:
        """Return the predicted service time in ms of a request of size x; 0 while nothing is known."""
        # Cached, because consecutive requests often have the same size.
        if x != self._predicted_at:
            law = self.law
            self._predicted_at = x
            self._predicted_ms = (law.a + law.c * x) * self.cliffs.factors.get(math.frexp(x)[1], 1.0)
        level = self.level
        if now_s - self.updated_s < FRESH_S:
            return self._predicted_ms * level.value
        return self._predicted_ms * level.get(now_s)

    def relative_variance(self, now_s: float) -> float:
        """Return the squared relative standard deviation of the prediction.

        It shrinks with data and grows with the time since the last observation.
        """
        if not self.known:
            return VARIANCE_UNKNOWN
        variance = self._learned_variance
        if variance is None:
            variance = self._learned_variance = variance_of(self.law)
        idle_s = now_s - self.updated_s
        if idle_s > MEMORY_S:
            variance += LEVEL_VARIANCE + VARIANCE_GROWTH_PER_S * idle_s
        elif idle_s > 0.0:
            variance += EARLY_GROWTH_PER_S * idle_s
        return variance if variance < VARIANCE_UNKNOWN else VARIANCE_UNKNOWN

    def _is_held(self, ratio: float) -> bool:
        """Return whether to reject an observation as an outlier: not if it is the third in a row."""
        if LOWEST_RATIO <= ratio <= OUTLIER_RATIO:
            self._outliers_in_a_row = 0
            return False
        self._outliers_in_a_row += 1
        return self._outliers_in_a_row <= MAX_OUTLIERS_IN_A_ROW

    def _learn_outlier(self, x: float, service_ms: float, usual_ms: float, now_s: float) -> bool | None:
        """Learn from an answer far from the prediction, apart from the law; return whether it is accepted.

        Return `None` if the law should learn from it: there is too little to compare it with, or such answers
        are not rare.
        """
        level = self.level
        ratio = service_ms / (usual_ms * level.value)
        if self._is_held(ratio):
            self.rejected += 1
            if ratio > 1.0:
                self.excess = self.excess or RareExcess(self.law.n)
                self.excess.hold(ratio - 1.0)
            return False
        if self._outliers_in_a_row > MAX_OUTLIERS_IN_A_ROW:
            self._relearn(x, service_ms, service_ms / usual_ms, now_s)
        elif self.law.n < WINSORIZE_FROM and not self.change.alarms:
            return None
        elif self.excess is not None and self.excess.share > MAX_RARE_SHARE:
            self.law.rescale(1.0 + self.excess.value)
            self.excess = None
            return None
        else:
            bounded = WINSORIZE_RATIO * level.value
            if not self._is_change(x, service_ms, bounded, now_s):
                self._learn_excess(ratio - 1.0)
                level.doubt(bounded, now_s, self.change.variance)
                self.updated_s = now_s
        return True

    def _is_change(self, x: float, service_ms: float, ratio: float, now_s: float) -> bool:
        """Return whether `ratio`, observed / law and cliffs, raises the alarm; the law is then relearned."""
        self._keep_usual(ratio)
        if not self.change.update(math.log(ratio)):
            return False
        self._relearn(x, service_ms, ratio, now_s)
        return True

    def _relearn(self, x: float, service_ms: float, ratio: float, now_s: float) -> None:
        """Start again from an answer after a change, with the shape of the law."""
        self._forget(ratio, now_s)
        self.law.update(x, service_ms)
        self._learned_variance = self._predicted_at = None
        self.updated_s = now_s

    def _learn_excess(self, excess: float) -> None:
        """Learn what an answer exceeds its prediction by, beyond what the law learns."""
        if self.excess is None and excess:
            self.excess = RareExcess(self.law.n)
        if self.excess is not None:
            self.excess.update(excess)
            if self.excess.is_negligible:
                self.excess = None

    def _is_confirmed(self, x: float, service_ms: float, now_s: float) -> bool:
        """Return whether this is the second answer; the first is learned now if it was no cold call."""
        if self.first.n == 0.0:
            self.first.update(x, service_ms)
            return False
        ratio = service_ms / self.first.predict(x)
        if ratio > OUTLIER_RATIO and self._is_held(ratio):
            self.rejected += 1
            return False
        if 1.0 / COLD_FROM <= ratio <= OUTLIER_RATIO:
            self.law = copy.copy(self.first)
        first = self.first.wx / self.first.w, self.first.wy / self.first.w
        self.usual = FirstAnswers((first, (x, service_ms)), now_s)
        return True

    def _keep_usual(self, ratio: float) -> None:
        """Keep the law and its cliffs as of the first of several slow answers."""
        if self._kept is None:
            if ratio > SLOWDOWN_RATIO and self.usual is None:
                self._kept = copy.copy(self.law), self.cliffs.copy(), copy.copy(self.excess)
        elif self.change.is_quiet:
            self._kept = None

    def _forget(self, ratio: float, now_s: float) -> None:
        """Keep only the shape of the law after a change by `ratio`; what a slowdown ends is kept aside."""
        if ratio > SLOWDOWN_RATIO and self.usual is None and self._kept is not None:
            self.usual = UsualRegime(*self._kept, now_s)
        self._kept = self.excess = None
        if LOWEST_RATIO <= ratio <= OUTLIER_RATIO:
            self.law.rescale(ratio)
            self.law.forget(REMAINING_AFTER_CHANGE)
        else:
            self.law = AffineLaw()
        self.level.reset()
        self.cliffs.reset()

    def _review(self, usual: UsualRegime | FirstAnswers, x: float, service_ms: float, now_s: float) -> None:
        """Restore what the variant was like before, if an answer shows that it is again."""
        if usual.is_back(x, service_ms, now_s):
            self.law, self.cliffs = usual.law, usual.cliffs
            self.usual, self.excess = None, usual.excess
            self.known = self.law.n > 0.0
            self.first = AffineLaw()
            self._outliers_in_a_row = 0
            self._learned_variance = self._predicted_at = None
            self.level.reset()
            self.change.restart()
        elif usual.is_over:
            self.usual = None

    def believed_ms(self, x: float) -> float:
        """Return the service time at size x by the answers so far, however few; 0 if there is none."""
        return self.law.predict(x) if self.known else self.first.predict(x)


def remaining_after(age_s: float) -> float:
    """Return the share of its weight that what was learned has after a time without answers."""
    return math.pow(0.5, age_s / HALF_LIFE_S)
