"""The rules of `Dispatch`, without a server: the test forwards and sets the clock."""

import gc
import random
from collections.abc import Sequence
from contextlib import suppress

import pytest

from router_backend.core.choosing.decision import Execution
from router_backend.core.dispatch import Attempt, Dispatch
from router_backend.core.experiments.experiment import Experiment
from router_backend.core.policies.base import Policy
from router_backend.core.records.outcome import Fault, Outcome, Refusal
from router_backend.core.records.request import Request, RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.settings import ModelSettings
from router_backend.core.telemetry.counters import VariantCounts
from router_backend.core.variants.candidate import Candidate
from router_backend.core.variants.health import BreakerState
from router_backend.errors import DeadlineError, InvalidRequestError, NoVariantError, VariantsFailedError
from tests.unit.core.clock import Clock

Ends = tuple[int, int, int]
"""Successes, failures, ignored."""


class DefectError(Exception):
    """A defect in a policy of a user."""


class InOrder(Policy):
    """Picks the first candidate, and keeps all executions that it observes."""

    name = "in_order"

    def __init__(self) -> None:
        self.observed: list[Execution] = []
        self.is_defective = False
        self.cannot_score = False

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        if self.cannot_score:
            raise DefectError
        for place, candidate in enumerate(candidates):
            candidate.cost = float(place)

    def observe(self, execution: Execution) -> None:
        self.observed.append(execution)
        if self.is_defective:
            raise DefectError


class Host:
    """A router of one model with three variants, which are tried in the order a, b, c."""

    def __init__(self, settings: ModelSettings | None = None) -> None:
        self.clock = Clock(1000.0)
        self.policy = InOrder()
        self.defects: list[Exception] = []
        self.router = ModelRouter(
            settings, clock=self.clock, rng=random.Random(0), on_defect=self.defects.append
        )
        self.router.set_routing_policy(lambda: self.policy)
        self.router.register_model("m", variants=[Variant(name, Device.CPU) for name in "abc"])

    def dispatch(self, **context: object) -> Dispatch:
        return self.router.dispatch("m", RoutingContext(**context))

    def attempt(self, name: str, **context: object) -> Attempt:
        """Return the only attempt of a request that allows only this variant."""
        return self.dispatch(allowed_variants=frozenset({name}), **context).next_attempt()

    def answer(self, attempt: Attempt, latency_ms: float) -> Execution | None:
        """Advance the clock by the latency of an answer, and report it."""
        self.clock.now_s += latency_ms / 1e3
        return attempt.succeeded(latency_ms)

    def counts(self, name: str) -> VariantCounts:
        return self.router.get_metrics().get_model_metrics("m").variants[name].counts

    @property
    def ends(self) -> dict[str, Ends]:
        """Return how the attempts at each variant ended, for variants with attempts."""
        variants = self.router.get_metrics().get_model_metrics("m").variants.values()
        counted = {each.variant: tuple(each.count(outcome) for outcome in Outcome) for each in variants}
        return {name: ends for name, ends in counted.items() if any(ends)}

    @property
    def in_flight(self) -> dict[str, int]:
        states = self.router.model("m").states
        return {name: state.load.in_flight for name, state in states.items() if state.load.in_flight}

    def breaker(self, name: str) -> BreakerState:
        return self.router.model("m").state(name).breaker.state

    @property
    def refusals(self) -> dict[Refusal, int]:
        counted = self.router.get_metrics().get_model_metrics("m").counts.refusals
        return {refusal: count for refusal, count in counted.items() if count}


@pytest.fixture
def host() -> Host:
    return Host()


