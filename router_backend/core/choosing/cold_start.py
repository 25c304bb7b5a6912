"""What a variant that was never measured is taken for."""

import math

from router_backend.core.variants.profile import VariantProfile


class ColdStart:
    """Guesses by a variant's prior, else so that small requests try the unknown variants, one at a time.

    Attributes:
        typical_log_size: log2 of the geometric mean of the sizes that came while a variant was unknown; None:
            none came yet.
    """

    UNTRIED_SHARE_OF_BEST = 0.5
    DEFERRED_SHARE_OF_BEST = 4.0
    UNKNOWN_SERVICE_MS = 1.0
    TYPICAL_STEP = 0.1
    TYPICAL_SPREAD = 0.5

    def __init__(self) -> None:
        self.typical_log_size: float | None = None

    def guess(self, candidates: list[VariantProfile], size: float) -> None:
        """Set service and wait of the candidates that are unknown, for a request of `size`.

        A large request, and one that comes while an unknown variant is being tried, takes those without
        a prior for slow.
        """
        known = [candidate.service_ms for candidate in candidates if candidate.latency.known]
        unknown = [candidate for candidate in candidates if not candidate.latency.known]
        best_ms = min(known, default=self.UNKNOWN_SERVICE_MS)
        tried = any(candidate.load.in_flight for candidate in unknown)
        small = self._is_small(size)
        share = self.UNTRIED_SHARE_OF_BEST if small and not tried else self.DEFERRED_SHARE_OF_BEST
        for candidate in unknown:
            prior_ms = candidate.prior_ms
            candidate.service_ms = prior_ms or share * best_ms
            candidate.wait_ms = (prior_ms or best_ms) * candidate.load.in_flight

    def _is_small(self, size: float) -> bool:
        """Whether a request is no larger than is typical.

        A mean that was once below a steady size never quite reaches it: within √2 counts as typical.
        """
        log_size = math.log2(size)
        if self.typical_log_size is None:
            self.typical_log_size = log_size
        self.typical_log_size += self.TYPICAL_STEP * (log_size - self.typical_log_size)
        return log_size <= self.typical_log_size + self.TYPICAL_SPREAD
