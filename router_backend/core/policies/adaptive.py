"""The adaptive policy: a weighted balance of speed, energy, load, reliability and fit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

from router_backend.core.policies.base import Policy
from router_backend.core.policies.congestion_price import CongestionPrice
from router_backend.core.policies.energy import energy_mj
from router_backend.core.records.request import Request
from router_backend.core.records.variant import Device, Variant
from router_backend.core.variants.candidate import Candidate
from router_backend.errors import ConfigurationError, nearest

STATIC_SHAPES = frozenset({Device.NEURAL_ENGINE})
"""Devices that compile for fixed shapes, and do so again for each new one."""


class AdaptiveRoutingPolicy(Policy):
    """Least weighted sum of amounts, each relative to what it is at the soonest candidates, times marks.

    The cost is Σ w · t / t̄ · Π m^(w / Σ w), where t̄ is the mean of the amount t over recent requests at the
    candidate that would have answered each one first. So a percent of the mean of one amount counts as much
    as a percent of that of another, by weight: the sum is the gradient of Σ w · ln t̄, which is to say that
    large requests, of which the means are made, decide where they go by what they cost, while for small
    ones a difference of many times may not matter. The reference does not depend on what is chosen: energy
    that is saved, or a queue at a thrifty device, does not make energy dearer still. The amounts t:

    - `latency_weight`: W + S + price, in ms, as the latency policy has it;
    - `resource_weight`: energy, power times S, in mJ;
    - `complexity_weight`: prior of the service time, which is the model's work for the device, in ms; left
      out where some candidate has none.

    The marks m, 1 for the best:

    - `quantization_weight`: 1 where the model's numbers are known to be reduced, which are cheaper to move,
      else 2;
    - `dynamic_shape_weight`: 2 on a device that compiles for fixed shapes if the model's are open, else 1;
    - `history_weight`: 1 + the share of failures + the relative standard deviation of the prediction.

    The cost is told in ms, so that probes are paid from the same budget as the latency policy's.

    Args:
        weights: by name; those that are left out keep their default.

    References:
        The specification's list of factors. Simple additive weighting: Hwang and Yoon, Multiple Attribute
        Decision Making, 1981. Sums relative to means as the gradient of logarithms: proportional fairness,
        Kelly, Maulloo and Tan, Journal of the Operational Research Society 49 (1998).
    """

    name: ClassVar[str] = "adaptive"
    explores: ClassVar[bool] = True

    DEFAULT_WEIGHTS: ClassVar[Mapping[str, float]] = {
        "complexity_weight": 0.05,
        "latency_weight": 0.4,
        "quantization_weight": 0.05,
        "dynamic_shape_weight": 0.05,
        "resource_weight": 0.4,
        "history_weight": 0.05,
    }
    PRICE = CongestionPrice()
    REFERENCE_STEP = 0.01

    def __init__(self, weights: Mapping[str, float] | None = None) -> None:
        by_name = {**self.DEFAULT_WEIGHTS, **(weights or {})}
        total = sum(by_name.values())
        self._share = {name: weight / total for name, weight in by_name.items()}
        self._amounts = _Amounts(self._share, self.REFERENCE_STEP)
        self._history_share = self._share["history_weight"]
        self._fits: dict[str, float] = {}

    @classmethod
    def create(cls, argument: str, parameters: Mapping[str, str]) -> AdaptiveRoutingPolicy:
        """A new one with the weights of a configuration."""
        if argument:
            raise ConfigurationError(
                where=f"policy '{cls.name}'", expected=f"'{cls.name}' alone", found=f"'{cls.name}:{argument}'"
            )
        weights = {name: cls._weight(name, text) for name, text in parameters.items()}
        if not any({**cls.DEFAULT_WEIGHTS, **weights}.values()):
            raise ConfigurationError(
                where=f"policy '{cls.name}'",
                path="parameters",
                expected="a weight above 0",
                found="none",
                fix="raise one of them",
            )
        return cls(weights)

    @classmethod
    def _weight(cls, name: str, text: str) -> float:
        if name not in cls.DEFAULT_WEIGHTS:
            known = list(cls.DEFAULT_WEIGHTS)
            raise ConfigurationError(
                where=f"policy '{cls.name}'",
                path="parameters",
                expected=f"only {', '.join(known)}",
                found=f"'{name}'",
                hint=nearest(name, known),
            )
        try:
            weight = float(text)
        except ValueError:
            weight = math.nan
        if not 0.0 <= weight < math.inf:
            raise ConfigurationError(
                where=f"policy '{cls.name}'",
                path=f"parameters.{name}",
                expected="a number of 0 or more",
                found=f"'{text}'",
            )
        return weight

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        """Set the weighted sum as cost, expressed as latency."""
        energies_mj = [energy_mj(candidate) for candidate in candidates]
        per_ms, per_mj, per_prior_ms = self._amounts.factors(candidates, energies_mj)
        history_share, fits = self._history_share, self._fits
        self.PRICE.set_costs(candidates, request.context.priority)
        for candidate, mj in zip(candidates, energies_mj, strict=True):
            weight = candidate.weight
            amounts = per_ms * candidate.cost * weight + per_mj * mj
            if per_prior_ms:
                amounts += per_prior_ms * candidate.prior_ms
            fit = fits.get(candidate.variant.name) or self._fit_of(candidate.variant)
            marks = fit * _history(candidate) ** history_share
            candidate.cost = (amounts or 1.0) * marks / weight  # marks alone where no amount has a weight

    def _fit_of(self, variant: Variant) -> float:
        """The product of the marks of model and device, which do not change."""
        fit: float = _quantization(variant) ** self._share["quantization_weight"]
        fit *= _dynamic_shape(variant) ** self._share["dynamic_shape_weight"]
        self._fits[variant.name] = fit
        return fit


class _Amounts:
    """What a ms and a mJ are worth, in ms of the amount of the largest weight.

    Args:
        share: the weights by name.
        step: of the means.
    """

    __slots__ = ("_energy", "_latency", "_mean_mj", "_mean_ms", "_mean_prior_ms", "_step", "_work")

    def __init__(self, share: Mapping[str, float], step: float) -> None:
        weights = [share[f"{name}_weight"] for name in ("latency", "resource", "complexity")]
        most = max(weights)
        self._latency, self._energy, self._work = (weight / most if most else 0.0 for weight in weights)
        self._step = step
        self._mean_ms = self._mean_mj = self._mean_prior_ms = 0.0

    def factors(
        self, candidates: Sequence[Candidate], energies_mj: list[float]
    ) -> tuple[float, float, float]:
        """Of latency, energy and prior; the request being routed counts for the means."""
        latencies_ms = [candidate.wait_ms + candidate.service_ms for candidate in candidates]
        least_ms = min(latencies_ms)
        soonest = latencies_ms.index(least_ms)
        step = self._step if self._mean_ms else 1.0
        self._mean_ms += step * (least_ms - self._mean_ms)
        self._mean_mj += step * (energies_mj[soonest] - self._mean_mj)
        per_mj = self._energy * self._mean_ms / self._mean_mj
        return self._latency, per_mj, self._work and self._work_factor(candidates, soonest)

    def _work_factor(self, candidates: Sequence[Candidate], soonest: int) -> float:
        """Of the prior; 0 where some candidate has none."""
        if not all(candidate.prior_ms for candidate in candidates):
            return 0.0
        step = self._step if self._mean_prior_ms else 1.0
        self._mean_prior_ms += step * (candidates[soonest].prior_ms - self._mean_prior_ms)
        return self._work * self._mean_ms / self._mean_prior_ms


def _quantization(variant: Variant) -> float:
    characteristics = variant.characteristics
    return 1.0 if characteristics is not None and characteristics.quantization else 2.0


def _dynamic_shape(variant: Variant) -> float:
    characteristics = variant.characteristics
    is_open = characteristics is not None and bool(characteristics.dynamic_dimensions)
    return 2.0 if is_open and variant.device in STATIC_SHAPES else 1.0


def _history(candidate: Candidate) -> float:
    return 1.0 + candidate.failure_share + math.sqrt(candidate.variance)