class TestAttempts:
    def test_a_variant_that_was_tried_is_not_tried_again(self, host: Host):
        dispatch = host.dispatch()
        tried = []
        for _ in range(3):
            tried.append(dispatch.next_attempt())
            tried[-1].failed(Fault.ERROR, "out of memory")
        assert [attempt.variant for attempt in tried] == ["a", "b", "c"]
        assert dispatch.attempts == dispatch.failures == tried
        with pytest.raises(VariantsFailedError):
            dispatch.next_attempt()

    def test_variants_that_the_request_excludes_stay_excluded(self, host: Host):
        dispatch = host.dispatch(excluded_variants=frozenset({"b"}))
        tried = [dispatch.next_attempt() for _ in range(2)]
        assert [attempt.variant for attempt in tried] == ["a", "c"]

    def test_another_request_may_try_what_this_one_has_tried(self, host: Host):
        host.dispatch().next_attempt().failed(Fault.ERROR)
        assert host.dispatch().next_attempt().variant == "a"

    def test_iterating_stops_after_a_success(self, host: Host):
        tried = []
        for attempt in host.dispatch():
            tried.append(attempt.variant)
            if attempt.variant == "b":
                attempt.succeeded(4.0)
            else:
                attempt.failed(Fault.ERROR)
        assert tried == ["a", "b"]

    def test_iterating_stops_after_an_end_without_an_answer(self, host: Host):
        for attempt in host.dispatch():
            attempt.ignored()
        dispatch = host.dispatch()
        for _ in dispatch:
            dispatch.cancel()
        assert host.ends == {"a": (0, 0, 2)}

    def test_iterating_raises_once_when_no_variant_is_left(self, host: Host):
        dispatch = host.dispatch(excluded_variants=frozenset("abc"))
        with pytest.raises(NoVariantError):
            next(dispatch)
        assert list(dispatch) == []

    def test_a_request_that_no_variant_can_serve_is_refused_as_invalid(self, host: Host):
        host.router.register_model("small", variants=[Variant("s", Device.CPU, max_batch_size=4)])
        with pytest.raises(InvalidRequestError, match="a batch of 5 is above the largest"):
            host.router.dispatch("small", RoutingContext(batch_size=5)).next_attempt()

    def test_an_unknown_model_is_refused_before_any_attempt(self, host: Host):
        with pytest.raises(InvalidRequestError, match="model 'n' is not registered: found m"):
            host.router.dispatch("n", RoutingContext())


class TestDeadline:
    def test_each_attempt_gets_the_rest_of_it(self, host: Host):
        dispatch = host.dispatch(max_latency_ms=100.0, spent_ms=5.0)
        left_ms = []
        for _ in range(3):
            attempt = dispatch.next_attempt()
            left_ms.append(attempt.decision.deadline_ms)
            host.clock.now_s += 0.04
            attempt.failed(Fault.ERROR)
        assert left_ms == pytest.approx([95.0, 55.0, 15.0])

    def test_that_of_the_model_applies_to_the_whole_request_too(self):
        host = Host(ModelSettings(max_latency_ms=50.0))
        dispatch = host.dispatch(spent_ms=10.0)
        assert dispatch.next_attempt().decision.deadline_ms == pytest.approx(40.0)
        host.clock.now_s += 0.03
        assert dispatch.next_attempt().decision.deadline_ms == pytest.approx(10.0)

    def test_a_clock_that_jumps_back_does_not_extend_it(self, host: Host):
        dispatch = host.dispatch(max_latency_ms=100.0)
        dispatch.next_attempt().failed(Fault.ERROR)
        host.clock.now_s -= 50.0
        assert dispatch.next_attempt().decision.deadline_ms == pytest.approx(100.0)

    def test_a_request_without_one_never_has_one(self, host: Host):
        dispatch = host.dispatch()
        host.clock.now_s += 10.0
        assert [dispatch.next_attempt().decision.deadline_ms for _ in range(2)] == [None, None]

    def test_a_miss_is_counted_by_the_time_left_for_the_attempt(self, host: Host):
        dispatch = host.dispatch(max_latency_ms=100.0)
        failed = dispatch.next_attempt()
        host.clock.now_s += 0.09
        failed.failed(Fault.ERROR)
        host.answer(dispatch.next_attempt(), 20.0)
        assert (host.counts("a").deadline_misses, host.counts("b").deadline_misses) == (0, 1)

    def test_after_a_failure_a_request_is_refused_if_no_other_variant_would_be_in_time(self):
        host = Host(ModelSettings(refuse_late=True))
        for name in "abc":
            for _ in range(20):
                host.answer(host.attempt(name), 50.0)
        answered = host.ends["a"]
        host.clock.now_s += 100.0
        dispatch = host.dispatch(max_latency_ms=60.0)
        attempt = dispatch.next_attempt()
        host.clock.now_s += 0.04
        attempt.failed(Fault.ERROR, "out of memory")
        with pytest.raises(DeadlineError, match="no variant can answer within 20 ms"):
            dispatch.next_attempt()
        assert host.refusals == {Refusal.DEADLINE: 1}
        assert host.ends["a"] == (answered[0], 0, 1), "nobody answered: the error may be the request's own"
        assert host.in_flight == {}


