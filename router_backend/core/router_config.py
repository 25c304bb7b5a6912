"""How a router decides, as one validated record."""

from dataclasses import dataclass

from router_backend.core.policies.latency import LatencyOptimizedPolicy
from router_backend.core.policies.registry import create_policy
from router_backend.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class RouterConfig:
    """The settings of the deciding part.

    Args:
        policy: the name of the policy that chooses.
        coverage: the share of latencies that a prediction interval is to hold.
        refuse_late: whether a request that no variant can answer within its deadline is refused at once;
            else it is served as soon as can be.
    """

    policy: str = LatencyOptimizedPolicy.name
    coverage: float = 0.9
    refuse_late: bool = False

    def __post_init__(self) -> None:
        """Refuse values that mean nothing.

        Raises:
            ConfigurationError: an unknown policy, a coverage outside (0, 1).
        """
        create_policy(self.policy)
        if not 0.0 < self.coverage < 1.0:
            raise ConfigurationError(f"coverage: expected a number between 0 and 1, found {self.coverage}")
