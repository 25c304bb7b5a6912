"""Routes simulated requests through the same `Dispatch` as the server."""

import math
import time
from collections.abc import Callable, Mapping

from router_backend.core.dispatch import Attempt, Dispatch
from router_backend.core.records.outcome import Fault
from router_backend.core.records.request import RoutingContext
from router_backend.core.router import ModelRouter
from router_backend.errors import NoVariantError, VariantsFailedError
from router_backend.runtime.trace_entry import Traced
from router_tools.simulator.agenda import Agenda
from router_tools.simulator.job import NO_LUCK, Job
from router_tools.simulator.record import Recorder
from router_tools.simulator.stations.base import Station

Announce = Callable[["RoutedJob"], None]
Observe = Callable[[Traced], None]


class RoutedJob(Job):
    """A request that goes through the router.

    Args:
        simulation: sends it, and records how it ended.
        index: its position among the requests of the run; WARM_UP if it is part of the warm-up.
        context: what the router knows about it.
        deadline_ms: its deadline, which the router may not know.
        batch_size: number of items.
        sequence_length: length of the items.
        work_s: by variant, its true service time when served alone and undisturbed.
        luck: by variant that may fail it, as for `Job`.
    """

    __slots__ = (
        "arrived_s",
        "attempt",
        "context",
        "deadline_ms",
        "dispatch",
        "half_width",
        "index",
        "sent_s",
        "simulation",
    )

    WARM_UP = -1

    def __init__(
        self,
        simulation: "Simulation",
        index: int,
        context: RoutingContext,
        deadline_ms: float,
        batch_size: int,
        sequence_length: int,
        work_s: Mapping[str, float],
        luck: Mapping[str, float] = NO_LUCK,
    ) -> None:
        super().__init__(batch_size, sequence_length, work_s, luck)
        self.simulation = simulation
        self.index = index
        self.context = context
        self.deadline_ms = deadline_ms
        self.arrived_s = self.sent_s = 0.0
        self.half_width = 0.0
        self.dispatch: Dispatch | None = None
        self.attempt: Attempt | None = None

    def twin(self, index: int) -> "RoutedJob":
        """Return a copy of the request, which is not sent yet."""
        return RoutedJob(
            self.simulation,
            index,
            self.context,
            self.deadline_ms,
            self.batch_size,
            self.sequence_length,
            self.work_s,
            self.luck,
        )

    def answered(self) -> None:
        """Report the answer."""
        self.simulation.answered(self)

    def failed(self, fault: Fault) -> None:
        """Report the failure, and try another variant."""
        self.simulation.failed(self, fault)


