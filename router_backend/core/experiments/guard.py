"""Decides when a treatment must be stopped."""

from router_backend.core.experiments.confidence_sequence import DifferenceOfMeans
from router_backend.core.experiments.first_events import FirstEvents
from router_backend.core.experiments.guardrails import Guardrails
from router_backend.core.experiments.latency_histogram import LatencyHistogram
from router_backend.core.experiments.share_test import ShareTest

TESTS = 3


class Guard:
    """Three tests: of the failures, of the answers slower than the control's p99, and of the mean latency.

    Each gets a third of the rate of false stops, and takes the requests of a unit as one draw: the first two
    count its first event only, and the interval of the means is between units.

    The limit for slow answers is the p99 of the control's answers so far. It is updated, and the means are
    compared, whenever the number of these has grown by an eighth, from `LOOK_FROM` on.
    """

    LOOK_FROM = 100
    P99 = 0.99

    __slots__ = ("_control", "_errors", "_look_at", "_mean", "_ratio_of_means", "_slow", "_slow_ms")

    def __init__(self, guardrails: Guardrails, control: LatencyHistogram) -> None:
        rate = guardrails.false_stop_rate / TESTS
        self._control = control
        self._errors = _Events(guardrails.error_ratio, rate)
        self._slow = _Events(guardrails.slow_ratio, rate)
        self._ratio_of_means = guardrails.mean_ratio
        # Only one of the interval's two sides stops the treatment.
        self._mean = DifferenceOfMeans(1.0 - 2.0 * rate, guardrails.mean_ratio or 1.0)
        self._slow_ms: float | None = None
        self._look_at = self.LOOK_FROM

    def answered(self, treated: bool, latency_ms: float, fraction: float, unit: str) -> str | None:
        """Learn of an answer before it is counted; return why the treatment must be stopped, or `None`."""
        self._mean.update(treated, latency_ms, fraction, unit)
        reason = None
        if self._control.count >= self._look_at:
            self._look_at = self._control.count + self._control.count // 8
            self._slow_ms = self._control.quantile(self.P99)
            reason = self._slow_mean()
        return reason or self._slow_answer(treated, latency_ms, fraction, unit)

    def failed(self, treated: bool, fraction: float, unit: str) -> str | None:
        """Learn of a failure; return why the treatment must be stopped, or `None`."""
        fired = self._errors.happened(treated, fraction, unit)
        return f"too many failures: {self._errors} were the treatment's" if fired else None

    def _slow_mean(self) -> str | None:
        interval_ms = self._mean.interval() if self._ratio_of_means is not None else None
        if interval_ms is None or interval_ms[0] <= 0.0:
            return None
        return (
            f"too slow in the mean: the treatment's latency is above {self._ratio_of_means:g} times the "
            f"control's, by at least {interval_ms[0]:.4g} ms"
        )

    def _slow_answer(self, treated: bool, latency_ms: float, fraction: float, unit: str) -> str | None:
        if self._slow_ms is None or latency_ms <= self._slow_ms:
            return None
        if not self._slow.happened(treated, fraction, unit):
            return None
        return (
            f"too many slow answers: {self._slow} above the control's p99, now {self._slow_ms:.4g} ms, "
            f"were the treatment's"
        )


class _Events:
    """Tests in which arm units have an event first; `ratio` is `None` for events without a limit."""

    __slots__ = ("_first", "_test")

    def __init__(self, ratio: float | None, rate: float) -> None:
        self._test = None if ratio is None else ShareTest(ratio, rate)
        self._first = FirstEvents()

    def __str__(self) -> str:
        return f"{self._test}"

    def happened(self, treated: bool, fraction: float, unit: str) -> bool:
        """Learn of an event; return whether too many are the treatment's."""
        return self._test is not None and self._first.is_first(unit) and self._test.update(treated, fraction)
