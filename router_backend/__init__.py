"""The model router: a library that chooses (`core`), and the Triton backend around it (`serving`)."""

from typing import TYPE_CHECKING, Any

from router_backend.baselines import BASELINES
from router_backend.core.choosing.decision import Candidate, RoutingDecision
from router_backend.core.experiments.experiment import AssignBy, Experiment
from router_backend.core.experiments.guardrails import Guardrails
from router_backend.core.experiments.report import ExperimentReport
from router_backend.core.experiments.rollout import RolloutStep
from router_backend.core.policies.adaptive import AdaptiveRoutingPolicy
from router_backend.core.policies.latency import LatencyOptimizedPolicy
from router_backend.core.policies.power import PowerEfficientPolicy
from router_backend.core.policies.registry import register_policies
from router_backend.core.policies.throughput import ThroughputOptimizedPolicy
from router_backend.core.records.characteristics import ModelCharacteristics, Quantization
from router_backend.core.records.request import OptimizationGoal, RoutingContext
from router_backend.core.records.suitability import Suitability
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.settings import ModelSettings
from router_backend.core.variants.backends import BackendCapabilities
from router_backend.core.variants.capacity import Capacity, DeviceLimits
from router_backend.core.variants.health import Fault

if TYPE_CHECKING:
    from router_backend.config.builder import ModelRouterConfigBuilder

__all__ = [
    "AdaptiveRoutingPolicy",
    "AssignBy",
    "BackendCapabilities",
    "Candidate",
    "Capacity",
    "Device",
    "DeviceLimits",
    "Experiment",
    "ExperimentReport",
    "Fault",
    "Guardrails",
    "LatencyOptimizedPolicy",
    "ModelCharacteristics",
    "ModelRouter",
    "ModelRouterConfigBuilder",
    "ModelSettings",
    "OptimizationGoal",
    "PowerEfficientPolicy",
    "Quantization",
    "RolloutStep",
    "RoutingContext",
    "RoutingDecision",
    "Suitability",
    "ThroughputOptimizedPolicy",
    "Variant",
]


register_policies(*BASELINES)


def __getattr__(name: str) -> Any:
    """What belongs to the configuration is imported when it is asked for: the deciding part does without."""
    if name == "ModelRouterConfigBuilder":
        from router_backend.config.builder import ModelRouterConfigBuilder

        return ModelRouterConfigBuilder
    missing = f"module '{__name__}' has no attribute '{name}'"
    raise AttributeError(missing)
