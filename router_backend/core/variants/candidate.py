"""One variant as a policy sees it."""

from router_backend.core.learning.resource_model import ResourceModel
from router_backend.core.records.basis import Basis
from router_backend.core.records.variant import Variant

NOTHING_LEARNED = ResourceModel()


class Candidate:
    """What is predicted for the request being routed at one variant.

    There is one object per variant, and each decision overwrites its figures, under the router's lock: an
    object per candidate and decision would cost as much as the choice itself. So a policy may keep numbers,
    but not candidates.

    Args:
        variant: name, device, characteristics.
        service_ms: predicted service time S.
        wait_ms: predicted wait W before service.
        variance: squared relative standard deviation of the predicted service time; 1 if it is a guess.
        utilization: how busy the variant was over the last seconds, per instance.
        in_flight: requests routed to it and not finished.
        concurrency: how many requests it serves at once.
        weight: how much it is preferred; the picker divides its cost by it. 1 is neutral.
        size: the request's size x.
        power: predicts `power_w`; `None` if nothing was measured.
        memory: predicts `memory_mb`.

    Attributes:
        basis: what the predicted service time is based on.
        mean_service_ms: mean predicted service time of what was sent there recently; 0 before the first.
        failure_share: share of its requests that failed of late.
        excess: what rare, very slow answers add to the mean service time, relative to the predicted one.
        excess_variance: the variance of `excess`.
        excess_trial_share: share of requests to try it with if it would be best without `excess`.
        trial_share: share of requests to try it with if it would be best without failures.
        prior_ms: service time that the model's analysis suggests; 0 if there is none.
        cost: set by the policy, in its own unit; the lowest is best.
    """

    __slots__ = (
        "_memory",
        "_power",
        "basis",
        "concurrency",
        "cost",
        "excess",
        "excess_trial_share",
        "excess_variance",
        "failure_share",
        "in_flight",
        "mean_service_ms",
        "service_ms",
        "size",
        "trial_share",
        "utilization",
        "variance",
        "variant",
        "wait_ms",
        "weight",
    )

    def __init__(
        self,
        variant: Variant,
        *,
        service_ms: float = 0.0,
        wait_ms: float = 0.0,
        variance: float = 0.0,
        utilization: float = 0.0,
        in_flight: int = 0,
        concurrency: int = 1,
        weight: float = 1.0,
        size: float = 1.0,
        power: ResourceModel | None = None,
        memory: ResourceModel = NOTHING_LEARNED,
    ) -> None:
        self.variant = variant
        self.service_ms = service_ms
        self.wait_ms = wait_ms
        self.variance = variance
        self.utilization = utilization
        self.in_flight = in_flight
        self.concurrency = concurrency
        self.weight = weight
        self.size = size
        self.basis = Basis.MEASURED
        self.mean_service_ms = 0.0
        self.failure_share = 0.0
        self.trial_share = 0.0
        self.excess = self.excess_variance = self.excess_trial_share = 0.0
        self.cost = 0.0
        self._power = power or ResourceModel(variant.assumed_power_w)
        self._memory = memory

    @property
    def latency_ms(self) -> float:
        """Predicted latency W + S."""
        return self.wait_ms + self.service_ms

    @property
    def power_w(self) -> float:
        """The request's expected share of the power that the device draws; assumed until it is measured."""
        return self._power.predict(self.size)

    @property
    def memory_mb(self) -> float | None:
        """Memory that the request is expected to take; `None` if unknown."""
        return self._memory.predict(self.size) or None

    @property
    def prior_ms(self) -> float:
        """Service time that the model's analysis suggests; 0 if there is none."""
        suitability = self.variant.suitability
        return (suitability.fixed_ms or 0.0) + (suitability.per_item_ms or 0.0) * self.size
