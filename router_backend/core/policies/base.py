"""What every policy is: a scorer of candidates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar

from router_backend.core.choosing.decision import Execution
from router_backend.core.records.request import Request
from router_backend.core.variants.candidate import Candidate
from router_backend.errors import ConfigurationError


class Policy(ABC):
    """Scores the candidates of one logical model. The `Picker` picks by the scores, and explores.

    One object serves one model, so it may keep state of its own. The router calls it under its lock, never
    from two threads at once.

    Attributes:
        name: what configurations and requests call it.
        explores: whether the picker may now and then pick a candidate that is worth learning about instead
            of the one of lowest cost. Costs must then be in ms.
        draws: whether it defines `probabilities`; set for every subclass.
        learns: whether it defines `observe`; set for every subclass.
    """

    name: ClassVar[str]
    explores: ClassVar[bool] = False
    draws: ClassVar[bool] = False
    learns: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        """Note what the subclass defines: most policies need neither call, which every request would pay."""
        cls.draws = cls.probabilities is not Policy.probabilities
        cls.learns = cls.observe is not Policy.observe

    @classmethod
    def create(cls, argument: str, parameters: Mapping[str, str]) -> Policy:
        """Return a new policy for a configuration; most take nothing.

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
        """Refuse parameters; for policies that take none.

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
    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        """Set the `cost` of every candidate; the lowest is best.

        Args:
            candidates: the variants that may serve the request, at least one.
            request: the request.
        """

    def probabilities(self, candidates: Sequence[Candidate]) -> Sequence[float]:
        """Return the probability of each candidate; of policies that do not draw, 1 for the lowest cost.

        Args:
            candidates: those that were just scored.
        """
        costs = [candidate.cost for candidate in candidates]
        lowest = costs.index(min(costs))
        return [float(index == lowest) for index in range(len(costs))]

    def observe(self, execution: Execution) -> None:  # noqa: B027 - most policies learn nothing themselves
        """Learn from how an attempt ended that this policy decided, beyond what the router learns.

        It is called for every end: `execution.latency_ms` is `None` unless the variant answered.

        Args:
            execution: how it ended, with the decision that it followed from.
        """
