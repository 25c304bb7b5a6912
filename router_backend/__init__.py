"""The model router: a library that decides (`core`), and the Triton backend around it (`serving`)."""

from typing import TYPE_CHECKING, Any

from router_backend.baselines import BASELINES
from router_backend.core.choosing.decision import Execution, RoutingDecision
from router_backend.core.choosing.filters import FILTERS, Filter
from router_backend.core.choosing.ranking import CandidateReport
from router_backend.core.dispatch import Attempt, Dispatch
from router_backend.core.experiments.experiment import AssignBy, Experiment
from router_backend.core.experiments.guardrails import Guardrails
from router_backend.core.experiments.report import ExperimentReport
from router_backend.core.experiments.rollout import RolloutStep
from router_backend.core.policies.adaptive import AdaptiveRoutingPolicy
from router_backend.core.policies.base import Policy
from router_backend.core.policies.latency import LatencyOptimizedPolicy
from router_backend.core.policies.power import PowerEfficientPolicy
from router_backend.core.policies.registry import register_policies
from router_backend.core.policies.throughput import ThroughputOptimizedPolicy
from router_backend.core.records.characteristics import ModelCharacteristics, Quantization
from router_backend.core.records.outcome import Fault, Outcome
from router_backend.core.records.request import OptimizationGoal, Request, RoutingContext
from router_backend.core.records.suitability import Suitability
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.settings import ModelSettings
from router_backend.core.telemetry.snapshot import ModelMetrics, RoutingMetrics
from router_backend.core.variants.backends import BackendCapabilities
from router_backend.core.variants.candidate import Candidate
from router_backend.core.variants.capacity import Capacity, DeviceLimits
from router_backend.core.variants.profile import ModelProfile

if TYPE_CHECKING:
    from router_backend.config.builder import ModelRouterConfigBuilder

__all__ = [
    "FILTERS",
    "AdaptiveRoutingPolicy",
    "AssignBy",
    "Attempt",
    "BackendCapabilities",
    "Candidate",
    "CandidateReport",
    "Capacity",
    "Device",
    "DeviceLimits",
    "Dispatch",
    "Execution",
    "Experiment",
    "ExperimentReport",
    "Fault",
    "Filter",
    "Guardrails",
    "LatencyOptimizedPolicy",
    "ModelCharacteristics",
    "ModelMetrics",
    "ModelProfile",
    "ModelRouter",
    "ModelRouterConfigBuilder",
    "ModelSettings",
    "OptimizationGoal",
    "Outcome",
    "Policy",
    "PowerEfficientPolicy",
    "Quantization",
    "Request",
    "RolloutStep",
    "RoutingContext",
    "RoutingDecision",
    "RoutingMetrics",
    "Suitability",
    "ThroughputOptimizedPolicy",
    "Variant",
]


register_policies(*BASELINES)


def __getattr__(name: str) -> Any:
    """Import what belongs to the configuration on first use: routing works without it."""
    if name == "ModelRouterConfigBuilder":
        from router_backend.config.builder import ModelRouterConfigBuilder

        return ModelRouterConfigBuilder
    missing = f"module '{__name__}' has no attribute '{name}'"
    raise AttributeError(missing)
