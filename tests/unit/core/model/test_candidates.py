"""Which variants of a model may serve a request, and the errors if none may."""

import gc

import pytest

from router_backend.core.choosing.filters import BREAKER_OPEN_DEAD
from router_backend.core.records.outcome import Fault
from router_backend.core.records.variant import Device, Variant
from router_backend.core.settings import ModelSettings
from router_backend.core.variants.state import VariantState
from router_backend.errors import DeadlineError, InvalidRequestError, NoVariantError
from tests.unit.core.conftest import NOW_S
from tests.unit.core.model.requests import fail, only, reasons, route


class TestFilters:
    def test_every_rejected_variant_has_a_reason(self, make_model):
        model = make_model(
            "chosen",
            "excluded",
            "failing",
            "not_ready",
            variants=[Variant("small", Device.CPU, max_batch_size=4)],
            learned_ms={"failing": 1.0},
        )
        model.states["not_ready"].not_ready_reason = "its provider is missing"
        fail(model, "failing", Fault.ERROR, times=2)
        decision = route(model, batch_size=5, excluded_variants=only("excluded"))
        assert decision.variant == "chosen"
        assert model.policy.seen == ["chosen"]
        assert reasons(decision) == {
            "chosen": None,
            "small": "batch 5 is above its maximum 4",
            "excluded": "excluded from this request",
            "failing": "breaker open after failures",
            "not_ready": "its provider is missing",
        }

    def test_only_the_allowed_variants_are_candidates(self, make_model):
        model = make_model("a", "b", "c")
        decision = route(model, allowed_variants=only("b", "c"))
        assert model.policy.seen == ["b", "c"]
        assert reasons(decision)["a"] == "not among the allowed variants"

    def test_a_batch_of_its_maximum_is_not_above_it(self, make_model):
        model = make_model(variants=[Variant("small", Device.CPU, max_batch_size=4)])
        assert route(model, batch_size=4).variant == "small"

    def test_only_variants_on_the_allowed_devices_are_candidates(self, make_model):
        model = make_model("cpu", variants=[Variant("gpu", Device.GPU)])
        decision = route(model, allowed_devices=frozenset({Device.GPU}))
        assert model.policy.seen == ["gpu"]
        assert reasons(decision)["cpu"] == "not on an allowed device"

    def test_a_variant_that_takes_no_batches_is_not_judged_by_the_batch(self, make_model):
        assert route(make_model("unbatched"), batch_size=1000).variant == "unbatched"


