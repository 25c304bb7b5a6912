"""Which candidates are in time for a deadline, and when a request is refused because none is."""

import pytest

from router_backend.core.choosing.filters import LATE
from router_backend.core.records.variant import Device, Variant
from router_backend.core.settings import ModelSettings
from router_backend.core.variants.state import VariantState
from router_backend.errors import DeadlineError
from tests.unit.core.choosing.taught import TaughtRouter

REFUSING = ModelSettings(refuse_late=True)


def test_candidates_that_would_be_late_are_rejected_with_that_reason():
    decision = TaughtRouter({"slow": 20.0, "fast": 10.0}).route(max_latency_ms=15.0)
    assert {each.variant: each.reason_out for each in decision.candidates} == {"fast": None, "slow": LATE}


def test_the_deadline_itself_is_in_time():
    taught = TaughtRouter({"a": 10.0, "b": 16.0})
    exact_ms = taught.model.state("b").profile.latency.predict(1.0, taught.now_s)
    for deadline_ms, fallbacks in ((exact_ms, ("b",)), (exact_ms * (1 - 1e-9), ())):
        decision = taught.route(max_latency_ms=deadline_ms)
        assert decision.fallbacks == fallbacks
        taught.router.record_execution(decision)


def test_the_wait_counts():
    taught = TaughtRouter({"a": 10.0, "b": 14.0})
    held = taught.route()
    assert held.variant == "a"
    assert taught.route(max_latency_ms=15.0).variant == "b"


def test_if_none_is_in_time_all_are_candidates_unless_late_requests_are_refused():
    taught = TaughtRouter({"slow": 20.0, "fast": 10.0})
    decision = taught.route(max_latency_ms=1.0)
    assert (decision.variant, decision.fallbacks) == ("fast", ("slow",))


@pytest.mark.parametrize(("spent_ms", "soonest_ms"), [(0.0, 10), (2.0, 12), (8.0, 18)])
def test_a_refusal_states_the_deadline_and_when_the_soonest_would_answer(spent_ms: float, soonest_ms: int):
    """Both count from the arrival of the request, whatever of its time has passed."""
    taught = TaughtRouter({"slow": 20.0, "fast": 10.0}, settings=REFUSING)
    with pytest.raises(DeadlineError) as error:
        taught.route(max_latency_ms=3.0, spent_ms=spent_ms)
    assert str(error.value) == (
        f"model 'resnet50': no variant can answer within 3 ms, the soonest is expected in {soonest_ms} ms: "
        "allow more time, or send less"
    )


def test_a_refusal_because_of_the_wait_says_when_to_come_again():
    taught = TaughtRouter({"only": 10.0}, settings=REFUSING)
    held = taught.route()
    with pytest.raises(
        DeadlineError, match="expected in 23 ms: come again in 5 ms, allow more time"
    ) as error:
        taught.route(max_latency_ms=18.0, spent_ms=3.0)
    assert "within 18 ms" in str(error.value)
    assert held.variant == "only"


class TestOptimism:
    """An idle variant that is predicted to be a little late is tried before a request is refused."""

    @staticmethod
    def lowest_deadline_ms(taught: TaughtRouter) -> float:
        """Return one standard deviation less than the predicted time."""
        latency = taught.model.state("a").profile.latency
        sd = min(latency.relative_variance(taught.now_s) ** 0.5, VariantState.MAX_DOUBT)
        return latency.predict(1.0, taught.now_s) * (1.0 - sd)

    def test_an_idle_variant_is_assumed_to_be_one_deviation_faster(self):
        taught = TaughtRouter({"a": 10.0}, settings=REFUSING)
        lowest_ms = self.lowest_deadline_ms(taught)
        assert lowest_ms < 10.0
        assert taught.chosen(max_latency_ms=lowest_ms * 1.001) == "a"
        with pytest.raises(DeadlineError):
            taught.route(max_latency_ms=lowest_ms * 0.999)

    def test_a_busy_one_is_not(self):
        variants = [Variant("a", Device.CPU, concurrency=2)]
        taught = TaughtRouter({"a": 10.0}, variants=variants, settings=REFUSING)
        held = taught.route()
        with pytest.raises(DeadlineError):
            taught.route(max_latency_ms=self.lowest_deadline_ms(taught) * 1.001)
        assert held.variant == "a"

    def test_only_those_that_might_be_in_time_are_candidates(self):
        taught = TaughtRouter({"a": 10.0, "slow": 30.0}, settings=REFUSING)
        decision = taught.route(max_latency_ms=self.lowest_deadline_ms(taught) * 1.001)
        assert {each.variant: each.reason_out for each in decision.candidates} == {"a": None, "slow": LATE}

    def test_after_a_hundred_refusals_one_request_tries_it_again(self):
        taught = TaughtRouter({"a": 10.0}, settings=REFUSING)
        for _ in range(VariantState.REFUSALS_BEFORE_RETRIAL):
            with pytest.raises(DeadlineError):
                taught.route(max_latency_ms=1.0)
        assert taught.chosen(max_latency_ms=1.0) == "a"
        with pytest.raises(DeadlineError):
            taught.route(max_latency_ms=1.0)

    def test_a_variant_that_was_never_measured_is_tried(self):
        variants = [Variant(name, Device.CPU) for name in ("a", "new")]
        taught = TaughtRouter({"a": 10.0}, variants=variants, settings=REFUSING)
        assert taught.chosen(max_latency_ms=1.0) == "new"
