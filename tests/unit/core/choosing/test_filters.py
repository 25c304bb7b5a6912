"""Each filter with its reason, their order, and which variants are taken back."""

import pytest

from router_backend.core.choosing import filters
from router_backend.core.choosing.filters import (
    BREAKER_OPEN,
    BREAKER_OPEN_DEAD,
    BREAKER_OPEN_WRONG,
    FILTERS,
    Filter,
    FilterPlan,
    Rejected,
    passing,
    room_filter,
    take_back_resting,
)
from router_backend.core.records.characteristics import ModelCharacteristics
from router_backend.core.records.outcome import Fault
from router_backend.core.records.request import Request, RoutingContext
from router_backend.core.records.suitability import Suitability
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.variants.capacity import Capacity, DeviceLimits
from router_backend.core.variants.state import VariantState
from router_backend.errors import NoVariantError

NOW_S = 100.0


def state_of(
    name: str = "a",
    device: Device = Device.CPU,
    *,
    max_batch_size: int = 0,
    suitability: Suitability | None = None,
    characteristics: ModelCharacteristics | None = None,
    memory_mb: float | None = None,
    power_w: float | None = None,
) -> VariantState:
    """Return the state of a variant with these measurements, predicted for a request."""
    variant = Variant(
        name,
        device,
        max_batch_size=max_batch_size,
        suitability=suitability or Suitability(),
        characteristics=characteristics,
    )
    state = VariantState(variant, coverage=0.9)
    for _ in range(2):  # one reading refuses nothing
        state.profile.learn_resources(1.0, memory_mb, power_w)
    state.predict(1.0, request_of())
    return state


def failed_state(fault: Fault, name: str = "a", **more: int) -> VariantState:
    """Return the state of a variant whose breaker has just opened."""
    state = state_of(name, **more)
    for _ in range(2):
        state.failed(fault, NOW_S)
    return state


def request_of(now_s: float = NOW_S, **context: object) -> Request:
    return Request(RoutingContext(**context), None, now_s)  # type: ignore[arg-type]


def reasons(states: list[VariantState], request: Request) -> dict[str, str]:
    """Return why variants are rejected by the filters of the project, by name."""
    rejected: Rejected = []
    before, after = FilterPlan.of(FILTERS)
    passing(after, passing(before, states, request, rejected), request, rejected)
    return {state.variant.name: reason for state, reason in rejected}


def test_a_variant_that_the_request_excludes_is_rejected():
    request = request_of(excluded_variants=frozenset({"a"}))
    assert filters.excluded(state_of("a"), request) == "excluded from this request"
    assert filters.excluded(state_of("b"), request) is None


def test_a_variant_that_is_excluded_because_it_was_not_ready_has_that_as_its_reason():
    state = state_of("a")
    state.not_ready_reason = "not ready: it is being loaded"
    reason = filters.excluded(state, request_of(excluded_variants=frozenset({"a"})))
    assert reason == "not ready: it is being loaded"


def test_only_the_allowed_variants_pass():
    request = request_of(allowed_variants=frozenset({"b"}))
    assert filters.not_allowed(state_of("a"), request) == "not among the allowed variants"
    assert filters.not_allowed(state_of("b"), request) is None
    assert filters.not_allowed(state_of("a"), request_of()) is None
    assert filters.not_allowed(state_of("a"), request_of(allowed_variants=frozenset())) is not None


def test_only_variants_on_the_allowed_devices_pass():
    request = request_of(allowed_devices=frozenset({Device.GPU}))
    assert filters.device_not_allowed(state_of(device=Device.CPU), request) == "not on an allowed device"
    assert filters.device_not_allowed(state_of(device=Device.GPU), request) is None
    assert filters.device_not_allowed(state_of(device=Device.CPU), request_of()) is None


