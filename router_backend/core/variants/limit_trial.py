"""When a variant that only a predicted use keeps out is sent a request, to measure it again."""

PATIENCE_PER_READING = 2.0
MAX_FIRST_PATIENCE = 100


class LimitTrial:
    """After k refused requests, the next one may be sent; then after 2·k further ones, 4·k and so on.

    k is twice the number of readings that the prediction rests on, at most 100. So of n requests that state a
    limit, log2(n/k) exceed it because of a prediction that stays right, and one that is wrong since its few
    readings were is corrected after a few dozen requests. A request that is sent before a trial is due makes
    it unnecessary: the variant is measured anyway.

    Args:
        readings: how many readings the prediction rests on.

    Examples:
        >>> trial = LimitTrial(readings=50)
        >>> for _ in range(100):
        ...     assert not trial.is_due
        ...     trial.refused()
        >>> trial.is_due, trial.sent(), trial.is_due
        (True, True, False)
    """

    __slots__ = ("_patience", "_refused")

    def __init__(self, readings: float) -> None:
        self._refused = 0
        self._patience = min(int(PATIENCE_PER_READING * readings), MAX_FIRST_PATIENCE)

    @property
    def is_due(self) -> bool:
        """Whether the next request may be sent despite its predicted use."""
        return self._refused >= self._patience

    def refused(self) -> None:
        """Count a request that was refused for its predicted use."""
        self._refused += 1

    def sent(self) -> bool:
        """Record that the variant is sent a request; return whether it is a trial."""
        is_trial = self.is_due
        self._patience *= 2
        self._refused = 0
        return is_trial
