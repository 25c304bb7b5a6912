"""The limits at which a treatment is stopped."""

import math
from dataclasses import dataclass

from router_backend.errors import require


@dataclass(frozen=True, slots=True)
class Guardrails:
    """Limits of a treatment; it is stopped once it exceeds one of them with the given certainty.

    Args:
        error_ratio: how many times as often as the control's the treatment's requests may fail; `None` for no
            limit.
        slow_ratio: how many times as often as the control's the treatment's answers may be above the
            control's p99; `None` for no limit.
        false_stop_rate: the probability that a treatment within all limits is ever stopped, no matter how
            long it runs.
        mean_ratio: how many times as long as the control's the treatment's answers may take in the mean;
            `None` for no limit.
    """

    error_ratio: float | None = 1.5
    slow_ratio: float | None = 1.5
    false_stop_rate: float = 0.01
    mean_ratio: float | None = 1.5

    def __post_init__(self) -> None:
        """Reject invalid limits.

        Raises:
            ConfigurationError: a ratio below 1, a rate outside (0, 1).
        """
        for name in ("error_ratio", "slow_ratio", "mean_ratio"):
            ratio = getattr(self, name)
            valid = ratio is None or 1.0 <= ratio < math.inf
            fix = "2 lets the treatment have twice as much of it as the control"
            require(valid, name, "a number of at least 1", ratio, fix=fix)
        rate = self.false_stop_rate
        require(0.0 < rate < 1.0, "false_stop_rate", "a number between 0 and 1", rate)