class TestUnavailable:
    def test_a_variant_that_is_not_ready_is_rejected_with_the_reason(self):
        state = state_of()
        assert filters.unavailable(state, request_of()) is None
        state.not_ready_reason = "not ready: it is being loaded"
        assert filters.unavailable(state, request_of()) == "not ready: it is being loaded"

    def test_a_device_that_cannot_run_the_model_is_rejected_with_the_reason(self):
        analyzed = state_of(suitability=Suitability("it has a Loop"))
        assert filters.unavailable(analyzed, request_of()) == "it has a Loop"

    @pytest.mark.parametrize(
        ("device", "statement"),
        [
            (Device.GPU, "supports_gpu"),
            (Device.NEURAL_ENGINE, "supports_neural_engine"),
            (Device.MPS, "supports_mps"),
        ],
    )
    def test_a_device_on_which_the_model_is_stated_not_to_run_is_rejected(self, device, statement):
        def reason(on: Device, supported: bool | None) -> str | None:
            characteristics = ModelCharacteristics("m", **{statement: supported})
            return filters.unavailable(state_of(device=on, characteristics=characteristics), request_of())

        assert reason(device, False) == f"the model is stated not to run on {device.value}"
        assert reason(device, True) is reason(device, None) is reason(Device.CPU, False) is None

    @pytest.mark.parametrize(
        ("max_batch_size", "reason"), [(4, "batch 5 is above its maximum 4"), (5, None), (0, None)]
    )
    def test_a_batch_above_the_maximum_is_rejected(self, max_batch_size, reason):
        state = state_of(max_batch_size=max_batch_size)
        assert filters.unavailable(state, request_of(batch_size=5)) == reason

    def test_a_variant_that_failed_is_rejected_until_its_breaker_lets_one_request_pass(self):
        state = failed_state(Fault.ERROR)
        assert filters.unavailable(state, request_of()) == BREAKER_OPEN == "breaker open after failures"
        assert filters.unavailable(state, request_of(NOW_S + 1.0)) is None
        state.dispatch(NOW_S + 1.0)
        assert filters.unavailable(state, request_of(NOW_S + 1.0)) == BREAKER_OPEN

    def test_a_variant_that_answered_wrongly_is_rejected_with_where_to_look(self):
        reason = filters.unavailable(failed_state(Fault.WRONG_ANSWER), request_of())
        assert reason == BREAKER_OPEN_WRONG

    def test_a_dead_process_is_rejected_with_what_to_do(self):
        reason = filters.unavailable(failed_state(Fault.DEAD), request_of())
        assert reason == BREAKER_OPEN_DEAD == "breaker open: its process has ended, load the model again"


@pytest.mark.parametrize(
    ("allowed_mb", "reason"),
    [(899.0, "expected to take 900 MB, above the request's 899 MB"), (900.5, None), (None, None)],
)
def test_a_variant_that_takes_more_memory_than_the_request_allows_is_rejected(allowed_mb, reason):
    request = request_of(max_memory_mb=allowed_mb)
    assert filters.too_much_memory(state_of(memory_mb=900.0), request) == reason
    assert filters.too_much_memory(state_of(), request) is None, "nothing is known of it"


@pytest.mark.parametrize(
    ("allowed_w", "reason"),
    [(69.0, "expected to draw 70 W, above the request's 69 W"), (70.5, None), (None, None)],
)
def test_a_variant_that_draws_more_power_than_the_request_allows_is_rejected(allowed_w, reason):
    request = request_of(max_power_w=allowed_w)
    assert filters.too_much_power(state_of(power_w=70.0), request) == reason
    assert filters.too_much_power(state_of(device=Device.NEURAL_ENGINE), request) is None, "8 W are assumed"
    refused = filters.too_much_power(state_of(device=Device.GPU), request)
    assert refused == reason, "70 W are assumed, unmeasured"


LIMITS = [(filters.too_much_memory, "max_memory_mb"), (filters.too_much_power, "max_power_w")]


