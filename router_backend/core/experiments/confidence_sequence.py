"""The difference between the means of two arms, with an interval that is valid at all times."""

import math

from router_backend.core.experiments.unit_sums import UnitSums


class DifferenceOfMeans:
    """The treatment's mean minus the control's, from answers whose arms were drawn with known probabilities.

    Each answer y of either arm gives an unbiased estimate of the difference,

        φ = (y - m) / f  in the treatment,   φ = -(y - m) / (1 - f)  in the control,

    where f is the treatment's share at its decision and m the mean of the answers before it. For the
    treatment's mean minus r times the control's, the control's φ is multiplied by r, and (1 - r)·m is added
    to both. With these weights, neither a change of f nor a drift of all latencies biases the mean of the φ;
    during a rollout, both would bias the difference of two plain means. With t estimates of variance σ², the
    interval

        mean ± σ · √( 2(tρ² + 1) / (t²ρ²) · ln( √(tρ² + 1) / α ) )

    contains the difference at all t at once with probability 1 - α, as t grows (asymptotic normal mixture);
    ρ² = (-2 ln α + ln(1 - 2 ln α)) / t* makes it narrowest at t = t* answers. This is so if the φ are
    independent given the past, as where every request is a unit of its own. Where units send many requests,
    they are not: `UnitSums` has the interval of as many standard errors between units. The result is the
    smallest interval that contains both.

    References:
        Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, Time-uniform central limit theory and asymptotic
        confidence sequences, Annals of Statistics 52 (2024); the mixture bound is that of Howard, Ramdas,
        McAuliffe and Sekhon, Annals of Statistics 49 (2021). Variance: Welford, Technometrics 4 (1962).

    Args:
        coverage: 1 - α.
        ratio: how many times the control's mean to subtract.

    Examples:
        >>> difference = DifferenceOfMeans(coverage=0.95)
        >>> for i in range(400):
        ...     difference.update(i % 4 < 2, 10.0 + i % 2 - (i % 4 < 2), fraction=0.5, unit=f"user-{i}")
        >>> low_ms, high_ms = difference.interval()
        >>> low_ms < -1.0 < high_ms < 0.0
        True
    """

    NARROWEST_AT = 5_000
    MIN_ANSWERS_PER_ARM = 50

    __slots__ = (
        "_coverage",
        "_mean",
        "_mean_of_answers",
        "_of_control",
        "_of_treatment",
        "_ratio",
        "_squares",
        "_units",
    )

    def __init__(self, coverage: float, ratio: float = 1.0) -> None:
        self._coverage = coverage
        self._ratio = ratio
        self._of_treatment = self._of_control = 0
        self._mean_of_answers = 0.0
        self._mean = self._squares = 0.0
        self._units = UnitSums()

    def update(self, treated: bool, value: float, fraction: float, unit: str) -> None:
        """Learn one answer, unless all units get the same arm.

        Args:
            treated: whether it is the treatment's.
            value: y.
            fraction: the treatment's share f.
            unit: what its arm depends on; empty if it was drawn for this request alone.
        """
        if not 0.0 < fraction < 1.0:
            return
        seen = self._of_treatment + self._of_control
        distance = value - self._mean_of_answers if seen else 0.0
        if treated:
            self._of_treatment += 1
            estimate = distance / fraction
        else:
            self._of_control += 1
            estimate = -self._ratio * distance / (1.0 - fraction)
        estimate += (1.0 - self._ratio) * (self._mean_of_answers if seen else value)
        self._units.update(treated, estimate, unit, seen)
        seen += 1
        self._mean_of_answers += (value - self._mean_of_answers) / seen
        before = estimate - self._mean
        self._mean += before / seen
        self._squares += before * (estimate - self._mean)

    def get(self) -> float | None:
        """Return the difference; `None` if an arm has too few answers."""
        return self._mean if self._is_enough() else None

    def interval(self) -> tuple[float, float] | None:
        """Return the bounds of the difference; `None` if an arm has too few answers or units."""
        if not self._is_enough():
            return None
        alpha = 1.0 - self._coverage
        t = self._of_treatment + self._of_control
        rho_squared = (-2.0 * math.log(alpha) + math.log(1.0 - 2.0 * math.log(alpha))) / self.NARROWEST_AT
        spread = t * rho_squared + 1.0
        deviations_squared = 2.0 * spread / (t * rho_squared) * math.log(math.sqrt(spread) / alpha)
        of_units = self._units.interval(deviations_squared)
        if of_units is None:
            return None
        width = math.sqrt(deviations_squared * self._squares) / t
        return min(self._mean - width, of_units[0]), max(self._mean + width, of_units[1])

    def _is_enough(self) -> bool:
        return min(self._of_treatment, self._of_control) >= self.MIN_ANSWERS_PER_ARM
