"""Service time as an affine law of the request's size: y = a + c·x."""

DECAY = 1.0 - 1.0 / 256.0
PRIOR_WEIGHT = 0.5


class AffineLaw:
    """Decayed, relatively weighted least squares for y = a + c·x with a, c >= 0.

    An observation weighs w = 1/ŷ², so that errors count in proportion to the time they concern: plain
    least squares lets the large batches bend the intercept below zero. The sums of w, wx, wx², wy, wxy
    and wy² lose 1/256 of their weight with each observation; since they are sums, those of several
    processes merge by addition. The closed-form solution is drawn towards a law that is half intercept,
    half slope (a₀ = ȳ/2, c₀ = ȳ/2x̄) with the weight of half an observation, so that a single size
    seen already gives a usable law.

    References:
        Recursive least squares with forgetting; its wind-up: arXiv 2004.03910.

    Examples:
        >>> law = AffineLaw()
        >>> for x in (1, 2, 4, 8, 16, 32) * 20:
        ...     law.update(x, 2.3 + 0.82 * x)
        >>> round(law.predict(24), 1)
        22.0
    """

    __slots__ = ("a", "c", "n", "w", "wx", "wxx", "wxy", "wy", "wyy")

    def __init__(self) -> None:
        self.n = self.w = self.wx = self.wxx = self.wy = self.wxy = self.wyy = 0.0
        self.a = self.c = 0.0

    def update(self, x: float, y: float) -> None:
        """Learn that a request of size x > 0 took y > 0 (any unit of time, always the same)."""
        expected = self.a + self.c * x
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
        self.a, self.c = _solved(n, w, wx, wxx, wy, wxy)

    def predict(self, x: float) -> float:
        """The law's value at size x; 0 before the first observation."""
        return self.a + self.c * x

    def relative_variance(self) -> float:
        """Mean squared relative error of the law over what it remembers."""
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

    def forget(self, kept: float) -> None:
        """Keep only this share of the weight: the law has changed."""
        self.n *= kept
        self.w *= kept
        self.wx *= kept
        self.wxx *= kept
        self.wy *= kept
        self.wxy *= kept
        self.wyy *= kept


def _solved(n: float, w: float, wx: float, wxx: float, wy: float, wxy: float) -> tuple[float, float]:
    """The 2×2 normal equations with the prior, solved; clipped to a, c >= 0."""
    prior = PRIOR_WEIGHT * w / n
    mean_x = wx / w
    half_mean_y = 0.5 * wy / w
    m11 = w + prior
    m22 = wxx + prior * mean_x * mean_x
    r1 = wy + prior * half_mean_y
    r2 = wxy + prior * mean_x * half_mean_y
    determinant = m11 * m22 - wx * wx
    a = (r1 * m22 - r2 * wx) / determinant
    if a < 0.0:
        return 0.0, r2 / m22
    c = (m11 * r2 - wx * r1) / determinant
    if c < 0.0:
        return r1 / m11, 0.0
    return a, c
