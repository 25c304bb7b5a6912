"""The adaptive policy: a weighted balance of speed, energy, load, reliability and fit."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import ClassVar

from router_backend.core.policies.base import Choice, Policy
from router_backend.core.policies.baselines.least_cost import least_cost
from router_backend.core.policies.congestion_price import CongestionPrice
from router_backend.core.policies.energy import energy_mj
from router_backend.core.policies.exploration import ExplorationBudget
from router_backend.core.profile import VariantProfile
from router_backend.core.request import RoutingContext
from router_backend.core.variant import Device
from router_backend.errors import ConfigurationError, nearest

STATIC_SHAPES = frozenset({Device.NEURAL_ENGINE})
"""Devices that compile for fixed shapes, and do so again for each new one."""


class AdaptiveRoutingPolicy(Policy):
    """Least weighted sum of terms, each relative to the least of all candidates.

    The cost is Σ w · r / Σ w, where r = term / least term is 1 for the best candidate. The terms by weight:

    - `latency_weight`: W + S + price, in ms; the price is the latency policy's, paid in full for the backlog;
    - `resource_weight`: energy, power times S, in mJ;
    - `complexity_weight`: prior of the service time, which is the model's work for the device, in ms;
    - `quantization_weight`: 1 where the model's numbers are reduced, which are cheaper to move, else 2;
    - `dynamic_shape_weight`: 2 on a device that compiles for fixed shapes if the model's are open, else 1;
    - `history_weight`: 1 + the share of failures + the relative standard deviation of the prediction.

    A term that is not known of every candidate counts 1 for all. The sum is told in ms, times the least
    latency, so that probes are paid from the same budget as the latency policy's.

    Args:
        weights: by name; those that are left out keep their default.

    References:
        The specification's list of factors. Simple additive weighting over ratio-normalised criteria:
        Hwang and Yoon, Multiple Attribute Decision Making, 1981.
    """

    name: ClassVar[str] = "adaptive"

    DEFAULT_WEIGHTS: ClassVar[Mapping[str, float]] = {
        "complexity_weight": 0.05,
        "latency_weight": 0.5,
        "quantization_weight": 0.05,
        "dynamic_shape_weight": 0.05,
        "resource_weight": 0.3,
        "history_weight": 0.05,
    }
    PRICE = CongestionPrice(nowhere_else=1.0, power=0)
    """Paid as if later requests could go nowhere else: a thrifty device attracts all of them."""

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        by_name = {**self.DEFAULT_WEIGHTS, **(weights or {})}
        total = sum(by_name.values())
        self._weights = {name: weight / total for name, weight in by_name.items() if weight}
        self._exploration = ExplorationBudget()

    @classmethod
    def create(cls, argument: str, parameters: Mapping[str, str]) -> AdaptiveRoutingPolicy:
        """A new one with the weights of a configuration."""
        if argument:
            raise ConfigurationError(f"policy: expected '{cls.name}' alone, found '{cls.name}:{argument}'")
        weights = {name: cls._weight(name, text) for name, text in parameters.items()}
        if not any({**cls.DEFAULT_WEIGHTS, **weights}.values()):
            raise ConfigurationError(
                f"policy '{cls.name}': expected a weight above 0, found none: raise one of them"
            )
        return cls(weights)

    @classmethod
    def _weight(cls, name: str, text: str) -> float:
        if name not in cls.DEFAULT_WEIGHTS:
            known = list(cls.DEFAULT_WEIGHTS)
            raise ConfigurationError(
                f"policy '{cls.name}': expected one of the parameters {', '.join(known)}, "
                f"found '{name}'{nearest(name, known)}"
            )
        try:
            weight = float(text)
        except ValueError:
            weight = math.nan
        if not 0.0 <= weight < math.inf:
            raise ConfigurationError(
                f"policy '{cls.name}', parameter '{name}': expected a number of 0 or more, found '{text}'"
            )
        return weight

    def choose(
        self, candidates: list[VariantProfile], context: RoutingContext, now_s: float, rng: random.Random
    ) -> Choice:
        """Pick the least sum."""
        self.PRICE.cheapest(candidates, context.priority)
        terms = {name: [TERMS[name](candidate, now_s) for candidate in candidates] for name in self._weights}
        for candidate in candidates:
            candidate.cost = 0.0
        for name, weight in self._weights.items():
            _add(candidates, terms[name], weight)
        least_ms = min(candidate.latency_ms for candidate in candidates)
        for candidate in candidates:
            candidate.cost *= least_ms / candidate.weight
        best = least_cost(candidates)
        probe = self._exploration.probe(candidates, best)
        return Choice(best) if probe is None else Choice(probe, 1.0, True)


def _add(candidates: list[VariantProfile], terms: list[float], weight: float) -> None:
    """Add a term relative to its least; one that is not known (0) of some candidate counts 1 for all."""
    least = min(terms)
    for candidate, term in zip(candidates, terms, strict=True):
        candidate.cost += weight * term / least if least > 0.0 else weight


def _latency(candidate: VariantProfile, _: float) -> float:
    return candidate.cost * candidate.weight


def _energy(candidate: VariantProfile, _: float) -> float:
    return energy_mj(candidate)


def _complexity(candidate: VariantProfile, _: float) -> float:
    return candidate.prior_ms


def _quantization(candidate: VariantProfile, _: float) -> float:
    characteristics = candidate.variant.characteristics
    if characteristics is None:
        return 0.0
    return 1.0 if characteristics.quantization else 2.0


def _dynamic_shape(candidate: VariantProfile, _: float) -> float:
    characteristics = candidate.variant.characteristics
    is_open = characteristics is not None and bool(characteristics.dynamic_dimensions)
    return 2.0 if is_open and candidate.variant.device in STATIC_SHAPES else 1.0


def _history(candidate: VariantProfile, now_s: float) -> float:
    ended = candidate.successes + candidate.failures
    failed = candidate.failures / ended if ended else 0.0
    return 1.0 + failed + math.sqrt(candidate.latency.relative_variance(now_s))


TERMS = {
    "complexity_weight": _complexity,
    "latency_weight": _latency,
    "quantization_weight": _quantization,
    "dynamic_shape_weight": _dynamic_shape,
    "resource_weight": _energy,
    "history_weight": _history,
}
