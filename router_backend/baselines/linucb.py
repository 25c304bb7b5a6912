"""D-LinUCB: a linear bandit that forgets."""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import ClassVar

from router_backend.core.choosing.decision import Execution
from router_backend.core.policies.base import Policy
from router_backend.core.records.request import Request
from router_backend.core.variants.candidate import Candidate

Vector = list[float]
Matrix = list[Vector]


class DiscountedRidge:
    """Ridge regression y ≈ φᵀθ over d features that forgets by γ = 0.998 a round, λ = 1.

    V ← γV + φφᵀ + (1 - γ)λI, Ṽ ← γ²Ṽ + φφᵀ + (1 - γ²)λI, b ← γb + yφ, from V = Ṽ = λI and b = 0.
    The estimate at φ is bᵀV⁻¹φ, its width √(φᵀV⁻¹ṼV⁻¹φ).
    """

    DISCOUNT = 0.998
    RIDGE = 1.0

    __slots__ = ("_b", "_v", "_v_squared")

    def __init__(self, features: int) -> None:
        self._v = _identity(features, self.RIDGE)
        self._v_squared = _identity(features, self.RIDGE)
        self._b = [0.0] * features

    def forget(self) -> None:
        """Let one round pass."""
        _fade(self._v, self.DISCOUNT, self.RIDGE)
        _fade(self._v_squared, self.DISCOUNT**2, self.RIDGE)
        self._b = [self.DISCOUNT * value for value in self._b]

    def update(self, features: Vector, y: float) -> None:
        """Learn an observation y at φ."""
        for i, left in enumerate(features):
            self._b[i] += y * left
            for j, right in enumerate(features):
                self._v[i][j] += left * right
                self._v_squared[i][j] += left * right

    def predict(self, features: Vector) -> tuple[float, float]:
        """Return the estimate at φ and its width in standard deviations of the noise."""
        direction = _solve(self._v, features)
        variance = _dot(direction, [_dot(row, direction) for row in self._v_squared])
        return _dot(self._b, direction), math.sqrt(max(0.0, variance))


class LinUcbPolicy(Policy):
    """argmin bᵀV⁻¹φ - α·σ·√(φᵀV⁻¹ṼV⁻¹φ): the lowest plausible latency, linear in φ = (1, x, n).

    x is the request's size, n the number in flight. Every variant has its own coefficients, and every answer
    fades those of all: together they are one D-LinUCB whose features are zero except for one variant's.
    α = 1 + √(ln(2/δ)/2) with δ = 0.05, and σ² is the equally faded mean squared error of the estimate.
    γ is 1 - (B/(dT))^(2/3) for T = 6,000 requests, four variants, d = 12, and a variation B of 6.

    References:
        Russac, Vernade, Cappé, Weighted Linear Bandits for Non-Stationary Environments, arXiv 1909.09146.
        α: Li et al., A Contextual-Bandit Approach to Personalized News Article Recommendation, WWW 2010.
    """

    name: ClassVar[str] = "linucb"

    FEATURES = 3
    WIDTH = 1.0 + math.sqrt(math.log(2.0 / 0.05) / 2.0)

    def __init__(self) -> None:
        self._arms: defaultdict[str, DiscountedRidge] = defaultdict(lambda: DiscountedRidge(self.FEATURES))
        self._squared_errors = self._answers = 0.0

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        """Set the lowest plausible latency as cost."""
        noise_ms = math.sqrt(self._squared_errors / self._answers) if self._answers else 0.0
        for candidate in candidates:
            arm = self._arms[candidate.variant.name]
            latency_ms, width = arm.predict([1.0, candidate.size, candidate.in_flight])
            candidate.cost = latency_ms - self.WIDTH * noise_ms * width

    def observe(self, execution: Execution) -> None:
        """Learn the latency at the request's size and queue, and the error of the estimate."""
        latency_ms = execution.latency_ms
        if latency_ms is None or execution.service_ms is None:
            return
        own = self._arms[execution.variant]
        features = [1.0, execution.size, execution.decision.in_flight]
        error_ms = latency_ms - own.predict(features)[0]
        self._squared_errors = DiscountedRidge.DISCOUNT * self._squared_errors + error_ms**2
        self._answers = DiscountedRidge.DISCOUNT * self._answers + 1.0
        for arm in self._arms.values():
            arm.forget()
        own.update(features, latency_ms)


def _identity(size: int, value: float) -> Matrix:
    return [[value if i == j else 0.0 for j in range(size)] for i in range(size)]


def _fade(matrix: Matrix, kept: float, towards: float) -> None:
    """Replace a matrix M by kept·M + (1 - kept)·towards·I."""
    for i, row in enumerate(matrix):
        row[:] = [kept * value for value in row]
        row[i] += (1.0 - kept) * towards


def _dot(left: Vector, right: Vector) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def _solve(matrix: Matrix, right: Vector) -> Vector:
    """Solve a symmetric positive definite system by Gaussian elimination and back substitution."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for k, pivot_row in enumerate(rows):
        for row in rows[k + 1 :]:
            factor = row[k] / pivot_row[k]
            row[k:] = [value - factor * above for value, above in zip(row[k:], pivot_row[k:], strict=True)]
    solution = [0.0] * len(rows)
    for k in reversed(range(len(rows))):
        known = _dot(rows[k][k + 1 : -1], solution[k + 1 :])
        solution[k] = (rows[k][-1] - known) / rows[k][k]
    return solution