class TestNobody:
    def test_when_every_variant_is_rejected_the_error_lists_each_with_its_reason(self, make_model):
        model = make_model("dead", "excluded", "not_ready", learned_ms={"dead": 1.0})
        model.states["not_ready"].not_ready_reason = "its provider is missing"
        fail(model, "dead", Fault.DEAD, times=1)
        with pytest.raises(NoVariantError) as error:
            route(model, excluded_variants=only("excluded"))
        assert str(error.value) == (
            "model 'resnet50': no variant can serve this request now (dead: breaker open: its process has "
            "ended, load the model again; "
            "excluded: excluded from this request; not_ready: its provider is missing): "
            "load a variant, or try again later"
        )

    def test_a_request_that_its_limits_keep_from_every_variant_is_told_so(self, make_model):
        model = make_model("a")
        with pytest.raises(NoVariantError, match="raise its limits, or try again later"):
            route(model, max_power_w=1.0)

    @pytest.mark.parametrize(
        "allowed",
        [
            {"allowed_devices": frozenset({Device.MPS, Device.NEURAL_ENGINE})},
            {"allowed_devices": frozenset({Device.GPU}), "allowed_variants": only("m_cpu")},
            {"allowed_variants": only()},
        ],
    )
    def test_a_request_that_allows_no_variant_is_invalid_and_is_told_what_there_is(self, make_model, allowed):
        model = make_model("m_cpu", variants=[Variant("m_gpu", Device.GPU)])
        model.states["m_gpu"].not_ready_reason = "still loading"
        with pytest.raises(InvalidRequestError) as error:
            route(model, **allowed)
        assert str(error.value) == (
            "model 'resnet50': the request allows none of its variants, which are m_gpu on gpu, "
            "m_cpu on cpu: allow one of them and its device"
        )

    def test_a_device_whose_variants_are_out_now_is_no_error_of_the_client(self, make_model):
        model = make_model("cpu", variants=[Variant("gpu", Device.GPU)])
        model.states["gpu"].not_ready_reason = "still loading"
        with pytest.raises(NoVariantError, match="gpu: still loading"):
            route(model, allowed_devices=frozenset({Device.GPU, Device.MPS}))

    def test_an_allowed_variant_that_the_model_lacks_is_an_invalid_request(self, make_model):
        with pytest.raises(InvalidRequestError) as error:
            route(make_model("a", "b"), allowed_variants=only("a", "c"))
        assert str(error.value) == "model 'resnet50' has no variant 'c': expected one of a, b"

    def test_a_batch_above_every_allowed_maximum_is_an_invalid_request(self, make_model):
        sizes = {"small": 4, "large": 32}
        model = make_model(variants=[Variant(n, Device.CPU, max_batch_size=s) for n, s in sizes.items()])
        with pytest.raises(InvalidRequestError, match=r"a batch of 5 is above the largest .*, 4: send"):
            route(model, batch_size=5, allowed_variants=only("small"))

    def test_a_batch_above_every_maximum_is_an_invalid_request_and_names_the_largest(self, make_model):
        sizes = {"small": 4, "large": 32}
        model = make_model(variants=[Variant(n, Device.CPU, max_batch_size=s) for n, s in sizes.items()])
        model.states["large"].not_ready_reason = "still loading"
        with pytest.raises(InvalidRequestError) as error:
            route(model, batch_size=33)
        assert str(error.value) == (
            "model 'resnet50': a batch of 33 is above the largest that a variant takes, 32: "
            "send smaller batches"
        )

    def test_a_batch_that_only_an_unavailable_variant_takes_is_a_valid_request(self, make_model):
        sizes = {"small": 4, "large": 32}
        model = make_model(variants=[Variant(n, Device.CPU, max_batch_size=s) for n, s in sizes.items()])
        model.states["large"].not_ready_reason = "still loading"
        with pytest.raises(
            NoVariantError, match=r"small: batch 32 is above its maximum 4; large: still loading"
        ):
            route(model, batch_size=32)

    def test_an_error_takes_no_place_in_flight(self, make_model):
        model = make_model("a")
        with pytest.raises(NoVariantError):
            route(model, excluded_variants=only("a"))
        assert model.states["a"].load.in_flight == 0


class TestDeadline:
    def test_candidates_that_fit_it_come_first(self, make_model):
        model = make_model("wanted", "fast", learned_ms={"wanted": 12.0, "fast": 10.0})
        model.policy.wanted = "wanted"
        assert route(model, max_latency_ms=12.1).variant == "wanted"
        in_time = route(model, max_latency_ms=11.9)
        assert in_time.variant == "fast"
        assert reasons(in_time) == {"fast": None, "wanted": "would be late"}

    @pytest.mark.parametrize("max_latency_ms", [5.0, 0.0, -3.0])
    def test_if_none_fits_it_all_may_serve(self, make_model, max_latency_ms):
        model = make_model("slow", "slower", learned_ms={"slow": 10.0, "slower": 20.0})
        decision = route(model, max_latency_ms=max_latency_ms)
        assert decision.variant == "slow"
        assert reasons(decision) == {"slow": None, "slower": None}

    def test_late_requests_are_refused_if_configured_with_the_earliest_answer(self, make_model):
        settings = ModelSettings(refuse_late=True)
        model = make_model("slow", "slower", learned_ms={"slow": 10.0, "slower": 20.0}, settings=settings)
        with pytest.raises(DeadlineError, match="within 4 ms, the soonest is expected in 10"):
            route(model, max_latency_ms=4.0)
        assert all(state.load.in_flight == 0 for state in model.states.values())
        assert route(model, max_latency_ms=50.0).variant == "slow"

    @pytest.mark.parametrize("configured", [False, True])
    def test_a_request_can_state_whether_it_is_refused_when_late(self, make_model, configured):
        settings = ModelSettings(refuse_late=configured)
        model = make_model("slow", "slower", learned_ms={"slow": 10.0, "slower": 20.0}, settings=settings)
        assert route(model, max_latency_ms=4.0, refuse_late=False).variant == "slow"
        with pytest.raises(DeadlineError):
            route(model, max_latency_ms=4.0, refuse_late=True)

    def test_time_spent_reduces_the_deadline_of_request_and_model(self, make_model):
        settings = ModelSettings(max_latency_ms=30.0, refuse_late=True)
        model = make_model("slow", learned_ms={"slow": 10.0}, settings=settings)
        assert route(model, spent_ms=15.0).deadline_ms == 15.0
        assert route(model, spent_ms=15.0, max_latency_ms=60.0).deadline_ms == 45.0
        assert route(model, max_latency_ms=60.0).deadline_ms == 60.0
        with pytest.raises(DeadlineError) as error:
            route(model, spent_ms=25.0)
        assert str(error.value) == (
            "model 'resnet50': no variant can answer within 30 ms, the soonest is expected in 35 ms: "
            "allow more time, or send less"
        )

    def test_before_a_refusal_an_idle_variant_is_tried_with_one_request_at_a_time(self, make_model):
        settings = ModelSettings(refuse_late=True)
        model = make_model("slow", "slower", learned_ms={"slow": 10.0, "slower": 30.0}, settings=settings)
        tried = route(model, max_latency_ms=9.5)
        assert reasons(tried) == {"slow": None, "slower": "would be late"}
        with pytest.raises(DeadlineError):
            route(model, max_latency_ms=9.5)

    def test_a_variant_that_was_measured_far_too_slow_is_eventually_tried_again(self, make_model):
        model = make_model("a", learned_ms={"a": 90.0}, settings=ModelSettings(refuse_late=True))
        for _ in range(VariantState.REFUSALS_BEFORE_RETRIAL):
            with pytest.raises(DeadlineError):
                route(model, max_latency_ms=20.0)
        again = route(model, max_latency_ms=20.0)
        with pytest.raises(DeadlineError):
            route(model, max_latency_ms=20.0)  # while it is tried
        model.record(again)
        with pytest.raises(DeadlineError):
            route(model, max_latency_ms=20.0)

    def test_a_variant_that_was_never_measured_is_tried_before_a_request_is_refused(self, make_model):
        settings = ModelSettings(refuse_late=True)
        model = make_model("unknown", "slow", learned_ms={"slow": 90.0}, settings=settings)
        assert route(model, max_latency_ms=20.0).variant == "unknown"


