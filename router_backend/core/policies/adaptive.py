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
from router_backend.core.variant import Device, Variant
from router_backend.errors import ConfigurationError, nearest

STATIC_SHAPES = frozenset({Device.NEURAL_ENGINE})
"""Devices that compile for fixed shapes, and do so again for each new one."""


class AdaptiveRoutingPolicy(Policy):
    """Least weighted geometric mean of terms: Π t^(w / Σ w).

    A percent of a term of weight 0.5 counts as much as a percent of each of two of weight 0.25, whatever
    the unit, so that nothing has to be scaled, and neither a very slow nor a very hungry candidate looks
    better because another is worse still. The terms t by weight:

    - `latency_weight`: W + S + price, in ms; the price is the latency policy's, paid in full for the backlog;
    - `resource_weight`: energy, power times S, in mJ;
    - `complexity_weight`: prior of the service time, which is the model's work for the device, in ms; left
      out where some candidate has none;
    - `quantization_weight`: 1 where the model's numbers are known to be reduced, which are cheaper to move,
      else 2;
    - `dynamic_shape_weight`: 2 on a device that compiles for fixed shapes if the model's are open, else 1;
    - `history_weight`: 1 + the share of failures + the relative standard deviation of the prediction.

    The cost is told in ms, the least latency times the mean relative to the least, so that probes are paid
    from the same budget as the latency policy's.

    Args:
        weights: by name; those that are left out keep their default.

    References:
        The specification's list of factors. The weighted product model: Bridgman, Dimensional Analysis, 1922;
        Triantaphyllou, Multi-Criteria Decision Making Methods, 2000. With latency and energy alone and equal
        weights it is the energy-delay product: Gonzalez and Horowitz, IEEE JSSC 31 (1996).
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
        self._share = {name: weight / total for name, weight in by_name.items()}
        self._fit: dict[str, float] = {}
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
        """Pick the least mean."""
        share = self._share
        latency_share, energy_share = share["latency_weight"], share["resource_weight"]
        history_share, work_share = share["history_weight"], share["complexity_weight"]
        if work_share and not all(candidate.prior_ms for candidate in candidates):
            work_share = 0.0
        self.PRICE.set_costs(candidates, context.priority)
        least_ms = least_mean = math.inf
        for candidate in candidates:
            weight = candidate.weight
            mean = (
                (candidate.cost * weight) ** latency_share
                * energy_mj(candidate) ** energy_share
                * _history(candidate, now_s) ** history_share
                * self._fit_of(candidate.variant)
                / weight
            )
            if work_share:
                mean *= candidate.prior_ms**work_share
            candidate.cost = mean
            least_mean = min(least_mean, mean)
            least_ms = min(least_ms, candidate.wait_ms + candidate.service_ms)
        ms_per_mean = least_ms / least_mean
        for candidate in candidates:
            candidate.cost *= ms_per_mean
        best = least_cost(candidates)
        probe = self._exploration.probe(candidates, best, now_s)
        return Choice(best) if probe is None else Choice(probe, 1.0, True)

    def _fit_of(self, variant: Variant) -> float:
        """What the model is for the device, which does not change: its terms' part of the mean."""
        fit = self._fit.get(variant.name)
        if fit is None:
            fit = _quantization(variant) ** self._share["quantization_weight"]
            fit *= _dynamic_shape(variant) ** self._share["dynamic_shape_weight"]
            self._fit[variant.name] = fit
        return fit


def _quantization(variant: Variant) -> float:
    characteristics = variant.characteristics
    return 1.0 if characteristics is not None and characteristics.quantization else 2.0


def _dynamic_shape(variant: Variant) -> float:
    characteristics = variant.characteristics
    is_open = characteristics is not None and bool(characteristics.dynamic_dimensions)
    return 2.0 if is_open and variant.device in STATIC_SHAPES else 1.0


def _history(candidate: VariantProfile, now_s: float) -> float:
    ended = candidate.successes + candidate.failures
    failed = candidate.failures / ended if ended else 0.0
    return 1.0 + failed + math.sqrt(candidate.latency.relative_variance(now_s))
