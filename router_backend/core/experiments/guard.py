"""Watches one treatment, and says when it is to be stopped."""

from router_backend.core.experiments.guardrails import Guardrails
from router_backend.core.experiments.latency_histogram import LatencyHistogram
from router_backend.core.experiments.share_test import ShareTest


class Guard:
    """Two share tests: of the failures, and of the answers slower than the control's p99.

    What counts as slow is the p99 of the control's answers so far; it is looked up anew when their number
    has grown by an eighth, and there is none before `SLOW_FROM` of them. Each test takes half of the rate of
    false stops. The share that a test reckons with is the fraction, or the treatment's share of all
    that were counted where that is more: a unit that sends many requests is no reason to stop.

    Args:
        guardrails: the bounds.
        control: the latencies of the control's answers.
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
        """Learn of an answer, not yet among the control's; why the treatment is to be stopped, or None."""
        reason = self._slow_answer(treated, latency_ms, fraction)
        self._count(treated)
        return reason

    def failed(self, treated: bool, fraction: float) -> str | None:
        """Learn of a failure; why the treatment is to be stopped, or None."""
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
            f"too many slow answers: {self._slow} above the control's p99, {self._slow_ms:.4g} ms at last, "
            f"were the treatment's"
        )

    def _count(self, treated: bool) -> None:
        if treated:
            self._treated += 1
        else:
            self._untreated += 1

    def _share(self, fraction: float) -> float:
        """The share that gets the treatment, by chance or as was seen before this one."""
        counted = self._treated + self._untreated
        return max(fraction, self._treated / counted) if counted else fraction


def _test(ratio: float | None, guardrails: Guardrails) -> ShareTest | None:
    return None if ratio is None else ShareTest(ratio, guardrails.false_stop_rate / 2.0)