class TestErrors:
    def test_one_counts_as_the_variants_failure_only_once_another_variant_answers(self, host: Host):
        dispatch = host.dispatch()
        dispatch.next_attempt().failed(Fault.ERROR)
        assert (host.ends, host.in_flight, host.policy.observed) == ({}, {}, [])
        answer = host.answer(dispatch.next_attempt(), 4.0)
        assert host.ends == {"a": (0, 1, 0), "b": (1, 0, 0)}
        assert host.counts("a").faults == {**dict.fromkeys(Fault, 0), Fault.ERROR: 1}
        first, second = host.policy.observed
        assert first is answer
        assert (second.variant, second.outcome, second.fault) == ("a", Outcome.FAILURE, Fault.ERROR)

    def test_every_one_before_the_answer_counts(self, host: Host):
        dispatch = host.dispatch()
        for _ in range(2):
            dispatch.next_attempt().failed(Fault.ERROR)
        host.answer(dispatch.next_attempt(), 4.0)
        assert host.ends == {"a": (0, 1, 0), "b": (0, 1, 0), "c": (1, 0, 0)}

    def test_it_is_ignored_after_a_cancellation(self, host: Host):
        dispatch = host.dispatch()
        dispatch.next_attempt().failed(Fault.ERROR)
        dispatch.cancel()
        assert host.ends == {"a": (0, 0, 1)}
        assert [execution.fault for execution in host.policy.observed] == [None]

    def test_it_is_ignored_if_no_variant_is_left(self, host: Host):
        dispatch = host.dispatch()
        for _ in range(3):
            dispatch.next_attempt().failed(Fault.ERROR)
        with pytest.raises(VariantsFailedError):
            dispatch.next_attempt()
        assert host.ends == dict.fromkeys("abc", (0, 0, 1))
        assert host.router.model("m").state("a").failures == 0

    def test_it_is_ignored_if_the_last_attempt_is(self, host: Host):
        dispatch = host.dispatch()
        dispatch.next_attempt().failed(Fault.ERROR)
        dispatch.next_attempt().ignored()
        assert host.ends == {"a": (0, 0, 1), "b": (0, 0, 1)}

    @pytest.mark.parametrize(("answered", "state"), [(True, BreakerState.OPEN), (False, BreakerState.CLOSED)])
    def test_two_in_a_row_open_the_breaker_if_another_variant_answers(
        self, host: Host, answered: bool, state: BreakerState
    ):
        for _ in range(2):
            dispatch = host.dispatch()
            dispatch.next_attempt().failed(Fault.ERROR)
            if answered:
                host.answer(dispatch.next_attempt(), 4.0)
            else:
                dispatch.cancel()
        assert host.breaker("a") is state


