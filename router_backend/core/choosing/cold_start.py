"""The service time that is assumed for variants that were not measured, or only once."""

import math
from collections.abc import Mapping
from types import MappingProxyType

from router_backend.core.records.basis import Basis
from router_backend.core.records.request import Request
from router_backend.core.records.variant import Device
from router_backend.core.variants.state import VariantState

USUAL_SLOWNESS: Mapping[Device, float] = MappingProxyType(
    {Device.GPU: 1.0, Device.NEURAL_ENGINE: 1.0, Device.MPS: 2.0, Device.CPU: 5.0}
)
"""Service time of the same model on kinds of devices, relative to a GPU: the order of magnitude of published
tables. It only decides in which order unknown variants are tried."""


class ColdStart:
    """Guesses by a variant's prior, or else so that small requests try the unknown variants, one at a time.

    A variant is unknown until its second answer, since the first is often slow. If the first was not much
    slower than the best variant would be, it is believed; otherwise the variant is tried again. So is one
    whose few answers are slower than usual for its kind of device (`FirstAnswers`), by requests without a
    deadline.

    One at a time, except while there is no answer at all: the first calls that run may be cold, and may take
    long. The more requests wait for one of these, the less a request that would wait, too, has to lose by
    the first call of another variant, which somebody must make. Each request before it is assumed to take as
    long as the running one has taken so far.

    A prior is believed until there were four times as many requests as it is slower than the best: trying the
    variant then costs a quarter of a request more, and measures it.

    Args:
        tried_by_copies: whether copies of requests try unknown variants, so that requests need not.

    Attributes:
        small_log_size: log2 of the size below which a tenth of the requests are, as of late.
    """

    UNTRIED_SHARE = 0.5
    DEFERRED_SHARE = 1.5
    UNKNOWN_SERVICE_MS = 1.0
    BELIEVED_SHARE_OF_BEST = 1.5
    PATIENCE = 4.0
    SMALL_SHARE = 0.1
    SMALL_STEP = 0.5
    SMALL_SPREAD = 0.5  # more than one step down, so that requests of one size are all small

    def __init__(self, *, tried_by_copies: bool = False) -> None:
        self._by_copies = tried_by_copies
        self.small_log_size: float | None = None
        self._requests = 0

    def guess(self, states: list[VariantState], size: float, request: Request) -> None:
        """Set service and wait of the unknown variants' candidates, for a request of `size`.

        Variants without a prior are assumed to be slow for a large request, and while one is being tried.
        """
        if not request.context.dry_run:
            self._count(math.log2(size))
        seen = [(state.variant.device, ms) for state in states if (ms := _seen_ms(state, size))]
        least_ms = self.UNKNOWN_SERVICE_MS if seen else self._least_ms(states, request.now_s)
        best_ms = min((ms for _, ms in seen), default=least_ms)
        usual_ms = min((ms / USUAL_SLOWNESS[device] for device, ms in seen), default=least_ms)
        doubtful = []
        for state in states:
            if state.candidate.service_ms:
                continue
            latency = state.profile.latency
            first_ms = latency.believed_ms(size)
            expected_ms = usual_ms * USUAL_SLOWNESS[state.variant.device] if latency.known else best_ms
            believed = first_ms <= self.BELIEVED_SHARE_OF_BEST * max(best_ms, expected_ms)
            if first_ms and (believed or (request.deadline_ms is not None and latency.known)):
                _assume(state, first_ms, first_ms, state.basis)
            else:
                doubtful.append((state, first_ms))
        one_is_tried = any(state.load.in_flight for state, _ in doubtful)
        for state, first_ms in doubtful:
            may_try = not one_is_tried or not (seen or state.load.in_flight)
            share = self._share(size, may_try=may_try)
            guess_ms = prior_ms = state.candidate.prior_ms
            if not prior_ms or self._is_tried(share, prior_ms / best_ms):
                guess_ms = share * usual_ms * USUAL_SLOWNESS[state.variant.device]
                if seen and share == self.UNTRIED_SHARE:
                    guess_ms = min(guess_ms, share * best_ms)
                elif state.load.in_flight:
                    guess_ms = max(guess_ms, share * best_ms)
            guess_ms = min(guess_ms, first_ms) if first_ms else guess_ms
            basis = Basis.PRIOR if prior_ms else Basis.GUESS
            _assume(state, guess_ms, max(guess_ms, best_ms, state.load.longest_ms(request.now_s)), basis)

    def _least_ms(self, states: list[VariantState], now_s: float) -> float:
        """Return what a request takes on a GPU at least, if those that are served have had no answer yet."""
        running = [state.load.longest_ms(now_s) / USUAL_SLOWNESS[state.variant.device] for state in states]
        return max(self.UNKNOWN_SERVICE_MS, *running)

    def _is_tried(self, share: float, slower: float) -> bool:
        """Return whether a request tries a variant whose prior says that it is so much slower."""
        return share == self.UNTRIED_SHARE and self._requests > self.PATIENCE * slower

    def _share(self, size: float, *, may_try: bool) -> float:
        tried_by_it = may_try and self._is_small(size) and not self._by_copies
        return self.UNTRIED_SHARE if tried_by_it else self.DEFERRED_SHARE

    def _count(self, log_size: float) -> None:
        """Count a request, and follow the quantile of sizes.

        References:
            Robbins and Monro, A Stochastic Approximation Method, 1951.
        """
        self._requests += 1
        if self.small_log_size is None:
            self.small_log_size = log_size
        below = log_size < self.small_log_size
        self.small_log_size += self.SMALL_STEP * (self.SMALL_SHARE - below)

    def _is_small(self, size: float) -> bool:
        """Return whether a request is among the smallest tenth, or about as large."""
        small_log_size = self.small_log_size
        return small_log_size is None or math.log2(size) <= small_log_size + self.SMALL_SPREAD


def _seen_ms(state: VariantState, size: float) -> float:
    """Return the predicted service time, by the first answers if they are doubted; 0 if there are none."""
    return state.candidate.service_ms or state.profile.latency.believed_ms(size)


def _assume(state: VariantState, service_ms: float, each_before_ms: float, basis: Basis) -> None:
    """Set service and wait of a variant's candidate."""
    state.candidate.service_ms = service_ms
    state.candidate.basis = basis
    load = state.load
    state.candidate.wait_ms = (
        each_before_ms * max(0.0, load.in_flight + 1.0 - load.concurrency) / load.concurrency
    )
