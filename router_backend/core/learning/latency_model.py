"""The service time of one variant: law, cliffs, drift and change, put together."""

import math

from router_backend.core.learning.affine import AffineLaw
from router_backend.core.learning.bucket_residual import BucketResidual
from router_backend.core.learning.change import ChangeDetector
from router_backend.core.learning.level import LevelFilter
from router_backend.core.learning.predictor import (
    MAX_PLAUSIBLE,
    MIN_PLAUSIBLE,
    VARIANCE_GROWTH_PER_S,
    VARIANCE_UNKNOWN,
    variance_of,
)

ABSURD = 1000.0
ABSURD_PASSED_OVER = 2
HELD_AT = 6.0
HELD_FROM = 4.0
KEPT_AFTER_CHANGE = 0.02


class LatencyModel:
    """S(x) = g · (a + c·x) · β(x), learned from service times.

    An observation is held at 6 S before anything learns from it, so that one stall does not bend the law;
    one that cannot be (no number, below MIN_PLAUSIBLE, above MAX_PLAUSIBLE) is counted in `rejected` and teaches nothing;
    nor does one of a thousand times the prediction, until the third in a row says that it is meant.
    The law learns first, then each factor what those before it leave unexplained (backfitting): were all
    three to answer for the whole of one surprise, the next prediction would be its third power.
    The change detector watches the law and its cliffs without the level, which would hide a change from it
    and pass for one after a stall; when it alarms, 2 % of the law's weight is kept and the factors
    start anew.

    Attributes:
        known: whether anything was learned yet.
        rejected: how many observations were no number, or one that no clock can show.

    Examples:
        >>> model = LatencyModel()
        >>> for second, x in enumerate([1, 8] * 10):
        ...     learned = model.update(x, 2.0 + x, now_s=second)
        >>> round(model.predict(4))
        6

    References:
        Backfitting: Friedman and Stuetzle, Projection Pursuit Regression, JASA 76 (1981).
    """

    __slots__ = (
        "_absurd_in_a_row",
        "_learned_variance",
        "_predicted_at",
        "_predicted_ms",
        "change",
        "cliffs",
        "known",
        "law",
        "level",
        "rejected",
        "updated_s",
    )

    def __init__(self) -> None:
        self.law = AffineLaw()
        self.cliffs = BucketResidual()
        self.level = LevelFilter()
        self.change = ChangeDetector()
        self.known = False
        self.rejected = 0
        self._absurd_in_a_row = 0
        # Made when they are asked for, and kept until something is learned.
        self._learned_variance: float | None = None
        self._predicted_at: float | None = None
        self._predicted_ms = 0.0
        self.updated_s = 0.0

    def update(self, x: float, service_ms: float, now_s: float) -> bool:
        """Learn that a request of size x was served in `service_ms`, seen at `now_s`.

        Returns:
            Whether it was learned, not rejected.
        """
        if not (MIN_PLAUSIBLE <= service_ms <= MAX_PLAUSIBLE and MIN_PLAUSIBLE <= x <= MAX_PLAUSIBLE):
            self.rejected += 1
            return False
        law = self.law
        changed = False
        if self.known:
            cliff = self.cliffs.factors.get(math.frexp(x)[1], 1.0)
            usual_ms = (law.a + law.c * x) * cliff  # without the level
            most_ms = HELD_AT * usual_ms * self.level.value
            if service_ms <= most_ms or law.n < HELD_FROM:
                self._absurd_in_a_row = 0
            elif self._is_absurd(service_ms, most_ms):
                self.rejected += 1
                return False
            else:
                service_ms = most_ms
            changed = self.change.update(math.log(service_ms / usual_ms))
        if changed:
            self._start_anew()
        law.update(x, service_ms)
        if not changed:  # let each factor learn what those before it leave unexplained
            level = self.level
            ratio = service_ms / (law.a + law.c * x)
            level.update(ratio / self.cliffs.update(x, ratio / level.value), now_s)
        self._learned_variance = self._predicted_at = None
        self.updated_s = now_s
        self.known = True
        return True

    def predict(self, x: float) -> float:
        """Predicted service time in ms of a request of size x; 0 before the first observation."""
        # Requests of one size are usual, and most variants learn from few of them.
        if x == self._predicted_at:
            return self._predicted_ms
        law = self.law
        factor = self.level.value * self.cliffs.factors.get(math.frexp(x)[1], 1.0)
        self._predicted_at = x
        self._predicted_ms = predicted_ms = (law.a + law.c * x) * factor
        return predicted_ms

    def relative_variance(self, now_s: float) -> float:
        """Squared relative standard deviation of the prediction: data shrinks it, time unseen adds to it."""
        if not self.known:
            return VARIANCE_UNKNOWN
        variance = self._learned_variance
        if variance is None:
            variance = self._learned_variance = variance_of(self.law)
        unseen_s = now_s - self.updated_s
        if unseen_s > 0.0:  # as in `widened`, without a call for each candidate of each decision
            variance += VARIANCE_GROWTH_PER_S * unseen_s
        return variance if variance < VARIANCE_UNKNOWN else VARIANCE_UNKNOWN

    def _is_absurd(self, service_ms: float, most_ms: float) -> bool:
        """Whether an observation is a thousand times its prediction, unless it is the third such in a row."""
        if service_ms * HELD_AT <= ABSURD * most_ms:
            self._absurd_in_a_row = 0
            return False
        self._absurd_in_a_row += 1
        return self._absurd_in_a_row <= ABSURD_PASSED_OVER

    def _start_anew(self) -> None:
        self.law.forget(KEPT_AFTER_CHANGE)
        self.level.reset()
        self.cliffs.reset()