class TestRejections:
    """A variant answers that the request is invalid."""

    def reject(self, dispatch: Dispatch, message: str = "no negatives") -> None:
        dispatch.next_attempt().failed(Fault.REJECTED, message, "INVALID_ARGUMENT")

    def rejecting(self, host: Host) -> str:
        """Return the variants that a request runs on if all reject it."""
        dispatch = host.dispatch()

        def drive() -> None:
            for attempt in dispatch:
                attempt.failed(Fault.REJECTED, "no negatives", "INVALID_ARGUMENT")

        with pytest.raises(InvalidRequestError, match=r"^no negatives$"):
            drive()
        return "".join(attempt.variant for attempt in dispatch.attempts)

    def test_of_a_variant_that_has_answered_ends_the_request_with_its_message_and_counts_for_none(
        self, host: Host
    ):
        host.answer(host.attempt("a"), 4.0)
        dispatch = host.dispatch()
        self.reject(dispatch)
        with pytest.raises(InvalidRequestError, match=r"^no negatives$"):
            dispatch.next_attempt()
        assert host.ends == {"a": (1, 0, 1)}
        assert host.counts("a").faults == {**dict.fromkeys(Fault, 0), Fault.REJECTED: 1}
        assert host.router.model("m").state("a").failures == 0
        assert (host.breaker("a"), host.in_flight) == (BreakerState.CLOSED, {})

    def test_ends_an_iteration_with_the_message(self, host: Host):
        host.answer(host.attempt("a"), 4.0)
        assert self.rejecting(host) == "a"

    def test_of_a_variant_that_never_answered_is_its_failure_if_another_variant_answers(self, host: Host):
        for _ in range(2):
            dispatch = host.dispatch()
            self.reject(dispatch)
            host.answer(dispatch.next_attempt(), 4.0)
        assert host.ends == {"a": (0, 2, 0), "b": (2, 0, 0)}
        assert host.counts("a").faults[Fault.ERROR] == 2
        assert host.breaker("a") is BreakerState.OPEN

    def test_in_a_row_are_believed_once_and_then_only_if_another_variant_agrees(self, host: Host):
        for name in "abc":
            host.answer(host.attempt(name), 4.0)
        assert [self.rejecting(host) for _ in range(6)] == ["a", "ab", "a", "ab", "a", "ab"]
        assert [host.ends[name][1] for name in "abc"] == [0, 0, 0]

    def test_by_two_variants_end_the_request_with_the_first_message(self, host: Host):
        dispatch = host.dispatch()
        self.reject(dispatch, "no negatives")
        self.reject(dispatch, "nothing below zero")
        with pytest.raises(InvalidRequestError, match=r"^no negatives$"):
            dispatch.next_attempt()
        assert host.ends == {"a": (0, 0, 1), "b": (0, 0, 1)}

    def test_leave_the_errors_of_other_variants_uncounted(self, host: Host):
        host.answer(host.attempt("b"), 4.0)
        dispatch = host.dispatch()
        dispatch.next_attempt().failed(Fault.ERROR, "out of memory")
        self.reject(dispatch)
        with pytest.raises(InvalidRequestError, match=r"^no negatives$"):
            dispatch.next_attempt()
        assert host.ends == {"a": (0, 0, 1), "b": (1, 0, 1)}

    def test_of_the_only_variant_is_the_answer(self, host: Host):
        dispatch = host.dispatch(allowed_variants=frozenset({"a"}))
        self.reject(dispatch)
        with pytest.raises(InvalidRequestError, match=r"^no negatives$"):
            dispatch.next_attempt()
        assert host.ends == {"a": (0, 0, 1)}

    def test_of_a_model_with_one_variant_are_not_counted_as_refusals(self, host: Host):
        host.router.register_model("single", variants=[Variant("s", Device.CPU)])
        for _ in range(2):
            dispatch = host.router.dispatch("single", RoutingContext())
            self.reject(dispatch)
            with pytest.raises(InvalidRequestError, match=r"^no negatives$"):
                dispatch.next_attempt()
        counts = host.router.get_metrics().get_model_metrics("single").counts
        assert sum(counts.refusals.values()) == 0

    def test_are_the_answer_if_no_other_variant_would_be_in_time(self):
        host = Host(ModelSettings(refuse_late=True))
        for name in "bc":
            for _ in range(20):
                host.answer(host.attempt(name), 50.0)
        dispatch = host.dispatch(max_latency_ms=20.0)
        self.reject(dispatch)
        with pytest.raises(InvalidRequestError, match=r"^no negatives$"):
            dispatch.next_attempt()

    def test_after_another_variants_answer_is_the_failure_of_the_variant(self, host: Host):
        host.answer(host.attempt("a"), 4.0)
        dispatch = host.dispatch()
        first, second = dispatch.next_attempt(), dispatch.next_attempt()
        host.answer(second, 4.0)
        first.failed(Fault.REJECTED, "no negatives", "INVALID_ARGUMENT")
        assert host.ends == {"a": (1, 1, 0), "b": (1, 0, 0)}


class TestStatus:
    @pytest.mark.parametrize(
        ("statuses", "status"),
        [
            (["UNAVAILABLE", "UNAVAILABLE"], "UNAVAILABLE"),
            (["UNAVAILABLE", "UNIMPLEMENTED"], "INTERNAL"),
            (["INTERNAL", "UNAVAILABLE"], "INTERNAL"),
        ],
    )
    def test_of_a_request_is_that_of_its_errors_if_they_agree(
        self, host: Host, statuses: list[str], status: str
    ):
        dispatch = host.dispatch(excluded_variants=frozenset({"c"}))
        for each in statuses:
            dispatch.next_attempt().failed(Fault.ERROR, "busy", each)
        with pytest.raises(VariantsFailedError) as error:
            dispatch.next_attempt()
        assert error.value.status == status

    def test_of_a_variant_that_is_not_loaded_does_not_matter(self, host: Host):
        dispatch = host.dispatch(excluded_variants=frozenset({"c"}))
        dispatch.next_attempt().failed(Fault.NOT_READY, "Model 'a' is not ready.")
        dispatch.next_attempt().failed(Fault.ERROR, "busy", "UNAVAILABLE")
        with pytest.raises(VariantsFailedError) as error:
            dispatch.next_attempt()
        assert error.value.status == "UNAVAILABLE"