class TestBreakers:
    def test_when_all_are_open_a_failing_variant_is_better_than_no_answer(self, make_model):
        model = make_model("a", "b", "dead", learned_ms={"a": 10.0, "b": 20.0, "dead": 1.0})
        fail(model, "dead", Fault.DEAD, times=1)
        for name in ("a", "b"):
            fail(model, name, Fault.ERROR, times=2)
        decision = route(model, NOW_S + 0.1)
        assert decision.variant == "a"
        assert reasons(decision) == {
            "a": None,
            "b": None,
            "dead": BREAKER_OPEN_DEAD,
        }

    def test_a_dead_process_is_never_a_last_resort(self, make_model):
        model = make_model("dead", learned_ms={"dead": 1.0})
        fail(model, "dead", Fault.DEAD, times=1)
        with pytest.raises(NoVariantError, match="dead: breaker open: its process has ended"):
            route(model, NOW_S + 4.9)
        assert route(model, NOW_S + 5.0).variant == "dead"

    def test_a_failing_variant_is_no_last_resort_for_a_request_that_excludes_it(self, make_model):
        model = make_model("a", "b", learned_ms={"a": 10.0, "b": 10.0})
        for name in ("a", "b"):
            fail(model, name, Fault.ERROR, times=2)
        assert route(model, NOW_S + 0.1, excluded_variants=only("a")).variant == "b"
        with pytest.raises(NoVariantError):
            route(model, NOW_S + 0.1, excluded_variants=only("a", "b"))

    def test_one_probe_alone_passes_after_the_open_time_while_another_variant_serves(self, make_model):
        model = make_model("a", "b", learned_ms={"a": 1.0, "b": 50.0})
        fail(model, "a", Fault.ERROR, times=2)
        later_s = NOW_S + 0.3
        probe = route(model, later_s)
        assert [probe.variant, route(model, later_s).variant] == ["a", "b"]
        model.at(later_s + 0.001).record(probe, latency_ms=1.0)
        assert route(model, later_s + 0.001).variant == "a"

    def test_a_probe_that_is_dropped_unrecorded_lets_another_one_pass(self, make_model):
        model = make_model("a", "b", learned_ms={"a": 1.0, "b": 50.0})
        fail(model, "a", Fault.ERROR, times=2)
        later_s = NOW_S + 0.3
        probe = route(model, later_s)
        del probe
        gc.collect()
        assert route(model, later_s).variant == "a"
