"""A fixed variant, as an operator would configure by hand."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar

from router_backend.core.policies.base import Policy
from router_backend.core.records.request import Request
from router_backend.core.variants.candidate import Candidate
from router_backend.errors import ConfigurationError, nearest


class StaticPolicy(Policy):
    """The named variant, whenever it can serve; else the one of highest weight. It costs 0, the others 1.

    Args:
        variant: the name, as in `static:resnet50_gpu`.
    """

    name: ClassVar[str] = "static"

    def __init__(self, variant: str) -> None:
        self._variant = variant
        self.label = f"{self.name}:{variant}"

    @classmethod
    def create(cls, argument: str, parameters: Mapping[str, str]) -> StaticPolicy:
        """Return the policy for the variant after the colon.

        Raises:
            ConfigurationError: no variant follows the colon, or there are parameters.
        """
        cls.refuse_parameters(parameters)
        if not argument:
            expected, found = f"'{cls.name}:' and the name of a variant", f"'{cls.name}'"
            raise ConfigurationError(where=f"policy '{cls.name}'", expected=expected, found=found)
        return cls(argument)

    def check(self, variants: Collection[str]) -> None:
        """Check that the model has the variant.

        Raises:
            ConfigurationError: it has no variant of that name.
        """
        if self._variant not in variants:
            where, hint = f"policy '{self.name}'", nearest(self._variant, variants)
            expected = f"'{self.name}:' and one of {', '.join(variants)}"
            found = f"'{self.name}:{self._variant}'"
            raise ConfigurationError(where=where, expected=expected, found=found, hint=hint)

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        """Set 0 for the named variant, 1 for the others."""
        for candidate in candidates:
            candidate.cost = 0.0 if candidate.variant.name == self._variant else 1.0