class TestDeadProcess:
    def test_it_counts_at_once_and_keeps_the_breaker_open(self, host: Host):
        dispatch = host.dispatch()
        dispatch.next_attempt().failed(Fault.DEAD, "Stub process is not healthy.")
        assert host.ends == {"a": (0, 1, 0)}
        assert host.breaker("a") is BreakerState.OPEN
        host.answer(dispatch.next_attempt(), 4.0)
        assert host.ends == {"a": (0, 1, 0), "b": (1, 0, 0)}
        assert host.breaker("a") is BreakerState.OPEN
        assert host.dispatch().next_attempt().variant == "b"

    def test_it_counts_if_the_request_is_canceled(self, host: Host):
        dispatch = host.dispatch()
        dispatch.next_attempt().failed(Fault.DEAD)
        dispatch.cancel()
        assert host.ends == {"a": (0, 1, 0)}

    def test_it_counts_if_no_variant_is_left(self, host: Host):
        dispatch = host.dispatch(allowed_variants=frozenset({"a"}))
        dispatch.next_attempt().failed(Fault.DEAD, "Stub process 'a_0_0' is not healthy.")
        with pytest.raises(VariantsFailedError, match=r"\(a: Stub process 'a_0_0' is not healthy\.\)"):
            dispatch.next_attempt()
        assert host.ends == {"a": (0, 1, 0)}


class TestNotReady:
    def test_the_variant_gets_no_more_requests_until_it_is_ready_and_has_not_failed(self, host: Host):
        dispatch = host.dispatch()
        dispatch.next_attempt().failed(Fault.NOT_READY)
        host.answer(dispatch.next_attempt(), 4.0)
        assert host.ends == {"a": (0, 0, 1), "b": (1, 0, 0)}
        assert host.counts("a").faults[Fault.NOT_READY] == 1
        state = host.router.model("m").state("a")
        assert (state.failures, state.candidate.failure_share) == (0, 0.0)
        assert state.breaker.state is BreakerState.CLOSED
        assert host.dispatch().next_attempt().variant == "b"
        host.router.model("m").set_ready("a", None)
        assert host.dispatch().next_attempt().variant == "a"

    def test_a_request_that_met_only_these_fails_as_if_that_had_been_known_before(self, host: Host):
        dispatch = host.dispatch()
        for _ in range(3):
            dispatch.next_attempt().failed(Fault.NOT_READY, "Model is not ready.")
        with pytest.raises(NoVariantError) as error:
            dispatch.next_attempt()
        reasons = "; ".join(f"{name}: not ready: Triton has not loaded it" for name in "abc")
        assert str(error.value) == f"model 'm': no variant can serve this request now ({reasons})"

    @pytest.mark.parametrize("fault", [Fault.ERROR, Fault.DEAD])
    def test_a_request_that_also_met_another_failure_gets_all_messages(self, host: Host, fault: Fault):
        dispatch = host.dispatch(excluded_variants=frozenset({"c"}))
        dispatch.next_attempt().failed(Fault.NOT_READY, "Model 'a' is not ready.")
        dispatch.next_attempt().failed(fault, "out of memory")
        with pytest.raises(VariantsFailedError) as error:
            dispatch.next_attempt()
        assert str(error.value) == (
            "model 'm': no variant could answer the request (a: Model 'a' is not ready.; b: out of memory)"
        )


class TestRetries:
    @pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.REJECTED])
    def test_each_counts_at_the_variant_that_failed(self, host: Host, fault: Fault):
        dispatch = host.dispatch()
        for _ in range(2):
            dispatch.next_attempt().failed(fault)
        host.answer(dispatch.next_attempt(), 4.0)
        assert [host.counts(name).retries for name in "abc"] == [1, 1, 0]

    def test_none_counts_if_no_variant_is_left_or_the_request_is_canceled(self, host: Host):
        exhausted = host.dispatch(allowed_variants=frozenset({"a"}))
        exhausted.next_attempt().failed(Fault.ERROR)
        with pytest.raises(VariantsFailedError):
            exhausted.next_attempt()
        cancelled = host.dispatch()
        cancelled.next_attempt().failed(Fault.ERROR)
        cancelled.cancel()
        assert host.counts("a").retries == 0

    def test_none_counts_at_a_variant_that_has_not_failed(self, host: Host):
        dispatch = host.dispatch()
        dispatch.next_attempt()
        dispatch.next_attempt()
        assert host.counts("a").retries == 0