@pytest.mark.parametrize(("reason_out", "limit"), LIMITS)
def test_a_variant_whose_last_reading_is_within_the_limit_is_not_rejected(reason_out, limit):
    state = state_of(memory_mb=100.0, power_w=100.0)
    state.profile.learn_resources(1.0, 80.0, 80.0)
    assert state.candidate.memory_mb > 90.0 < state.candidate.power_w
    assert reason_out(state, request_of(**{limit: 79.9})) is not None
    assert reason_out(state, request_of(**{limit: 80.0})) is None


@pytest.mark.parametrize(("reason_out", "limit"), LIMITS)
def test_a_few_rejected_requests_lead_to_a_trial_and_rejected_dry_runs_do_not(reason_out, limit):
    state = state_of(memory_mb=100.0, power_w=100.0)
    dry_run, request = (request_of(**{limit: 1.0, "dry_run": each}) for each in (True, False))
    assert all(reason_out(state, dry_run) for _ in range(100))
    rejected = [reason_out(state, request) is not None for _ in range(10)]
    assert rejected[:3] == [True] * 3
    assert rejected[5:] == [False] * 5


class TestRoom:
    @staticmethod
    def reason(limits: DeviceLimits, in_flight_mb: float, device: Device = Device.GPU) -> str | None:
        """Return why a request of 300 MB is rejected beside one that is in flight on the GPU."""
        capacity, other = Capacity(), state_of(device=Device.GPU)
        capacity.take(other.dispatch(NOW_S), Device.GPU, in_flight_mb)
        state = state_of(device=device, memory_mb=300.0)
        return room_filter(capacity, {Device.GPU: limits}).reason_out(state, request_of())

    def test_a_device_without_a_free_place_is_rejected(self):
        assert self.reason(DeviceLimits(max_in_flight=1), 0.0) == "gpu: 1 of 1 places are taken"
        assert self.reason(DeviceLimits(max_in_flight=2), 0.0) is None

    def test_a_device_without_the_memory_is_rejected(self):
        assert self.reason(DeviceLimits(max_memory_mb=1000.0), 701.0) is not None
        assert self.reason(DeviceLimits(max_memory_mb=1000.0), 699.0) is None

    def test_a_device_without_limits_has_room(self):
        assert self.reason(DeviceLimits(max_in_flight=1), 0.0, Device.CPU) is None


class TestOrder:
    def test_a_variant_has_the_reason_of_the_first_filter_that_rejects_it(self):
        """Each request states one constraint less than the one before."""
        state = failed_state(Fault.ERROR, max_batch_size=1)
        state.profile.learn_resources(1.0, 900.0, 70.0)
        constraints: dict[str, object] = {
            "excluded_variants": frozenset({"a"}),
            "allowed_variants": frozenset({"b"}),
            "allowed_devices": frozenset({Device.GPU}),
            "batch_size": 2,
            "max_memory_mb": 1.0,
            "max_power_w": 1.0,
        }
        found = []
        for constraint in list(constraints):
            found.append(reasons([state], request_of(**constraints))["a"])
            del constraints[constraint]
        assert found == [
            "excluded from this request",
            "not among the allowed variants",
            "not on an allowed device",
            "batch 2 is above its maximum 1",
            BREAKER_OPEN,
            BREAKER_OPEN,
        ]

    def test_filters_on_predictions_come_last(self):
        state = state_of(memory_mb=900.0, power_w=70.0)
        assert reasons([state], request_of(max_memory_mb=1.0, max_power_w=1.0))["a"].startswith(
            "expected to take 900 MB"
        )
        assert reasons([state], request_of(max_power_w=1.0))["a"].startswith("expected to draw 70 W")

    def test_in_a_plan_the_breaker_is_last_because_its_variants_may_be_taken_back(self):
        plan = FilterPlan.of([Filter(filters.unavailable), Filter(filters.excluded)])
        assert plan.before == (filters.excluded, filters.unavailable)

    def test_a_plan_keeps_the_order_and_separates_what_needs_a_prediction(self):
        def one(state: VariantState, request: Request) -> str | None:
            return None

        def two(state: VariantState, request: Request) -> str | None:
            return None

        plan = FilterPlan.of([Filter(two, needs_prediction=True), Filter(two), Filter(one)])
        assert plan == ((two, one), (two,))

    def test_filters_that_are_skipped_without_constraints_would_reject_nothing_then(self):
        state = state_of(max_batch_size=1, memory_mb=900.0, power_w=70.0)
        state.not_ready_reason = "not ready"
        reasons = [each.reason_out(state, request_of(batch_size=2)) for each in FILTERS if each.constraint]
        assert len(reasons) > 4
        assert set(reasons) == {None}


