"""What a variant may be like again: before it became slow, or once its first calls are over."""

from collections.abc import Sequence
from math import sqrt

from router_backend.core.learning.affine import AffineLaw
from router_backend.core.learning.bucket_residual import BucketResidual
from router_backend.core.learning.rare_excess import RareExcess

WELL_FROM, WELL_WITHIN = 0.01, 1.6
FIRST_BACKOFF_S = 0.25
MAX_BACKOFF_S = 1.0
MAX_SHARE_OF_AGE = 0.1
COLD_FROM = 1.5
"""An answer was a cold call if it was this much slower than a later one."""
SETTLED_FROM = 8
"""Answers that copies measure of a variant."""
SETTLED_FROM_REQUESTS = 6
"""Answers after which requests of clients no longer try a variant that seems slow."""
MAX_COLD_MS = 5000.0


class Backoff:
    """When a variant is tried again that would be slow if it were as it was last seen.

    By time, the pause doubles from 250 ms with each trial that is still slow, up to 1 s or a tenth of the
    time since the first, whichever is more: the longer it lasts, the less it costs.

    Args:
        now_s: when the first trial failed.

    Attributes:
        retry_s: when the next one may be made.
    """

    __slots__ = ("_pause_s", "_since_s", "retry_s")

    def __init__(self, now_s: float) -> None:
        self._since_s = now_s
        self._pause_s = FIRST_BACKOFF_S
        self.retry_s = now_s + FIRST_BACKOFF_S

    def failed(self, now_s: float) -> None:
        """Note an answer that is still slow; one to an earlier request than the trial changes nothing."""
        if now_s >= self.retry_s:
            longest_s = max(MAX_BACKOFF_S, MAX_SHARE_OF_AGE * (now_s - self._since_s))
            self._pause_s = min(2.0 * self._pause_s, longest_s)
            self.retry_s = now_s + self._pause_s


class UsualRegime:
    """The law of a variant and its cliffs from before a sudden slowdown: a half-open breaker for slowness.

    Without it, a variant that was slow for some seconds is avoided until exploration finds that it is well
    again, which takes thousands of requests if it was very slow. After a `Backoff`, an idle variant is
    predicted by its usual law, so it is sent one request if it would be best if well.

    A trial by a client costs r - 1 times a usual answer, where r is how much slower it is; not trying a
    variant that is well costs about one usual answer per request. With trials every t requests, n requests
    after the slowdown, n/t · (r - 1) were lost by trials, and t are until it is noticed that it is well. The
    sum is lowest for t = √(n · (r - 1)), so that many requests are between two trials.

    Args:
        law: the usual law.
        cliffs: the usual cliffs.
        excess: what rare slow answers added before.
        now_s: when the slowdown was noticed.

    References:
        Minimal sum of a cost per trial and a cost of waiting: Harris, economic order quantity, 1913.
    """

    __slots__ = ("_backoff", "_next", "_requests", "cliffs", "excess", "law")

    is_over = False

    def __init__(
        self, law: AffineLaw, cliffs: BucketResidual, excess: RareExcess | None, now_s: float
    ) -> None:
        self.law = law
        self.cliffs = cliffs
        self.excess = excess
        self._backoff = Backoff(now_s)
        self._requests = 0
        self._next = 0.0

    @property
    def retry_s(self) -> float:
        """When the next trial may be made, as far as time is concerned."""
        return self._backoff.retry_s

    def passed(self) -> None:
        """Count a request that the variant may serve."""
        self._requests += 1

    def is_due(self, now_s: float) -> bool:
        """Return whether a request may be a trial."""
        return now_s >= self._backoff.retry_s and self._requests >= self._next

    def predict(self, x: float) -> float:
        """Return the usual service time of a request of size x."""
        return self.law.predict(x) * self.cliffs.get(x)

    def is_back(self, x: float, service_ms: float, now_s: float) -> bool:
        """Return whether an answer is as usual; if not, the next request is tried later."""
        slower = service_ms / self.predict(x)
        if WELL_FROM <= slower <= WELL_WITHIN:
            return True
        self._backoff.failed(now_s)
        self._next = self._requests + sqrt(self._requests * abs(slower - 1.0))
        return False


class FirstAnswers:
    """Doubt about a law that rests on few answers, which may all have been cold calls.

    Arenas grow, kernels are tuned and code is compiled over several calls. After a `Backoff`, an idle variant
    is predicted as if nothing was known of it, so it is tried as an unknown one is, until it has six
    answers or they took 5 s. One that is 1.5 times faster than all before it, even if the time were
    proportional to the size, shows that these were cold.

    Args:
        answers: sizes and service times of the first two.
        now_s: when the second one ended.
    """

    __slots__ = ("_answers", "_backoff", "cliffs", "law")

    excess = None

    def __init__(self, answers: Sequence[tuple[float, float]], now_s: float) -> None:
        self.law = AffineLaw()
        self.cliffs = BucketResidual()
        self._backoff = Backoff(now_s)
        self._answers = list(answers)

    @property
    def retry_s(self) -> float:
        """When the next trial may be made."""
        return self._backoff.retry_s

    @property
    def is_over(self) -> bool:
        """Whether the law counts as that of the variant."""
        answers = self._answers
        spent_ms = sum([service_ms for _, service_ms in answers])
        return len(answers) >= SETTLED_FROM_REQUESTS or spent_ms > MAX_COLD_MS

    def passed(self) -> None:
        """Count nothing: only the time matters."""

    def is_due(self, now_s: float) -> bool:
        """Return whether a request may be a trial."""
        return now_s >= self._backoff.retry_s

    def predict(self, x: float) -> float:
        """Return 0: nothing is known."""
        del x
        return 0.0

    def is_back(self, x: float, service_ms: float, now_s: float) -> bool:
        """Return whether an answer shows that those before it were cold calls."""
        if COLD_FROM * service_ms < min(ms * min(1.0, x / size) for size, ms in self._answers):
            return True
        self._answers.append((x, service_ms))
        self._backoff.failed(now_s)
        return False