class TestLaterReports:
    """Only the first report of an attempt's end counts."""

    def test_of_a_success_do_nothing(self, host: Host):
        dispatch = host.dispatch()
        attempt = dispatch.next_attempt()
        assert host.answer(attempt, 4.0) is not None
        assert host.answer(attempt, 900.0) is None
        attempt.failed(Fault.DEAD, "too late")
        attempt.ignored()
        dispatch.cancel()
        assert host.ends == {"a": (1, 0, 0)}
        assert (attempt.fault, attempt.message, dispatch.failures) == (None, "", [])
        assert host.counts("a").latency_ms == 4.0
        assert len(host.policy.observed) == 1

    def test_of_an_error_do_nothing(self, host: Host):
        dispatch = host.dispatch()
        attempt = dispatch.next_attempt()
        attempt.failed(Fault.ERROR, "out of memory")
        attempt.failed(Fault.ERROR, "again")
        attempt.failed(Fault.DEAD, "dead")
        assert host.answer(attempt, 4.0) is None
        assert (attempt.fault, attempt.message) == (Fault.ERROR, "out of memory")
        assert host.ends == {}
        host.answer(dispatch.next_attempt(), 4.0)
        assert host.ends == {"a": (0, 1, 0), "b": (1, 0, 0)}

    @pytest.mark.parametrize("fault", list(Fault))
    def test_of_a_failure_after_a_cancellation_do_nothing(self, host: Host, fault: Fault):
        dispatch = host.dispatch()
        attempt = dispatch.next_attempt()
        dispatch.cancel()
        attempt.failed(fault, "too late")
        assert host.ends == {"a": (0, 0, 1)}
        assert dispatch.failures == []
        assert host.breaker("a") is BreakerState.CLOSED
        assert host.dispatch().next_attempt().variant == "a"

    def test_of_a_success_after_a_cancellation_do_nothing(self, host: Host):
        dispatch = host.dispatch()
        attempt = dispatch.next_attempt()
        dispatch.cancel()
        assert host.answer(attempt, 4.0) is None
        assert host.ends == {"a": (0, 0, 1)}

    def test_of_a_cancellation_do_nothing(self, host: Host):
        dispatch = host.dispatch()
        dispatch.next_attempt().failed(Fault.ERROR)
        dispatch.next_attempt()
        for _ in range(2):
            dispatch.cancel()
        assert host.ends == {"a": (0, 0, 1), "b": (0, 0, 1)}
        assert host.in_flight == {}


class TestDefectInPolicy:
    """A policy raises in `observe`: the host receives the error, and everything else is done."""

    def test_at_an_answer_errors_before_it_still_count(self, host: Host):
        dispatch = host.dispatch()
        for _ in range(2):
            dispatch.next_attempt().failed(Fault.ERROR)
        answer = dispatch.next_attempt()
        host.policy.is_defective = True
        execution = host.answer(answer, 4.0)
        assert (execution.variant, execution.latency_ms) == ("c", 4.0)
        assert [type(defect) for defect in host.defects] == [DefectError] * 3
        assert host.ends == {"a": (0, 1, 0), "b": (0, 1, 0), "c": (1, 0, 0)}
        assert [host.router.model("m").state(name).failures for name in "abc"] == [1, 1, 0]
        assert host.in_flight == {}
        assert sorted(execution.variant for execution in host.policy.observed) == ["a", "b", "c"]

    @pytest.mark.parametrize("fault", [Fault.DEAD, Fault.NOT_READY])
    def test_at_a_failure_another_variant_can_still_be_tried(self, host: Host, fault: Fault):
        host.policy.is_defective = True
        dispatch = host.dispatch()
        dispatch.next_attempt().failed(fault, "gone")
        assert [type(defect) for defect in host.defects] == [DefectError]
        host.policy.is_defective = False
        host.answer(dispatch.next_attempt(), 4.0)
        assert host.ends["b"] == (1, 0, 0)
        assert sum(host.ends["a"]) == 1
        assert [(attempt.variant, attempt.message) for attempt in dispatch.failures] == [("a", "gone")]
        assert host.in_flight == {}

    def test_at_a_cancellation_every_attempt_still_ends(self, host: Host):
        dispatch = host.dispatch()
        dispatch.next_attempt().failed(Fault.ERROR)
        dispatch.next_attempt()
        dispatch.next_attempt()
        host.policy.is_defective = True
        dispatch.cancel()
        assert [type(defect) for defect in host.defects] == [DefectError] * 3
        assert host.ends == dict.fromkeys("abc", (0, 0, 1))
        assert host.in_flight == {}

    def test_at_an_ignored_end_errors_before_it_still_end(self, host: Host):
        dispatch = host.dispatch()
        dispatch.next_attempt().failed(Fault.ERROR)
        last = dispatch.next_attempt()
        host.policy.is_defective = True
        last.ignored()
        assert [type(defect) for defect in host.defects] == [DefectError] * 2
        assert host.ends == {"a": (0, 0, 1), "b": (0, 0, 1)}

    def test_where_no_variant_is_left_the_error_still_has_their_messages(self, host: Host):
        dispatch = host.dispatch()
        for _ in "abc":
            dispatch.next_attempt().failed(Fault.ERROR, "out of paper")
        host.policy.is_defective = True
        with pytest.raises(VariantsFailedError, match="a: out of paper; b: out of paper; c: out"):
            dispatch.next_attempt()
        assert [type(defect) for defect in host.defects] == [DefectError] * 3
        assert host.ends == dict.fromkeys("abc", (0, 0, 1))

    def test_where_it_cannot_score_errors_before_it_still_end(self, host: Host):
        dispatch = host.dispatch()
        dispatch.next_attempt().failed(Fault.ERROR)
        host.policy.cannot_score = True
        with pytest.raises(DefectError):
            dispatch.next_attempt()
        assert host.ends == {"a": (0, 0, 1)}
        assert list(dispatch) == []

    def test_where_it_can_neither_score_nor_observe_the_first_defect_is_raised(self, host: Host):
        dispatch = host.dispatch()
        dispatch.next_attempt().failed(Fault.ERROR)
        host.policy.cannot_score = host.policy.is_defective = True
        with pytest.raises(DefectError) as error:
            dispatch.next_attempt()
        assert [type(defect) for defect in host.defects] == [DefectError]
        assert error.value is not host.defects[0]
        assert host.ends == {"a": (0, 0, 1)}

    def test_where_it_cannot_score_open_attempts_may_still_answer(self, host: Host):
        dispatch = host.dispatch()
        slow = dispatch.next_attempt()
        host.policy.cannot_score = True
        with pytest.raises(DefectError):
            dispatch.next_attempt()
        host.answer(slow, 400.0)
        assert host.ends == {"a": (1, 0, 0)}


