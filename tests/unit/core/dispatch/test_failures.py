"""When the failure of a variant counts, and which error the client gets."""

import pytest

from router_backend.core.dispatch import Dispatch
from router_backend.core.records.outcome import Fault, Outcome
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.settings import ModelSettings
from router_backend.core.variants.health import BreakerState
from router_backend.errors import InvalidRequestError, NoVariantError, VariantsFailedError
from tests.unit.core.dispatch.host import Host


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
        assert [execution.fault for execution in host.policy.observed] == [Fault.ERROR]

    def test_it_is_counted_but_no_variants_failure_if_no_variant_is_left(self, host: Host):
        dispatch = host.dispatch()
        for _ in range(3):
            dispatch.next_attempt().failed(Fault.ERROR)
        with pytest.raises(VariantsFailedError):
            dispatch.next_attempt()
        assert host.ends == dict.fromkeys("abc", (0, 0, 1))
        assert [host.counts(name).faults[Fault.ERROR] for name in "abc"] == [1, 1, 1]
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


class TestWrongAnswers:
    """A variant answers with other outputs than it declares."""

    def test_two_in_a_row_open_the_breaker_once_another_variant_has_answered(self, host: Host):
        for _ in range(2):
            dispatch = host.dispatch()
            dispatch.next_attempt().failed(Fault.WRONG_ANSWER, "no outputs")
            assert host.breaker("a") is BreakerState.CLOSED
            host.answer(dispatch.next_attempt(), 4.0)
        assert host.ends == {"a": (0, 2, 0), "b": (2, 0, 0)}
        assert host.counts("a").faults == {**dict.fromkeys(Fault, 0), Fault.WRONG_ANSWER: 2}
        assert host.breaker("a") is BreakerState.OPEN

    def test_of_all_variants_blame_none_as_the_request_may_be_the_cause(self, host: Host):
        dispatch = host.dispatch()
        for _ in range(3):
            dispatch.next_attempt().failed(Fault.WRONG_ANSWER, "no outputs")
        with pytest.raises(VariantsFailedError, match="a: no outputs; b: no outputs; c: no outputs"):
            dispatch.next_attempt()
        assert host.ends == dict.fromkeys("abc", (0, 0, 1))


class TestUnsupported:
    """A variant answers that it does not support the request."""

    def test_another_variant_answers_and_this_one_stays_in_service_but_costs_a_retry(self, host: Host):
        host.answer(host.attempt("a"), 4.0)
        for _ in range(5):
            dispatch = host.dispatch()
            dispatch.next_attempt().failed(Fault.UNSUPPORTED, "no strings", "UNIMPLEMENTED")
            host.answer(dispatch.next_attempt(), 4.0)
        assert host.ends == {"a": (1, 5, 0), "b": (5, 0, 0)}
        assert host.counts("a").faults == {**dict.fromkeys(Fault, 0), Fault.UNSUPPORTED: 5}
        assert host.breaker("a") is BreakerState.CLOSED
        assert host.router.model("m").state("a").candidate.failure_share > 0.4

    def test_if_no_variant_supports_it_the_client_gets_their_status_and_none_is_blamed(self, host: Host):
        dispatch = host.dispatch()
        for _ in range(3):
            dispatch.next_attempt().failed(Fault.UNSUPPORTED, "no strings", "UNIMPLEMENTED")
        with pytest.raises(VariantsFailedError) as refusal:
            dispatch.next_attempt()
        assert refusal.value.status == "UNIMPLEMENTED"
        assert host.ends == dict.fromkeys("abc", (0, 0, 1))
        assert host.counts("a").faults[Fault.UNSUPPORTED] == 1


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
        assert str(error.value) == (
            f"model 'm': no variant can serve this request now ({reasons}): "
            "load a variant, or try again later"
        )

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
