"""The share of its requests that a variant fails, as of late."""

from __future__ import annotations

DECAY = 1.0 - 1.0 / 64.0
PRIOR_WEIGHT = 4.0
"""Weight of the prior, that it never fails, in requests."""
FORGET_BELOW = 0.03
REMAINING_WHEN_WELL = 0.02
TRIAL_SHARE = 1.0 / 40.0
MAX_TRIAL_SHARE = 0.5


class FailureShare:
    """An exponentially weighted share of failures: F / (N + 4), with a decay of 1/64 per request.

    A variant that is well again is recognized by its successes in a row: if a run of r of them has a
    probability (1 - p)^r below 3 % under the share p, what was learned is forgotten but for 2 %.

    Args:
        answers: how many requests it has answered before the first failure.

    Attributes:
        value: the share.
        trial_share: the share of requests that a variant should get which would be best without failures:
            1/40 · (1 + r/2), at most half. So the cost of trying one that still fails is bounded by a few
            percent of a retry, and one that is well has its traffic back after about 200 requests.

    Examples:
        >>> share = FailureShare()
        >>> for number in range(100):
        ...     share.update(failed=number % 5 == 0)
        >>> round(share.value, 1)
        0.2
        >>> for _ in range(40):
        ...     share.update(failed=False)
        >>> share.value < 0.02
        True
    """

    __slots__ = ("_failures", "_requests", "_unlikely", "trial_share", "value")

    def __init__(self, answers: int = 0) -> None:
        self._failures = 0.0
        self._requests = min(float(answers), 1.0 / (1.0 - DECAY))
        self._unlikely = 1.0
        self.value = 0.0
        self.trial_share = TRIAL_SHARE

    @classmethod
    def of(cls, failures: float, requests: float) -> FailureShare:
        """Return the share that follows from decayed numbers of failures and of requests."""
        share = cls()
        share._failures, share._requests = failures, requests
        share.value = failures / (requests + PRIOR_WEIGHT)
        return share

    def learned(self) -> tuple[float, float]:
        """Return the decayed numbers of failures and of requests."""
        return self._failures, self._requests

    def update(self, *, failed: bool) -> None:
        """Learn how a request ended."""
        self._requests = self._requests * DECAY + 1.0
        self._failures = self._failures * DECAY + failed
        if failed:
            self._unlikely = 1.0
            self.trial_share = TRIAL_SHARE
        else:
            self._unlikely *= 1.0 - self.value
            self.trial_share = min(self.trial_share + 0.5 * TRIAL_SHARE, MAX_TRIAL_SHARE)
            if self._unlikely < FORGET_BELOW:
                self._failures *= REMAINING_WHEN_WELL
                self._requests *= REMAINING_WHEN_WELL
                self._unlikely = 1.0
        self.value = self._failures / (self._requests + PRIOR_WEIGHT)