def test_by_default_what_a_policy_raises_while_it_learns_reaches_the_caller():
    policy = InOrder()
    policy.is_defective = True
    router = ModelRouter()
    router.set_routing_policy(lambda: policy)
    router.register_model("m", variants=[Variant("a", Device.CPU)])
    decision = router.route_request("m", RoutingContext())
    with pytest.raises(DefectError):
        router.record_execution(decision, latency_ms=4.0)
    state = router.model("m").state("a")
    assert (state.load.in_flight, state.answers) == (0, 1)


def test_a_dry_run_is_counted_neither_in_metrics_nor_in_an_experiment(host: Host):
    host.router.experiments.set([Experiment("v2", lambda: host.policy, lambda: host.policy, 0.5)])
    host.attempt("a", dry_run=True).ignored()
    assert host.ends == {}
    assert not host.router.model("m").metrics().counts.arms
    assert host.in_flight == {}


class TestWarmup:
    def test_it_is_learned_from_but_not_counted(self, host: Host):
        host.router.experiments.set([Experiment("v2", lambda: host.policy, lambda: host.policy, 0.5)])
        for _ in range(2):
            host.answer(host.attempt("a", warmup=True), 4.0)
        host.attempt("b", warmup=True).failed(Fault.DEAD)
        retried = host.dispatch(warmup=True)
        retried.next_attempt().failed(Fault.ERROR)
        host.answer(retried.next_attempt(), 4.0)
        with pytest.raises(NoVariantError):
            host.attempt("b", warmup=True)
        assert host.router.model("m").state("a").profile.latency.known
        assert host.breaker("b") is BreakerState.OPEN
        assert (host.ends, host.refusals) == ({}, {})
        assert [host.counts(name) for name in "abc"] == [VariantCounts()] * 3
        assert host.router.get_metrics().get_model_metrics("m").counts.arms == {}
        assert host.router.experiments.report("v2").models["m"].treatment.answers == 0

    def test_the_policy_learns_from_it(self, host: Host):
        execution = host.answer(host.attempt("a", warmup=True), 4.0)
        assert host.policy.observed == [execution]
        assert execution.context.warmup


