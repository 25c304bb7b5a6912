"""What can be said of a variant before it has served anything."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Suitability:
    """Whether a device can run a model, and what is to be expected of it there.

    Args:
        reason_out: why the device cannot run the model; None: nothing speaks against it.
        fixed_ms: prior of the service time, the part that every request takes; None: there is no prior.
        per_item_ms: prior of the service time, the part that each item of the batch adds.
        memory_mb: prior of the memory that it takes; None: not known.
        power_w: prior of the power drawn while it serves; None: not known.
    """

    reason_out: str | None = None
    fixed_ms: float | None = None
    per_item_ms: float | None = None
    memory_mb: float | None = None
    power_w: float | None = None


UNKNOWN = Suitability()
