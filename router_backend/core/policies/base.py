"""What every policy is: it puts a cost on each candidate and picks one."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import ClassVar

from router_backend.core.records.request import RoutingContext
from router_backend.core.variants.profile import VariantProfile
from router_backend.errors import ConfigurationError


@dataclass(slots=True)
class Choice:
    """What a policy picked.

    Args:
        candidate: the picked one.
        propensity: the probability with which it was picked.
        probe: whether it was picked to learn.
    """

    candidate: VariantProfile
    propensity: float = 1.0
    probe: bool = False


class Policy(ABC):
    """Chooses among the candidates of one logical model.

    One object serves one model: it may keep state of its own. The router calls it under its lock, never
    from two threads at once, and hands time and randomness in.
    """

    name: ClassVar[str]

    @classmethod
    def create(cls, argument: str, parameters: Mapping[str, str]) -> Policy:
        """A new policy, as a configuration asks for it; most take nothing.

        Args:
            argument: what follows the colon of its name.
            parameters: its own settings, as texts by name.

        Raises:
            ConfigurationError: it does not take the argument or a parameter.
        """
        if argument:
            raise ConfigurationError(
                where=f"policy '{cls.name}'", expected=f"'{cls.name}' alone", found=f"'{cls.name}:{argument}'"
            )
        cls.refuse_parameters(parameters)
        return cls()

    @classmethod
    def refuse_parameters(cls, parameters: Mapping[str, str]) -> None:
        """For the policies that take none.

        Raises:
            ConfigurationError: there is one.
        """
        if parameters:
            raise ConfigurationError(
                where=f"policy '{cls.name}'",
                path="parameters",
                expected="none",
                found=", ".join(map(repr, parameters)),
                fix="remove them",
            )

    def check(self, variants: Collection[str]) -> None:  # noqa: B027 - most policies name no variant
        """Refuse to serve a model with these variants.

        Raises:
            ConfigurationError: the policy was made for a variant that is not among them.
        """

    @abstractmethod
    def choose(
        self, candidates: list[VariantProfile], context: RoutingContext, now_s: float, rng: random.Random
    ) -> Choice:
        """Set the `cost` of each of the candidates (at least one) and pick one.

        Args:
            candidates: the variants that may serve, each with what it predicts for this request.
            context: the request.
            now_s: the time.
            rng: the only source of chance.
        """

    def observe(  # noqa: B027 - most policies learn nothing beside the profiles
        self, profile: VariantProfile, size: float, propensity: float, latency_ms: float, now_s: float
    ) -> None:
        """Learn from an answer, beyond what the profile learns; policies that need no more leave it out.

        Args:
            profile: the variant that answered.
            size: the request's size x.
            propensity: the probability with which the variant had been picked.
            latency_ms: from sending to answer.
            now_s: the time.
        """
