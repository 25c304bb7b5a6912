"""The policies for one model's requests: its own, named ones, and those of experiments."""

import random
from collections.abc import Collection

from router_backend.core.experiments.arm import Arm
from router_backend.core.experiments.model_experiments import ModelExperiments
from router_backend.core.policies.base import Policy
from router_backend.core.policies.goals import POLICY_OF_GOAL
from router_backend.core.policies.picker import Picker
from router_backend.core.policies.registry import create_policy
from router_backend.core.records.request import RoutingContext
from router_backend.errors import ConfigurationError, InvalidRequestError


class Pickers:
    """Finds the picker for each request. Not thread-safe: the model's lock guards it.

    Raises:
        ConfigurationError: the policy is for a variant that the model lacks.
    """

    __slots__ = ("_by_name", "_experiments", "_model_name", "_own", "_rng", "_variants")

    def __init__(
        self,
        model_name: str,
        variants: Collection[str],
        policy: Policy,
        experiments: ModelExperiments,
        rng: random.Random,
    ) -> None:
        self._model_name = model_name
        self._variants = variants
        self._experiments = experiments
        self._rng = rng
        self.use(policy)

    def use(self, policy: Policy) -> None:
        """Replace the model's own policy.

        Raises:
            ConfigurationError: it is for a variant that the model lacks; then nothing has changed.
        """
        policy.check(self._variants)
        self._own = Picker(policy)
        self._by_name: dict[str, Picker] = {}

    def of(self, context: RoutingContext, now_s: float) -> tuple[Picker, Arm | None]:
        """Return the picker that a request names, else its goal's, its experiment's, or the model's own.

        A retry of a request with a unit is decided by the same arm, which only counts the first attempt. The
        other return value is the arm that the request counts for; `None` if it counts for none.

        Raises:
            InvalidRequestError: no policy has that name, or it is for a variant that the model lacks.
        """
        if context.policy is not None:
            return self._named(context.policy), None
        if context.optimization_goal is not None:
            return self._named(POLICY_OF_GOAL[context.optimization_goal]), None
        if not self._experiments.running or context.warmup:
            return self._own, None
        arm = self._experiments.arm_of(context.unit, now_s, self._rng)
        if arm is None:
            return self._own, None
        return arm.picker, None if context.excluded_variants else arm

    def _named(self, name: str) -> Picker:
        """Return the model's own picker if it has that name, else one shared by all requests that name it."""
        if name == self._own.policy.name:
            return self._own
        if name not in self._by_name:
            try:
                policy = create_policy(name)
                policy.check(self._variants)
            except ConfigurationError as error:
                raise InvalidRequestError(
                    f"model '{self._model_name}', request parameter 'router_policy': {error}"
                ) from None
            self._by_name[name] = Picker(policy)
        return self._by_name[name]
