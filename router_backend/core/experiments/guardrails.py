"""What a treatment must not do, and how sure of it one must be to stop it."""

import math
from dataclasses import dataclass

from router_backend.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Guardrails:
    """Bounds on a treatment; it is stopped once it is beyond one of them with the stated certainty.

    Args:
        error_ratio: requests of the treatment may fail so many times as often as those of the control;
            None: as often as they like.
        slow_ratio: answers of the treatment may be above the control's p99 so many times as often as the
            control's own are; None: as often as they like.
        false_stop_rate: the probability with which a treatment that keeps within both is stopped, ever,
            however long it runs.
    """

    error_ratio: float | None = 1.5
    slow_ratio: float | None = 1.5
    false_stop_rate: float = 0.01

    def __post_init__(self) -> None:
        """Refuse bounds that mean nothing.

        Raises:
            ConfigurationError: a ratio below 1, a rate outside (0, 1).
        """
        for name, ratio in (("error_ratio", self.error_ratio), ("slow_ratio", self.slow_ratio)):
            if ratio is not None and not 1.0 <= ratio < math.inf:
                raise ConfigurationError(
                    path=name,
                    expected="a number of at least 1",
                    found=f"{ratio}",
                    fix="2 lets the treatment do it twice as often as the control",
                )
        if not 0.0 < self.false_stop_rate < 1.0:
            raise ConfigurationError(
                path="false_stop_rate", expected="a number between 0 and 1", found=f"{self.false_stop_rate}"
            )
