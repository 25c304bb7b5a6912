"""When a variant that only a predicted use keeps out is sent a request, to measure it again."""

FIRST_PATIENCE = 100


class LimitTrial:
    """After 100 refused requests, the next one may be sent; then after 200 further ones, 400 and so on.

    So of n requests that state a limit, log2(n/100) exceed it because of a prediction that stays right, and a
    wrong one is corrected after at most as many refusals again as there were before. A request that is
    sent before a trial is due makes it unnecessary: the variant is measured anyway.

    Examples:
        >>> trial = LimitTrial()
        >>> [trial.refuses() for _ in range(102)].index(False)
        100
        >>> trial.sent()
        True
        >>> [trial.refuses() for _ in range(202)].index(False)
        200
    """

    __slots__ = ("_patience", "_refused")

    def __init__(self) -> None:
        self._refused = 0
        self._patience = FIRST_PATIENCE

    def refuses(self) -> bool:
        """Return whether to refuse a request for its predicted use, and count it if so."""
        if self._refused >= self._patience:
            return False
        self._refused += 1
        return True

    def sent(self) -> bool:
        """Record that the variant is sent a request; return whether it is a trial."""
        is_trial = self._refused >= self._patience
        self._patience *= 2
        self._refused = 0
        return is_trial
