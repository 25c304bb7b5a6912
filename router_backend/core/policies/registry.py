"""The policies by name."""

from collections.abc import Mapping
from types import MappingProxyType

from router_backend.core.policies.base import Policy
from router_backend.core.policies.baselines.c3 import C3Policy
from router_backend.core.policies.baselines.exp3 import Exp3Policy
from router_backend.core.policies.baselines.least_request import LeastRequestPolicy
from router_backend.core.policies.baselines.linucb import LinUcbPolicy
from router_backend.core.policies.baselines.offline_profile import OfflineProfilePolicy
from router_backend.core.policies.baselines.peak_ewma import PeakEwmaPolicy
from router_backend.core.policies.baselines.power_of_two import PowerOfTwoPolicy
from router_backend.core.policies.baselines.prequal import PrequalPolicy
from router_backend.core.policies.baselines.round_robin import RoundRobinPolicy
from router_backend.core.policies.baselines.static import StaticPolicy
from router_backend.core.policies.baselines.uniform_random import RandomPolicy
from router_backend.core.policies.latency import LatencyOptimizedPolicy
from router_backend.errors import ConfigurationError, nearest

POLICIES: Mapping[str, type[Policy]] = MappingProxyType(
    {
        policy.name: policy
        for policy in (
            LatencyOptimizedPolicy,
            StaticPolicy,
            RandomPolicy,
            RoundRobinPolicy,
            PowerOfTwoPolicy,
            LeastRequestPolicy,
            PeakEwmaPolicy,
            C3Policy,
            PrequalPolicy,
            Exp3Policy,
            LinUcbPolicy,
            OfflineProfilePolicy,
        )
    }
)


NO_PARAMETERS: Mapping[str, str] = MappingProxyType({})


def create_policy(name: str, parameters: Mapping[str, str] = NO_PARAMETERS) -> Policy:
    """A new policy of that name, for one model.

    Args:
        name: a name of the registry; what follows a colon is handed to the policy, as in `static:gpu`.
        parameters: the policy's own settings, as texts by name.

    Raises:
        ConfigurationError: no policy has that name, or it does not take the argument or a parameter.
    """
    kind, _, argument = name.partition(":")
    if kind not in POLICIES:
        raise ConfigurationError(
            f"policy: expected one of {', '.join(POLICIES)}, found '{name}'{nearest(kind, list(POLICIES))}"
        )
    return POLICIES[kind].create(argument, parameters)
