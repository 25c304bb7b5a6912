"""Random sequences of events of concurrent requests, compared with the rules of `Dispatch`."""

import random
from collections import Counter
from collections.abc import Callable, Sequence

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from router_backend.core.choosing.decision import Execution
from router_backend.core.dispatch import Attempt, Dispatch
from router_backend.core.experiments.experiment import Experiment
from router_backend.core.policies.base import Policy
from router_backend.core.records.outcome import Fault, Outcome
from router_backend.core.records.request import Request, RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.settings import ModelSettings
from router_backend.core.variants.candidate import Candidate
from router_backend.core.variants.capacity import Capacity, DeviceLimits
from router_backend.errors import InvalidRequestError, RouterError
from tests.unit.core.clock import Clock

VARIANTS = tuple(Variant(name, device) for name, device in zip("abcd", list(Device), strict=True))
LIMIT = DeviceLimits(max_in_flight=6)


class DefectError(Exception):
    """A defect in a policy of a user."""


class Drawn(Policy):
    """Draws any candidate, and keeps all executions that it observes; raises then while it is defective."""

    name = "drawn"

    def __init__(self) -> None:
        self.observed: list[Execution] = []
        self.is_defective = False
        self.raised = 0

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        for candidate in candidates:
            candidate.cost = candidate.latency_ms

    def probabilities(self, candidates: Sequence[Candidate]) -> Sequence[float]:
        return [1.0 / len(candidates)] * len(candidates)

    def observe(self, execution: Execution) -> None:
        self.observed.append(execution)
        if self.is_defective:
            self.raised += 1
            raise DefectError


class Expected:
    """The expected state of a request.

    Attributes:
        open: its open attempts that are on time.
        late: those that are overdue.
        undecided: the failed ones that wait for an answer.
    """

    def __init__(self, dispatch: Dispatch) -> None:
        self.dispatch = dispatch
        self.open: list[Attempt] = []
        self.late: list[Attempt] = []
        self.undecided: list[Attempt] = []
        self.is_ended = False
        self.is_answered = False


