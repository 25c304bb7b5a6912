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
from router_backend.errors import ConfigurationError

STATIC_SHAPES = frozenset({Device.NEURAL_ENGINE})
"""Devices that compile a model for fixed shapes, and again for each new shape."""


class AdaptiveRoutingPolicy(Policy):
    """Lowest weighted sum of amounts, each relative to its recent mean, times penalties.

    The cost is Σ w · t / t̄ · Π m^(w / Σ w), where t̄ is the mean of the amount t over recent requests at the
    candidate that would have answered each of them first. So, by weight, a percent of one mean counts as much
    as a percent of another: the sum is the gradient of Σ w · ln t̄. Large requests, which dominate the means,
    go where their sum is lowest, while for small ones even a large ratio may not matter. The means do not
    depend on the choice: saving energy, or queueing at an efficient device, does not raise the price of
    energy further. The amounts t:

    - `latency_weight`: W + S + price in ms, as in the latency policy, by priority too;
    - `resource_weight`: energy, power times S, in mJ;
    - `complexity_weight`: prior of the service time in ms, the model's work for the device; ignored if a
      candidate has none.

    The penalties m, 1 if there is none:

    - `quantization_weight`: 1 if the model is known to be quantized, which moves fewer bytes, else 2;
    - `dynamic_shape_weight`: 2 for a model with dynamic shapes on a device that compiles for fixed ones;
    - `history_weight`: 1 + the share of failures + the relative standard deviation of the prediction.

    The cost is in ms, as exploration requires.

    Args:
        weights: by name; the others keep their defaults.

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
        self._unit_costs = _UnitCosts(self._share, self.REFERENCE_STEP)
        self._history_share = self._share["history_weight"]
        self._fits: dict[str, float] = {}

    @classmethod
    def create(cls, argument: str, parameters: Mapping[str, str]) -> AdaptiveRoutingPolicy:
        """Return a new policy with the weights of a configuration."""
        cls.refuse_argument(argument)
        cls.refuse_parameters(parameters, cls.DEFAULT_WEIGHTS)
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
        per_ms, per_mj, per_prior_ms = self._unit_costs.update(
            candidates, energies_mj, learns=not request.context.dry_run
        )
        history_share, fits = self._history_share, self._fits
        self.PRICE.set_costs(candidates, request.context.priority)
        for candidate, mj in zip(candidates, energies_mj, strict=True):
            amounts = per_ms * candidate.cost + per_mj * mj
            if per_prior_ms:
                amounts += per_prior_ms * candidate.prior_ms
            fit = fits.get(candidate.variant.name) or self._fit_of(candidate.variant)
            penalty = fit * _history(candidate) ** history_share
            candidate.cost = (amounts or 1.0) * penalty  # penalty alone if no amount has a weight

    def _fit_of(self, variant: Variant) -> float:
        """Return the product of the penalties that only depend on model and device."""
        fit: float = _quantization(variant) ** self._share["quantization_weight"]
        fit *= _dynamic_shape(variant) ** self._share["dynamic_shape_weight"]
        self._fits[variant.name] = fit
        return fit


class _UnitCosts:
    """The cost of a ms of latency, a mJ of energy and a ms of prior, by weight and recent mean."""

    __slots__ = ("_energy", "_latency", "_mean_mj", "_mean_ms", "_mean_prior_ms", "_step", "_work")

    def __init__(self, share: Mapping[str, float], step: float) -> None:
        weights = [share[f"{name}_weight"] for name in ("latency", "resource", "complexity")]
        highest = max(weights)
        self._latency, self._energy, self._work = (w / highest if highest else 0.0 for w in weights)
        self._step = step
        self._mean_ms = self._mean_mj = self._mean_prior_ms = 0.0

    def update(
        self, candidates: Sequence[Candidate], energies_mj: list[float], *, learns: bool
    ) -> tuple[float, float, float]:
        """Return the unit costs of latency, energy and prior, with the request being routed in the means.

        These keep it if it `learns`.
        """
        latencies_ms = [candidate.wait_ms + candidate.service_ms for candidate in candidates]
        lowest_ms = min(latencies_ms)
        soonest = latencies_ms.index(lowest_ms)
        step = self._step if self._mean_ms else 1.0
        mean_ms = self._mean_ms + step * (lowest_ms - self._mean_ms)
        mean_mj = self._mean_mj + step * (energies_mj[soonest] - self._mean_mj)
        if learns:
            self._mean_ms, self._mean_mj = mean_ms, mean_mj
        per_prior_ms = 0.0
        if self._work and all(candidate.prior_ms for candidate in candidates):
            per_prior_ms = self._work * mean_ms / self._mean_with(candidates[soonest].prior_ms, learns=learns)
        return self._latency, self._energy * mean_ms / mean_mj, per_prior_ms

    def _mean_with(self, prior_ms: float, *, learns: bool) -> float:
        """Return the mean of the priors with one more."""
        step = self._step if self._mean_prior_ms else 1.0
        mean_prior_ms = self._mean_prior_ms + step * (prior_ms - self._mean_prior_ms)
        if learns:
            self._mean_prior_ms = mean_prior_ms
        return mean_prior_ms


def _quantization(variant: Variant) -> float:
    characteristics = variant.characteristics
    return 1.0 if characteristics is not None and characteristics.quantization else 2.0


def _dynamic_shape(variant: Variant) -> float:
    characteristics = variant.characteristics
    is_open = characteristics is not None and bool(characteristics.dynamic_dimensions)
    return 2.0 if is_open and variant.device in STATIC_SHAPES else 1.0


def _history(candidate: Candidate) -> float:
    return 1.0 + candidate.failure_share + math.sqrt(candidate.variance)
