"""What a policy that raises does not prevent."""

import pytest

from router_backend.core.records.outcome import Fault
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.errors import VariantsFailedError
from tests.unit.core.dispatch.host import DefectError, Host, InOrder


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
