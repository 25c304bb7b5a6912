"""The service time that is assumed for variants that were never measured."""

import math

from router_backend.core.variants.state import VariantState


class ColdStart:
    """Guesses by a variant's prior, or else so that small requests try the unknown variants, one at a time.

    Attributes:
        typical_log_size: log2 of the geometric mean size of requests while a variant was unknown; `None`
            before the first.
    """

    UNTRIED_SHARE_OF_BEST = 0.5
    DEFERRED_SHARE_OF_BEST = 4.0
    UNKNOWN_SERVICE_MS = 1.0
    TYPICAL_STEP = 0.1
    TYPICAL_SPREAD = 0.5

    def __init__(self) -> None:
        self.typical_log_size: float | None = None

    def guess(self, states: list[VariantState], size: float) -> None:
        """Set service and wait of the unknown variants' candidates, for a request of `size`.

        Variants without a prior are assumed to be slow for a large request, and while one is being tried.
        """
        known = [state.candidate.service_ms for state in states if state.profile.latency.known]
        unknown = [state.candidate for state in states if not state.profile.latency.known]
        best_ms = min(known, default=self.UNKNOWN_SERVICE_MS)
        tried = any(candidate.in_flight for candidate in unknown)
        small = self._is_small(size)
        share = self.UNTRIED_SHARE_OF_BEST if small and not tried else self.DEFERRED_SHARE_OF_BEST
        for candidate in unknown:
            prior_ms = candidate.prior_ms
            candidate.service_ms = prior_ms or share * best_ms
            candidate.wait_ms = (prior_ms or best_ms) * candidate.in_flight

    def _is_small(self, size: float) -> bool:
        """Return whether a request is at most of typical size, or within √2 of it.

        A mean that was once below a steady size never quite reaches it.
        """
        log_size = math.log2(size)
        if self.typical_log_size is None:
            self.typical_log_size = log_size
        self.typical_log_size += self.TYPICAL_STEP * (log_size - self.typical_log_size)
        return log_size <= self.typical_log_size + self.TYPICAL_SPREAD
