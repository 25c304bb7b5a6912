"""What a variant was like before it became slow, until it is known whether it will be again."""

from router_backend.core.learning.affine import AffineLaw
from router_backend.core.learning.bucket_residual import BucketResidual

WELL_WITHIN = 1.6
FIRST_BACKOFF_S = 0.25
MAX_BACKOFF_S = 1.0
MAX_SHARE_OF_AGE = 0.1


class UsualRegime:
    """The law of a variant and its cliffs from before a sudden slowdown: a half-open breaker for slowness.

    Without it, a variant that was slow for some seconds is avoided until exploration finds that it is well
    again, which takes thousands of requests if it was very slow. After a backoff, which doubles with each
    answer that is still slow, an idle variant is predicted by its usual law, so it is sent one request if it
    would be best if well. The backoff is at most 1 s or a tenth of the time since the slowdown, whichever is
    more: the longer it lasts, the less it costs.

    Args:
        law: the usual law.
        cliffs: the usual cliffs.
        now_s: when the slowdown was noticed.

    Attributes:
        retry_s: when the next request may be predicted by the usual law.
    """

    __slots__ = ("_backoff_s", "_since_s", "cliffs", "law", "retry_s")

    def __init__(self, law: AffineLaw, cliffs: BucketResidual, now_s: float) -> None:
        self.law = law
        self.cliffs = cliffs
        self._since_s = now_s
        self._backoff_s = FIRST_BACKOFF_S
        self.retry_s = now_s + FIRST_BACKOFF_S

    def predict(self, x: float) -> float:
        """Return the usual service time of a request of size x."""
        return self.law.predict(x) * self.cliffs.get(x)

    def is_back(self, x: float, service_ms: float, now_s: float) -> bool:
        """Return whether an answer is as usual; if not, the next request is tried later."""
        if service_ms <= WELL_WITHIN * self.predict(x):
            return True
        if now_s >= self.retry_s:
            longest_s = max(MAX_BACKOFF_S, MAX_SHARE_OF_AGE * (now_s - self._since_s))
            self._backoff_s = min(2.0 * self._backoff_s, longest_s)
            self.retry_s = now_s + self._backoff_s
        return False
