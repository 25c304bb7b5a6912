"""Decides when a treatment must be stopped."""

from router_backend.core.experiments.guardrails import Guardrails
from router_backend.core.experiments.latency_histogram import LatencyHistogram
from router_backend.core.experiments.share_test import ShareTest


class Guard:
    """Two share tests: of the failures, and of the answers slower than the control's p99.

    The limit for slow answers is the p99 of the control's answers so far, updated whenever their number has
    grown by an eighth, from `SLOW_FROM` answers on. Each test gets half of the rate of false stops, and
    assumes the fraction as the treatment's share, or its share of what was counted if that is higher, so that
    a unit that sends many requests does not stop it.
    """

    SLOW_FROM = 100
    P99 = 0.99

    __slots__ = ("_control", "_errors", "_look_at", "_slow", "_slow_ms", "_treated", "_untreated")

    def __init__(self, guardrails: Guardrails, control: LatencyHistogram) -> None:
        self._control = control
        self._errors = _test(guardrails.error_ratio, guardrails)
        self._slow = _test(guardrails.slow_ratio, guardrails)
        self._slow_ms: float | None = None
        self._look_at = self.SLOW_FROM
        self._treated = self._untreated = 0

    def answered(self, treated: bool, latency_ms: float, fraction: float) -> str | None:
        """Learn of an answer before it is counted; return why the treatment must be stopped, or `None`."""
        reason = self._slow_answer(treated, latency_ms, fraction)
        self._count(treated)
        return reason

    def failed(self, treated: bool, fraction: float) -> str | None:
        """Learn of a failure; return why the treatment must be stopped, or `None`."""
        fired = self._errors is not None and self._errors.update(treated, self._share(fraction))
        self._count(treated)
        return f"too many failures: {self._errors} were the treatment's" if fired else None

    def _slow_answer(self, treated: bool, latency_ms: float, fraction: float) -> str | None:
        if self._slow is None:
            return None
        if self._control.count >= self._look_at:
            self._slow_ms = self._control.quantile(self.P99)
            self._look_at = self._control.count + self._control.count // 8
        if self._slow_ms is None or latency_ms <= self._slow_ms:
            return None
        if not self._slow.update(treated, self._share(fraction)):
            return None
        return (
            f"too many slow answers: {self._slow} above the control's p99, now {self._slow_ms:.4g} ms, "
            f"were the treatment's"
        )

    def _count(self, treated: bool) -> None:
        if treated:
            self._treated += 1
        else:
            self._untreated += 1

    def _share(self, fraction: float) -> float:
        """Return the fraction, or the treatment's share of what was counted so far if that is higher."""
        counted = self._treated + self._untreated
        return max(fraction, self._treated / counted) if counted else fraction


def _test(ratio: float | None, guardrails: Guardrails) -> ShareTest | None:
    return None if ratio is None else ShareTest(ratio, guardrails.false_stop_rate / 2.0)
