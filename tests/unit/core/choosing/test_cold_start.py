from router_backend.core.choosing.cold_start import ColdStart
from router_backend.core.records.suitability import Suitability
from router_backend.core.records.variant import Device, Variant
from router_backend.core.variants.state import VariantState

NOW_S = 100.0


def unknown(name: str = "new", suitability: Suitability | None = None, *, in_flight: int = 0) -> VariantState:
    state = VariantState(Variant(name, Device.CPU, suitability=suitability or Suitability()), coverage=0.9)
    state.predict(1.0, NOW_S)
    for _ in range(in_flight):
        state.dispatch(NOW_S)
    return state


def known(service_ms: float) -> VariantState:
    state = VariantState(Variant("old", Device.GPU), coverage=0.9)
    state.profile.latency.update(1.0, service_ms, NOW_S)
    state.predict(1.0, NOW_S)
    return state


def test_an_untried_variant_is_assumed_to_be_twice_as_fast_as_the_best():
    new, old = unknown(), known(8.0)
    ColdStart().guess([new, old, known(20.0)], 1.0)
    assert (new.candidate.latency_ms, old.candidate.latency_ms) == (4.0, 8.0)


def test_while_one_is_being_tried_all_unknown_ones_are_assumed_to_be_slow():
    new, tried, old = unknown(), unknown("tried", in_flight=1), known(8.0)
    ColdStart().guess([new, tried, old], 1.0)
    assert (new.candidate.latency_ms, tried.candidate.latency_ms) == (32.0, 40.0)


def test_a_large_request_tries_none():
    cold_start, new, old = ColdStart(), unknown(), known(8.0)
    for _ in range(10):
        cold_start.guess([new, old], 1.0)
    cold_start.guess([new, old], 16.0)
    assert new.candidate.service_ms == 32.0


def test_a_request_within_the_square_root_of_two_of_the_typical_size_is_small():
    for size, service_ms in ((1.4, 4.0), (1.6, 32.0)):
        cold_start, new, old = ColdStart(), unknown(), known(8.0)
        for _ in range(10):
            cold_start.guess([new, old], 1.0)
        cold_start.guess([new, old], size)
        assert new.candidate.service_ms == service_ms


def test_a_prior_is_the_assumed_service_time():
    new, old = unknown(suitability=Suitability(fixed_ms=2.0, per_item_ms=1.0)), known(8.0)
    new.predict(16.0, NOW_S)
    ColdStart().guess([new, old], 16.0)
    assert new.candidate.service_ms == 18.0


def test_the_wait_at_a_variant_with_a_prior_is_its_prior_for_each_request_in_flight():
    new = unknown(suitability=Suitability(fixed_ms=3.0, per_item_ms=0.0), in_flight=2)
    ColdStart().guess([new, known(8.0)], 1.0)
    assert new.candidate.latency_ms == 9.0


def test_if_all_are_unknown_the_first_request_goes_to_one_of_them():
    first, second = unknown("first"), unknown("second")
    ColdStart().guess([first, second], 1.0)
    assert first.candidate.service_ms == second.candidate.service_ms == 0.5
