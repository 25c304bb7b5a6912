"""Published routing algorithms to compare with, one per file, each faithful to its source.

They keep the state of their originals instead of using the latency that this router learns. Breaker, filters
and warm-up are not part of policies, so the baselines get the same.
"""

from router_backend.baselines.c3 import C3Policy
from router_backend.baselines.exp3 import Exp3Policy
from router_backend.baselines.least_request import LeastRequestPolicy
from router_backend.baselines.linucb import LinUcbPolicy
from router_backend.baselines.offline_profile import OfflineProfilePolicy
from router_backend.baselines.peak_ewma import PeakEwmaPolicy
from router_backend.baselines.power_of_two import PowerOfTwoPolicy
from router_backend.baselines.prequal import PrequalPolicy
from router_backend.baselines.round_robin import RoundRobinPolicy
from router_backend.baselines.static import StaticPolicy
from router_backend.baselines.uniform_random import RandomPolicy

BASELINES = (
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
"""In the order of the documentation and the simulator."""
