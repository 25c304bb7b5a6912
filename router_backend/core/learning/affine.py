"""Service time as an affine function of the request's size: y = a + c·x."""

from __future__ import annotations

from router_backend.core.records.learned import LearnedLaw

DECAY = 1.0 - 1.0 / 256.0
PRIOR_WEIGHT = 0.5


class AffineLaw:
    """Weighted least squares with forgetting for y = a + c·x, with a, c >= 0.

    Each observation has the weight w = 1/ŷ², which minimizes relative errors: with equal weights, large
    batches dominate and can push the intercept below zero. The sums of w, wx, wx², wy, wxy and wy² decay by
    1/256 per observation; because they are plain sums, the sums of several processes can be added. The
    closed-form solution is shrunk towards a prior with the slope share s (a₀ = (1 - s)·ȳ, c₀ = s·ȳ/x̄) and
    the weight of half an observation, so the fit is usable after a single batch size.

    Args:
        slope_share: s of the prior.

    Attributes:
        slope_share: s, the part of a typical observation that is assumed to grow with the size.
        a: the intercept.
        c: the slope.
        n: the decayed number of observations.

    References:
        Recursive least squares with forgetting; its wind-up: arXiv 2004.03910.

    Examples:
        >>> law = AffineLaw()
        >>> for x in (1, 2, 4, 8, 16, 32) * 20:
        ...     law.update(x, 2.3 + 0.82 * x)
        >>> round(law.predict(24), 1)
        22.0
    """

    __slots__ = ("a", "c", "n", "slope_share", "w", "wx", "wxx", "wxy", "wy", "wyy")

    def __init__(self, slope_share: float = 0.5) -> None:
        self.slope_share = slope_share
        self.n = self.w = self.wx = self.wxx = self.wy = self.wxy = self.wyy = 0.0
        self.a = self.c = 0.0

    def update(self, x: float, y: float, usual: float = 0.0) -> None:
        """Learn that a request of size x > 0 took y > 0 (in any one unit).

        `usual` is what errors are relative to; 0 for the prediction.
        """
        expected = usual or self.a + self.c * x
        weight = 1.0 / (expected * expected) if expected > 0.0 else 1.0 / (y * y)
        weight_x = weight * x
        weight_y = weight * y
        self.n = n = self.n * DECAY + 1.0
        self.w = w = self.w * DECAY + weight
        self.wx = wx = self.wx * DECAY + weight_x
        self.wxx = wxx = self.wxx * DECAY + weight_x * x
        self.wy = wy = self.wy * DECAY + weight_y
        self.wxy = wxy = self.wxy * DECAY + weight_x * y
        self.wyy = self.wyy * DECAY + weight_y * y
        # The 2×2 normal equations with the prior, the solution clipped to a, c >= 0.
        prior = PRIOR_WEIGHT * w / n
        mean_x = wx / w
        mean_y = wy / w
        growing_y = self.slope_share * mean_y
        m11 = w + prior
        m22 = wxx + prior * mean_x * mean_x
        r1 = wy + prior * (mean_y - growing_y)
        r2 = wxy + prior * mean_x * growing_y
        determinant = m11 * m22 - wx * wx
        a = (r1 * m22 - r2 * wx) / determinant
        c = (m11 * r2 - wx * r1) / determinant
        if a < 0.0:
            a, c = 0.0, r2 / m22
        elif c < 0.0:
            a, c = r1 / m11, 0.0
        self.a = a
        self.c = c

    @classmethod
    def of(cls, learned: LearnedLaw) -> AffineLaw:
        """Return a law that was learned before."""
        law = cls()
        for name in cls.__slots__:
            setattr(law, name, getattr(learned, name))
        return law

    def learned(self) -> LearnedLaw:
        """Return what was learned."""
        return LearnedLaw(**{name: getattr(self, name) for name in self.__slots__})

    def predict(self, x: float) -> float:
        """Return a + c·x; 0 before the first observation."""
        return self.a + self.c * x

    def relative_variance(self) -> float:
        """Return the decayed mean squared relative error of the fit."""
        if self.n == 0.0:
            return 0.0
        a, c = self.a, self.c
        squares = (
            self.wyy
            - 2.0 * (a * self.wy + c * self.wxy)
            + a * a * self.w
            + 2.0 * a * c * self.wx
            + c * c * self.wxx
        )
        return max(0.0, squares / self.n)

    def keep_slope(self) -> None:
        """Make the current share of the slope the prior's, which keeps it while only one size is observed."""
        grows = self.c * self.wx
        self.slope_share = grows / (self.a * self.w + grows)

    def leverage(self, x: float) -> float:
        """Return how much an observation at size x would decide the fit there, if others had been made.

        1/n near the sizes of n observations, and above 1 far from all of them.

        References:
            Hoaglin and Welsch, The Hat Matrix in Regression and ANOVA, The American Statistician 32 (1978).
        """
        w, wx = self.w, self.wx
        expected, mean_x, prior = self.a + self.c * x, wx / w, PRIOR_WEIGHT * w / self.n
        m11 = w + prior
        m22 = self.wxx + prior * mean_x * mean_x
        spread = m22 - 2.0 * x * wx + x * x * m11
        return spread / ((m11 * m22 - wx * wx) * expected * expected)

    def rescale(self, factor: float) -> None:
        """Replace the law by `factor` times as much at every size, and all past observations alike."""
        self.a *= factor
        self.c *= factor
        self.wy /= factor
        self.wxy /= factor
        squared = factor * factor
        self.w /= squared
        self.wx /= squared
        self.wxx /= squared

    def forget(self, remaining: float) -> None:
        """Keep a fraction of the weight of all past observations, as after a change of the law."""
        self.n *= remaining
        self.w *= remaining
        self.wx *= remaining
        self.wxx *= remaining
        self.wy *= remaining
        self.wxy *= remaining
        self.wyy *= remaining
