"""What a router has learned, as plain numbers that can be kept while it does not run."""

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass

from router_backend.errors import require

HIGHEST = 1e30
"""No number of a law is higher: the squares of the highest plausible quantities are far below."""


def _check(path: str, *numbers: float, lowest: float = 0.0) -> None:
    found = [number for number in numbers if not lowest <= number <= HIGHEST or math.isnan(number)]
    require(not found, path, f"numbers from {lowest:g} to {HIGHEST:g}", found)


@dataclass(frozen=True, slots=True)
class LearnedLaw:
    """The state of an `AffineLaw`: its prior, its decayed sums, and its solution."""

    slope_share: float
    n: float
    w: float
    wx: float
    wxx: float
    wy: float
    wxy: float
    wyy: float
    a: float
    c: float

    def __post_init__(self) -> None:
        """Reject what no observations lead to.

        Raises:
            ConfigurationError: a negative number, none at all, or one that is too high.
        """
        _check("law", *astuple(self))
        _check("law", self.n, self.w, self.wx, self.wxx, self.a + self.c, lowest=1.0 / HIGHEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedVariant:
    """What was learned about one variant, without what passes within seconds.

    Args:
        law: its service time by size.
        cliffs: sum of ratios and sum of weights by log2 bucket of the size.
        noise: the variance of ln(observed / predicted).
        half_width: that of the prediction interval.
        age_s: the time since its last answer.
        excess: decayed numbers of answers and of very slow ones, and what the latter add; `None` if there
            were none.
        failures: decayed numbers of failures and of requests; `None` if it failed none.
        memory: the memory of a request by size; `None` if not measured.
        power: the power of its device by size; `None` if not measured.
    """

    law: LearnedLaw
    cliffs: Mapping[int, tuple[float, float]]
    noise: float
    half_width: float
    age_s: float
    excess: tuple[float, float, float] | None = None
    failures: tuple[float, float] | None = None
    memory: LearnedLaw | None = None
    power: LearnedLaw | None = None

    def __post_init__(self) -> None:
        """Reject numbers that no answers lead to.

        Raises:
            ConfigurationError: one is negative, not a number, or too high.
        """
        _check("cliffs", *(number for sums in self.cliffs.values() for number in sums))
        _check("noise", self.noise, self.half_width, self.age_s)
        _check("excess", *(self.excess or ()))
        _check("failures", *(self.failures or ()))


@dataclass(frozen=True, slots=True)
class LearnedModel:
    """What was learned about the variants of one logical model.

    Args:
        reference_elements: the number of elements of an item, to which sizes are relative; 0 if sizes are
            batch sizes.
        variants: what was learned, by variant; not those of which nothing is known.
    """

    reference_elements: float
    variants: Mapping[str, LearnedVariant]

    def __post_init__(self) -> None:
        """Reject a reference that is no size.

        Raises:
            ConfigurationError: it is negative, not a number, or too high.
        """
        _check("reference_elements", self.reference_elements)
