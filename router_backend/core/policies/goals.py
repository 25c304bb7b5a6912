"""The policy of each optimization goal."""

from collections.abc import Mapping
from types import MappingProxyType

from router_backend.core.records.request import OptimizationGoal

POLICY_OF_GOAL: Mapping[OptimizationGoal, str] = MappingProxyType(
    {
        OptimizationGoal.MINIMIZE_LATENCY: "latency",
        OptimizationGoal.MAXIMIZE_THROUGHPUT: "throughput",
        OptimizationGoal.MINIMIZE_POWER: "power",
        OptimizationGoal.BALANCED: "adaptive",
    }
)
