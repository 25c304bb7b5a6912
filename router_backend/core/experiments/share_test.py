"""Tests, after each event, whether events occur in the treatment more often than its share allows."""

import math


class ShareTest:
    """A sequential test of "an event is at most ρ times as likely in the treatment as in the control".

    If the treatment gets a share f of the requests, the next event is one of the treatment's with
    probability at most q = fρ / (fρ + 1 - f), no matter what makes events frequent or rare, since requests
    are assigned at random. If events were rρ times as likely, it would be q(r) = frρ / (frρ + 1 - f). The
    mean of the likelihood ratios over the alternatives r is a supermartingale with mean at most 1 if the
    hypothesis holds, so the probability that it ever reaches 1/α is at most α: it may be checked after each
    event, for as long as the experiment runs.

    References:
        Ville's inequality and mixtures of likelihood ratios: Robbins, Statistical methods related to the law
        of the iterated logarithm, Annals of Mathematical Statistics 41 (1970); Ramdas, Grünwald, Vovk and
        Shafer, Game-theoretic statistics and safe anytime-valid inference, Statistical Science 38 (2023).

    Args:
        ratio: ρ.
        alpha: the probability of rejecting the hypothesis although it holds.

    Examples:
        >>> test = ShareTest(ratio=1.5, alpha=0.005)
        >>> [test.update(True, share=0.1) for _ in range(6)].index(True) + 1
        5
    """

    ALTERNATIVES = (1.2, 1.5, 2.0, 3.0, 5.0, 10.0)

    __slots__ = ("_log_ratios", "_needed", "_ratio", "treated", "untreated")

    def __init__(self, ratio: float, alpha: float) -> None:
        self._ratio = ratio
        self._needed = math.log(len(self.ALTERNATIVES) / alpha)
        self._log_ratios = [0.0] * len(self.ALTERNATIVES)
        self.treated = self.untreated = 0

    def __str__(self) -> str:
        return f"{self.treated} of {self.treated + self.untreated}"

    def update(self, treated: bool, share: float) -> bool:
        """Learn of one event and the treatment's share f; return whether the hypothesis is rejected."""
        weight = share * self._ratio
        of_null = weight + 1.0 - share
        for i, r in enumerate(self.ALTERNATIVES):
            change = -math.log((weight * r + 1.0 - share) / of_null)
            self._log_ratios[i] += change + math.log(r) if treated else change
        if treated:
            self.treated += 1
        else:
            self.untreated += 1
        highest = max(self._log_ratios)
        sum_of_ratios = sum(math.exp(log_ratio - highest) for log_ratio in self._log_ratios)
        return highest + math.log(sum_of_ratios) >= self._needed
