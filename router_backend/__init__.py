"""The model router: a library that chooses (`core`), and the Triton backend around it (`serving`)."""

from router_backend.core.backends import BackendCapabilities
from router_backend.core.capacity import Capacity, DeviceLimits
from router_backend.core.characteristics import ModelCharacteristics, Quantization
from router_backend.core.decision import Candidate, RoutingDecision
from router_backend.core.experiments.experiment import AssignBy, Experiment
from router_backend.core.experiments.guardrails import Guardrails
from router_backend.core.experiments.report import ExperimentReport
from router_backend.core.experiments.rollout import RolloutStep
from router_backend.core.health import Fault
from router_backend.core.request import OptimizationGoal, RoutingContext
from router_backend.core.router import ModelRouter
from router_backend.core.router_config import RouterConfig
from router_backend.core.suitability import Suitability
from router_backend.core.variant import Device, Variant

__all__ = [
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
    "ModelCharacteristics",
    "ModelRouter",
    "OptimizationGoal",
    "Quantization",
    "RolloutStep",
    "RouterConfig",
    "RoutingContext",
    "RoutingDecision",
    "Suitability",
    "Variant",
]
