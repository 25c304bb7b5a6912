"""Always the same variant: what an operator does by hand."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from typing import ClassVar

from router_backend.core.policies.base import Choice, Policy
from router_backend.core.records.request import RoutingContext
from router_backend.core.variants.profile import VariantProfile
from router_backend.errors import ConfigurationError, nearest


class StaticPolicy(Policy):
    """The named variant, whenever it can serve; else the first that can. Costs 0, the others 1.

    Args:
        variant: the name, as in `static:resnet50_gpu`.
    """

    name: ClassVar[str] = "static"

    def __init__(self, variant: str) -> None:
        self._variant = variant

    @classmethod
    def create(cls, argument: str, parameters: Mapping[str, str]) -> StaticPolicy:
        """The policy for the variant that follows the colon.

        Raises:
            ConfigurationError: no variant follows, or there are parameters.
        """
        cls.refuse_parameters(parameters)
        if not argument:
            raise ConfigurationError(
                where=f"policy '{cls.name}'",
                expected=f"'{cls.name}:' and the name of a variant",
                found=f"'{cls.name}'",
            )
        return cls(argument)

    def check(self, variants: Collection[str]) -> None:
        """Refuse a model that has no variant of that name.

        Raises:
            ConfigurationError: it has not.
        """
        if self._variant not in variants:
            raise ConfigurationError(
                where=f"policy '{self.name}'",
                expected=f"'{self.name}:' and one of {', '.join(variants)}",
                found=f"'{self.name}:{self._variant}'",
                hint=nearest(self._variant, variants),
            )

    def choose(
        self, candidates: list[VariantProfile], context: RoutingContext, now_s: float, rng: random.Random
    ) -> Choice:
        """Pick the named variant or, without it, the first."""
        pick = candidates[0]
        for candidate in candidates:
            candidate.cost = 1.0
            if candidate.variant.name == self._variant:
                pick = candidate
        pick.cost = 0.0
        return Choice(pick)
