"""The base class of policies: scorers of candidates."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar

from router_backend.core.choosing.decision import Execution
from router_backend.core.records.request import Request
from router_backend.core.variants.candidate import Candidate
from router_backend.errors import ConfigurationError, nearest


class Policy(ABC):
    """Scores the candidates of one logical model. The `Picker` picks by the scores, and explores.

    Each model has its own policy object, which may keep state. The router calls it under its lock, never
    from two threads at once.

    Attributes:
        name: its name in configurations and requests.
        label: what decisions, metrics and reports call it: its name, unless a subclass with an argument adds
            that.
        explores: whether the picker may occasionally pick a candidate to learn about it instead of the one
            of lowest cost. Costs must then be in ms.
        draws: whether it defines `probabilities`; set for every subclass.
        learns: whether it defines `observe`; set for every subclass.
        counts: whether it defines `picked`; set for every subclass.
    """

    name: ClassVar[str]
    label: str
    explores: ClassVar[bool] = False
    draws: ClassVar[bool] = False
    learns: ClassVar[bool] = False
    counts: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        """Note which methods the subclass defines, so that requests need not call the empty ones."""
        cls.label = getattr(cls, "name", "")
        cls.draws = cls.probabilities is not Policy.probabilities
        cls.learns = cls.observe is not Policy.observe
        cls.counts = cls.picked is not Policy.picked

    @classmethod
    def create(cls, argument: str, parameters: Mapping[str, str]) -> Policy:
        """Return a new policy for a configuration; most policies take neither argument nor parameters.

        Args:
            argument: what follows the colon after its name.
            parameters: its settings as strings, by name.

        Raises:
            ConfigurationError: it does not accept the argument or a parameter.
        """
        cls.refuse_argument(argument)
        cls.refuse_parameters(parameters)
        return cls()

    @classmethod
    def refuse_argument(cls, argument: str) -> None:
        """Reject an argument, for policies that take none.

        Raises:
            ConfigurationError: there is one.
        """
        if argument:
            raise ConfigurationError(
                where=f"policy '{cls.name}'", expected=f"'{cls.name}' alone", found=f"'{cls.name}:{argument}'"
            )

    @classmethod
    def refuse_parameters(cls, parameters: Mapping[str, str], known: Collection[str] = ()) -> None:
        """Reject parameters that the policy does not take: all of them unless some are `known`.

        Raises:
            ConfigurationError: there is one.
        """
        unknown = [name for name in parameters if name not in known]
        if not unknown:
            return
        where = f"policy '{cls.name}'"
        if not known:
            found = ", ".join(map(repr, unknown))
            raise ConfigurationError(
                where=where, path="parameters", expected="none", found=found, fix="remove them"
            )
        raise ConfigurationError(
            where=where,
            path="parameters",
            expected=f"only {', '.join(known)}",
            found=f"'{unknown[0]}'",
            hint=nearest(unknown[0], known),
        )

    def check(self, variants: Collection[str]) -> None:  # noqa: B027 - most policies name no variant
        """Check that the policy can serve a model with these variants.

        Raises:
            ConfigurationError: the policy is for a variant that is not among them.
        """

    @abstractmethod
    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        """Set the `cost` of every candidate; the lowest is best.

        The `Picker` divides it by the candidate's weight, and multiplies `probabilities` by it.
        In an experiment, it is also called for the requests of the other arm, to know what it would do.

        Args:
            candidates: the variants that may serve the request, at least one.
            request: the request.
        """

    def probabilities(self, candidates: Sequence[Candidate]) -> Sequence[float]:
        """Return the probability of each scored candidate; 1 for the lowest cost unless the policy draws."""
        costs = [candidate.cost for candidate in candidates]
        lowest = costs.index(min(costs))
        return [float(index == lowest) for index in range(len(costs))]

    def picked(self, candidate: Candidate) -> None:  # noqa: B027 - most policies take no turns
        """Note the candidate of lowest cost, of a request that this policy decides and does not draw."""

    def explorable(self, candidates: Sequence[Candidate]) -> Sequence[Candidate]:
        """Return those of the candidates just scored that may be picked to learn about them."""
        return candidates

    def observe(self, execution: Execution) -> None:  # noqa: B027 - most policies learn nothing themselves
        """Learn how an attempt ended that this policy chose, beyond what the router learns.

        Called for every end: `execution.latency_ms` is `None` unless the variant answered.
        """