class TestAbandonedRequest:
    """Its time is up while a variant works on it."""

    def test_an_answer_that_comes_too_late_is_learned_from(self, host: Host):
        for _ in range(2):
            dispatch = host.dispatch()
            attempt = dispatch.next_attempt()
            dispatch.abandon()
            assert (dispatch.has_ended, host.in_flight) == (True, {"a": 1})
            host.answer(attempt, 400.0)
        assert (host.ends, host.in_flight) == ({"a": (2, 0, 0)}, {})
        assert host.router.model("m").state("a").profile.latency.known

    def test_an_error_that_comes_too_late_is_ignored(self, host: Host):
        dispatch = host.dispatch()
        attempt = dispatch.next_attempt()
        dispatch.abandon()
        attempt.failed(Fault.ERROR)
        assert (host.ends, host.in_flight) == ({"a": (0, 0, 1)}, {})

    def test_errors_before_it_are_ignored(self, host: Host):
        dispatch = host.dispatch()
        dispatch.next_attempt().failed(Fault.ERROR)
        dispatch.next_attempt()
        dispatch.abandon()
        assert host.ends == {"a": (0, 0, 1)}


class TestTwoOpenAttempts:
    """A host may send a request to a second variant when the first takes long."""

    def test_the_first_answer_wins_and_the_other_ends_ignored(self, host: Host):
        dispatch = host.dispatch()
        slow, quick = dispatch.next_attempt(), dispatch.next_attempt()
        assert host.in_flight == {"a": 1, "b": 1}
        host.answer(quick, 4.0)
        slow.ignored()
        assert host.ends == {"a": (0, 0, 1), "b": (1, 0, 0)}
        assert host.in_flight == {}
        assert list(dispatch) == []

    def test_an_error_of_one_counts_at_once_if_the_other_has_answered(self, host: Host):
        dispatch = host.dispatch()
        failing, quick = dispatch.next_attempt(), dispatch.next_attempt()
        host.answer(quick, 4.0)
        failing.failed(Fault.ERROR, "out of memory")
        assert host.ends == {"a": (0, 1, 0), "b": (1, 0, 0)}

    def test_an_error_waits_for_the_others_answer(self, host: Host):
        dispatch = host.dispatch()
        failing, slow = dispatch.next_attempt(), dispatch.next_attempt()
        failing.failed(Fault.ERROR)
        assert host.ends == {}
        host.answer(slow, 400.0)
        assert host.ends == {"a": (0, 1, 0), "b": (1, 0, 0)}

    def test_an_error_after_an_end_without_an_answer_is_ignored(self, host: Host):
        dispatch = host.dispatch()
        failing, dropped = dispatch.next_attempt(), dispatch.next_attempt()
        dropped.ignored()
        failing.failed(Fault.ERROR)
        assert host.ends == {"a": (0, 0, 1), "b": (0, 0, 1)}

    def test_without_a_third_variant_the_open_ones_continue(self, host: Host):
        dispatch = host.dispatch(excluded_variants=frozenset({"c"}))
        slow, failing = dispatch.next_attempt(), dispatch.next_attempt()
        failing.failed(Fault.ERROR)
        with pytest.raises(NoVariantError):
            dispatch.next_attempt()
        assert host.in_flight == {"a": 1}
        host.answer(slow, 400.0)
        assert host.ends == {"a": (1, 0, 0), "b": (0, 1, 0)}

    def test_a_cancellation_ends_both(self, host: Host):
        dispatch = host.dispatch()
        dispatch.next_attempt(), dispatch.next_attempt()
        dispatch.cancel()
        assert host.ends == {"a": (0, 0, 1), "b": (0, 0, 1)}
        assert host.in_flight == {}


def test_dropped_attempts_give_their_places_back(host: Host):
    dispatch = host.dispatch()
    dispatch.next_attempt(), dispatch.next_attempt()
    del dispatch
    gc.collect()
    with suppress(NoVariantError):
        host.dispatch(excluded_variants=frozenset("abc")).next_attempt()
    assert host.in_flight == {}


def test_a_request_whose_end_is_reported_leaves_no_garbage(host: Host):
    def serve() -> None:
        dispatch = host.dispatch()
        dispatch.next_attempt().failed(Fault.ERROR)
        host.answer(dispatch.next_attempt(), 4.0)

    serve()
    host.policy.observed.clear()
    gc.collect()
    gc.disable()
    try:
        serve()
        host.policy.observed.clear()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_memory_and_power_of_an_answer_are_learned(host: Host):
    attempt = host.attempt("a")
    host.clock.now_s += 0.005
    attempt.succeeded(5.0, memory_mb=100.0, power_w=30.0)
    profile = host.router.model("m").state("a").profile
    assert profile.memory.predict(1.0) == pytest.approx(100.0)
    assert profile.power.predict(1.0) == pytest.approx(30.0)