class Requests(RuleBasedStateMachine):
    """Concurrent requests, each with its own sequence of events."""

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.policy, self.capacity = Clock(1000.0), Drawn(), Capacity()
        limited = ModelSettings(device_limits={Device.CPU: LIMIT}, refuse_late=True)
        self.defects: list[Exception] = []
        self.router = ModelRouter(
            limited,
            capacity=self.capacity,
            clock=self.clock,
            rng=random.Random(0),
            on_defect=self.defects.append,
        )
        self.router.set_routing_policy(lambda: self.policy)
        self.router.register_model("m", variants=VARIANTS)
        experiment = Experiment("v2", lambda: self.policy, lambda: self.policy, 0.5, guardrails=None)
        self.router.experiments.set([experiment])
        self.requests: list[Expected] = []
        self.outcomes: list[tuple[int, Outcome]] = []
        """By the decision's identity: what has to be observed of each attempt."""
        self.attempts: list[Attempt] = []
        self.void: set[Attempt] = set()
        """Those that were open when their variant was loaded again."""

    @property
    def recent(self) -> list[Expected]:
        """Return the last requests, so that events often meet the same one twice."""
        return self.requests[-3:]

    def some_attempt(self, data: st.DataObject) -> tuple[Expected, Attempt]:
        """Return an attempt of a recent request, usually an open one."""
        all_of = [(each, attempt) for each in self.recent for attempt in each.dispatch.attempts]
        open_ones = [(each, attempt) for each in self.recent for attempt in each.open + each.late]
        return data.draw(st.sampled_from(open_ones * 3 + all_of))

    def ends(self, attempts: list[Attempt], outcome: Outcome) -> None:
        """Expect these attempts to end in this way now."""
        for attempt in attempts:
            decision = attempt.decision
            assert id(decision) not in dict(self.outcomes)
            is_of_former = decision.now_s < decision.state.loaded_s
            expected = Outcome.IGNORED if outcome is Outcome.FAILURE and is_of_former else outcome
            self.outcomes.append((id(decision), expected))
        attempts.clear()

    def report(self, each: Expected, attempt: Attempt, report: Callable[[], object]) -> bool:
        """Report an end; return whether it is the first report."""
        report()
        if attempt in each.late:
            each.late.remove(attempt)
        if attempt not in each.open:
            return False
        each.open.remove(attempt)
        return True

    @rule(
        excluded=st.sets(st.sampled_from("abcd"), max_size=1),
        warmup=st.booleans(),
        deadline_ms=st.sampled_from([None, None, None, 10.0, 1000.0]),
        attempts=st.integers(0, 3),
    )
    def arrive(self, excluded: set[str], warmup: bool, deadline_ms: float | None, attempts: int) -> None:
        context = RoutingContext(
            excluded_variants=frozenset(excluded), warmup=warmup, max_latency_ms=deadline_ms
        )
        each = Expected(self.router.dispatch("m", context))
        self.requests.append(each)
        for _ in range(attempts):
            self.next_attempt(each)

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def ask_for_an_attempt(self, data: st.DataObject) -> None:
        self.next_attempt(data.draw(st.sampled_from(self.recent)))

    def next_attempt(self, each: Expected) -> None:
        tried = Counter(attempt.variant for attempt in each.dispatch.attempts)
        overdue = {attempt.variant for attempt in each.dispatch.attempts if attempt.fault is Fault.OVERDUE}
        try:
            attempt = each.dispatch.next_attempt()
        except RouterError as error:
            failed = len(each.dispatch.failures) > len(each.late)
            waits = bool(each.open or (each.late and not failed))
            if isinstance(error, InvalidRequestError) or not waits:
                self.cancelled(each)
            assert each.dispatch.has_ended == each.is_ended
            return
        assert tried[attempt.variant] <= (attempt.variant in overdue)
        each.open.append(attempt)
        self.attempts.append(attempt)

    @precondition(lambda self: any(each.dispatch.attempts for each in self.recent))
    @rule(data=st.data(), latency_ms=st.floats(0.1, 200.0))
    def succeed(self, data: st.DataObject, latency_ms: float) -> None:
        each, attempt = self.some_attempt(data)
        if attempt in each.late and not each.is_ended:
            each.is_ended = each.is_answered = True
            self.outcomes.append((id(attempt.decision), Outcome.SUCCESS))
            self.ends(each.undecided, Outcome.FAILURE)
        if self.report(each, attempt, lambda: attempt.succeeded(latency_ms)):
            each.is_ended = each.is_answered = True
            self.ends([attempt], Outcome.SUCCESS)
            self.ends(each.undecided, Outcome.FAILURE)

    @precondition(lambda self: any(each.dispatch.attempts for each in self.recent))
    @rule(data=st.data(), fault=st.sampled_from([Fault.ERROR, Fault.ERROR, Fault.ERROR, *Fault]))
    def fail(self, data: st.DataObject, fault: Fault) -> None:
        each, attempt = self.some_attempt(data)
        is_of_former = attempt.decision.now_s < attempt.decision.state.loaded_s
        if attempt in each.late and not is_of_former and fault in (Fault.DEAD, Fault.NOT_READY):
            self.outcomes.append((id(attempt.decision), Outcome.IGNORED))
        if not self.report(each, attempt, lambda: attempt.failed(fault, "an error")):
            return
        if fault in (Fault.DEAD, Fault.NOT_READY):
            self.ends([attempt], Outcome.FAILURE if fault is Fault.DEAD else Outcome.IGNORED)
        elif each.is_ended:
            self.ends([attempt], Outcome.FAILURE if each.is_answered else Outcome.IGNORED)
        else:
            each.undecided.append(attempt)

    @precondition(lambda self: any(each.dispatch.attempts for each in self.recent))
    @rule(data=st.data(), waited_ms=st.sampled_from([5.0, 5000.0]))
    def become_overdue(self, data: st.DataObject, waited_ms: float) -> None:
        each, attempt = self.some_attempt(data)
        attempt.overdue(waited_ms)
        if attempt in each.open:
            each.open.remove(attempt)
            each.late.append(attempt)
            self.ends([attempt], Outcome.FAILURE)
        assert each.dispatch.wants_attempt == (not each.is_ended and not each.open)

    @precondition(lambda self: any(each.dispatch.attempts for each in self.recent))
    @rule(data=st.data())
    def ignore(self, data: st.DataObject) -> None:
        each, attempt = self.some_attempt(data)
        if self.report(each, attempt, attempt.ignored):
            each.is_ended = True
            self.ends([attempt], Outcome.IGNORED)
            self.ends(each.undecided, Outcome.IGNORED)

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        each = data.draw(st.sampled_from(self.recent))
        each.dispatch.cancel()
        self.cancelled(each)

    def cancelled(self, each: Expected) -> None:
        each.is_ended = True
        self.ends(each.open, Outcome.IGNORED)
        self.ends(each.undecided, Outcome.IGNORED)

    @rule(elapsed_s=st.sampled_from([0.001, 0.1, 10.0, 100.0]))
    def wait(self, elapsed_s: float) -> None:
        self.clock.now_s += elapsed_s

    @rule()
    def become_ready(self) -> None:
        for name, state in self.router.model("m").states.items():
            if state.not_ready_reason is not None:
                self.void |= {each for each in self.attempts if each.is_open and each.variant == name}
            self.router.model("m").set_ready(name, None)

    @rule(is_defective=st.booleans())
    def break_or_repair_the_policy(self, is_defective: bool) -> None:
        self.policy.is_defective = is_defective

    @invariant()
    def places_in_flight_are_the_open_attempts(self) -> None:
        still_open = [attempt for each in self.requests for attempt in each.open]
        assert all(attempt.is_open for attempt in still_open)
        by_variant = Counter(attempt.variant for attempt in still_open if attempt not in self.void)
        for name, state in self.router.model("m").states.items():
            assert state.load.in_flight == state.candidate.in_flight == by_variant[name]
        assert self.capacity.taken(Device.CPU).requests == by_variant["a"] <= LIMIT.max_in_flight

    @invariant()
    def every_attempt_that_has_ended_was_observed_once_and_as_the_rules_say(self) -> None:
        observed = [(id(execution.decision), execution.outcome) for execution in self.policy.observed]
        assert sorted(observed) == sorted(self.outcomes)

    @invariant()
    def every_end_but_those_of_warm_ups_is_counted_once(self) -> None:
        counted = [each for each in self.policy.observed if not each.context.warmup]
        metrics = self.router.get_metrics().get_model_metrics("m")
        for name, variant in metrics.variants.items():
            ends = Counter(each.outcome for each in counted if each.variant == name)
            assert {outcome: variant.count(outcome) for outcome in Outcome} == {
                outcome: ends[outcome] for outcome in Outcome
            }
            faults = Counter(each.fault for each in counted if each.variant == name)
            assert variant.counts.faults == {fault: faults[fault] for fault in Fault}
        in_arms = [each for each in counted if each.decision.arm is not None]
        assert sum(sum(ends.values()) for ends in metrics.counts.arms.values()) == len(in_arms)

    @invariant()
    def every_defect_of_the_policy_reaches_the_host(self) -> None:
        assert [type(defect) for defect in self.defects] == [DefectError] * self.policy.raised

    @invariant()
    def the_states_count_every_answer_and_failure(self) -> None:
        for name, state in self.router.model("m").states.items():
            ends = Counter(each.outcome for each in self.policy.observed if each.variant == name)
            assert (state.answers, state.failures) == (ends[Outcome.SUCCESS], ends[Outcome.FAILURE])

    def teardown(self) -> None:
        self.policy.is_defective = False
        for each in self.requests:
            each.dispatch.cancel()
            self.cancelled(each)
        self.places_in_flight_are_the_open_attempts()
        self.every_attempt_that_has_ended_was_observed_once_and_as_the_rules_say()
        self.every_end_but_those_of_warm_ups_is_counted_once()
        assert len(dict(self.outcomes)) == len(self.attempts)
        assert not any(state.load.in_flight for state in self.router.model("m").states.values())


TestRequests = Requests.TestCase
TestRequests.settings = settings(max_examples=100, stateful_step_count=50, derandomize=True)