def test_the_variants_that_pass_keep_their_order_and_the_others_are_added():
    states = [state_of(name) for name in "abc"]
    rejected: Rejected = [(states[0], "before")]
    kept = passing((filters.not_allowed,), states, request_of(allowed_variants=frozenset("ac")), rejected)
    assert kept == [states[0], states[2]]
    assert rejected == [(states[0], "before"), (states[1], "not among the allowed variants")]


class TestTakeBack:
    def test_those_that_only_their_breaker_keeps_out_are_taken_back(self):
        resting, wrong, dead, absent = map(state_of, ("resting", "wrong", "dead", "absent"))
        rejected: Rejected = [
            (resting, BREAKER_OPEN),
            (wrong, BREAKER_OPEN_WRONG),
            (dead, BREAKER_OPEN_DEAD),
            (absent, "not ready"),
        ]
        assert take_back_resting(rejected, 0.0) == [resting, wrong]
        assert rejected == [(dead, BREAKER_OPEN_DEAD), (absent, "not ready")]

    def test_without_an_open_breaker_none_is_taken_back(self):
        rejected: Rejected = [(state_of(), BREAKER_OPEN_DEAD)]
        assert take_back_resting(rejected, 0.0) == []
        assert len(rejected) == 1


class TestFiltersOfTheUser:
    """`ModelRouter(filters=(*FILTERS, mine))`."""

    @staticmethod
    def router(*mine: Filter) -> ModelRouter:
        router = ModelRouter(clock=lambda: NOW_S, filters=(*FILTERS, *mine))
        router.register_model("m", variants=[Variant("gpu", Device.GPU), Variant("cpu", Device.CPU)])
        return router

    @staticmethod
    def no_gpu(state: VariantState, _: Request) -> str | None:
        return "the GPU is reserved" if state.variant.device is Device.GPU else None

    def test_rejects_with_its_own_reason(self):
        decision = self.router(Filter(self.no_gpu)).route_request("m", RoutingContext())
        assert decision.variant == "cpu"
        assert {each.variant: each.reason_out for each in decision.candidates} == {
            "cpu": None,
            "gpu": "the GPU is reserved",
        }

    def test_may_read_what_is_predicted_for_the_request(self):
        def beyond_eight(state: VariantState, request: Request) -> str | None:
            return "too large" if state.candidate.size > 8.0 else None

        router = self.router(Filter(beyond_eight, needs_prediction=True))
        assert router.route_request("m", RoutingContext(batch_size=8)).variant
        with pytest.raises(NoVariantError, match="gpu: too large; cpu: too large"):
            router.route_request("m", RoutingContext(batch_size=9))

    def test_of_a_constraint_is_applied_only_to_constrained_requests(self):
        router = self.router(Filter(self.no_gpu, constraint=True))
        constrained = RoutingContext(allowed_variants=frozenset({"gpu"}))
        assert router.route_request("m", RoutingContext()).fallbacks
        with pytest.raises(NoVariantError, match="gpu: the GPU is reserved"):
            router.route_request("m", constrained)

    def test_also_applies_to_a_variant_that_is_taken_back(self):
        """Both breakers are open, so a variant is taken back, but not the one that the filter rejects."""
        router = self.router(Filter(self.no_gpu))
        for state in router.model("m").states.values():
            for _ in range(2):
                state.failed(Fault.ERROR, NOW_S)
        decision = router.route_request("m", RoutingContext())
        assert decision.variant == "cpu"
        assert decision.fallbacks == ()
