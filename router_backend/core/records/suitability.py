"""What is known about a variant before it has served a request."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Suitability:
    """Whether a device can run a model, and priors of what a request takes there.

    Args:
        reason_out: why the device cannot run the model; `None` if it presumably can.
        fixed_ms: prior of the service time, the part per request; `None` if there is no prior.
        per_item_ms: prior of the service time, the part per item of the batch; `None` if there is no prior.
        memory_mb: prior of the memory; `None` if unknown.
        power_w: prior of the power that the device draws while all of the variant's instances serve; `None`
            if unknown.
    """

    reason_out: str | None = None
    fixed_ms: float | None = None
    per_item_ms: float | None = None
    memory_mb: float | None = None
    power_w: float | None = None


UNKNOWN = Suitability()