class Simulation:
    """The request path in simulated time.

    Args:
        model_name: the logical model, registered with the router.
        router: decides.
        agenda: simulated time; the router's clock.
        stations: the simulated variants, by name.
        recorder: records what happened.
        announce: called with each job before it is routed; `None` for no call.
        observe: called with each answered request, as the server's trace is; `None` for no call.
        max_in_flight: the number of requests inside the router from which on more are refused; `None`: none.
    """

    def __init__(
        self,
        model_name: str,
        router: ModelRouter,
        agenda: Agenda,
        stations: Mapping[str, Station],
        recorder: Recorder,
        announce: Announce | None,
        observe: Observe | None = None,
        max_in_flight: int | None = None,
    ) -> None:
        self._model_name = model_name
        self._router = router
        self._agenda = agenda
        self._stations = stations
        self._number = {name: number for number, name in enumerate(stations)}
        self._recorder = recorder
        self._announce = announce
        self._observe = observe
        self._max_in_flight = math.inf if max_in_flight is None else max_in_flight
        self._in_flight = 0

    def arrive(self, job: RoutedJob) -> None:
        """Send a request that arrives now."""
        if job.index != job.WARM_UP:
            if self._in_flight >= self._max_in_flight:
                self._recorder.refused[job.index] = True
                return
            self._in_flight += 1
        job.arrived_s = self._agenda.now_s
        job.dispatch = self._router.dispatch(self._model_name, job.context)
        self._send(job)

    def answered(self, job: RoutedJob) -> None:
        """Report a variant's answer to the router, and record it."""
        attempt, dispatch = job.attempt, job.dispatch
        assert attempt is not None
        assert dispatch is not None
        if dispatch.has_ended:  # the other copy of a hedged request was faster
            attempt.succeeded((self._agenda.now_s - job.sent_s) * 1e3)
            job.dispatch = job.attempt = None
            return
        now_s = self._agenda.now_s
        latency_ms = (now_s - job.sent_s) * 1e3
        execution = attempt.succeeded(latency_ms, power_w=self._stations[attempt.variant].drawn_w())
        if job.index != job.WARM_UP:
            if self._observe is not None:
                failures, hedge = dispatch.failures, dispatch.hedge
                self._observe(Traced(job.context, job.arrived_s, execution, failures, hedge=hedge))
            self._send_copy(job)
        job.dispatch = job.attempt = None  # free their memory, since jobs are kept
        if job.index != job.WARM_UP:
            self._in_flight -= 1
            self._recorder.latency_ms[job.index] = (now_s - job.arrived_s) * 1e3
            self._recorder.executions.append(
                (
                    job.index,
                    self._number[attempt.variant],
                    now_s,
                    latency_ms,
                    attempt.decision.expected_latency_ms,
                    (now_s - job.started_s) * 1e3,
                    attempt.decision.expected_service_ms,
                    job.half_width,
                )
            )

    def failed(self, job: RoutedJob, fault: Fault) -> None:
        """Report a variant's failure to the router, and try another variant."""
        assert job.attempt is not None
        assert job.dispatch is not None
        job.attempt.failed(fault)
        if job.dispatch.wants_attempt:
            self._send(job)

    def _send_copy(self, job: RoutedJob) -> None:
        """Send a copy of an answered request, if the router wants to measure a variant."""
        assert job.dispatch is not None
        dispatch = job.dispatch.copy()
        if dispatch is not None:
            copy = job.twin(job.WARM_UP)
            copy.arrived_s, copy.dispatch = self._agenda.now_s, dispatch
            self._send(copy)

    def _hedge(self, job: RoutedJob) -> None:
        """Send a second copy of a request that has no answer yet."""
        first = job.attempt
        if job.dispatch is None or first is None:
            return
        attempt = job.dispatch.send_hedge()
        if attempt is None:
            self._plan_hedge(job, first)
            return
        copy = job.twin(job.index)
        copy.arrived_s, copy.dispatch = job.arrived_s, job.dispatch
        self._recorder.hedge_s += copy.work_s[attempt.variant]
        self._submit(copy, attempt)

    def _send(self, job: RoutedJob) -> None:
        assert job.dispatch is not None
        if self._announce is not None:
            self._announce(job)
        began_s = time.perf_counter()
        try:
            attempt = job.dispatch.next_attempt()
        except (NoVariantError, VariantsFailedError):
            if job.index != job.WARM_UP:
                self._in_flight -= 1
                self._recorder.refused[job.index] = not job.dispatch.attempts
            return
        finally:
            self._recorder.router_s += time.perf_counter() - began_s
            self._recorder.decisions += 1
        if job.index != job.WARM_UP and len(job.dispatch.attempts) == 1:
            self._recorder.first_s += job.work_s[attempt.variant]
        self._submit(job, attempt)
        self._plan_hedge(job, attempt)

    def _plan_hedge(self, job: RoutedJob, attempt: Attempt) -> None:
        if attempt.hedge_ms < math.inf:
            self._agenda.plan(job.sent_s + attempt.hedge_ms / 1e3, self._hedge, job)

    def _submit(self, job: RoutedJob, attempt: Attempt) -> None:
        job.attempt = attempt
        job.half_width = attempt.decision.half_width
        job.sent_s = self._agenda.now_s
        self._stations[attempt.variant].submit(job)
