from router_backend.core.choosing.cold_start import ColdStart
from router_backend.core.records.suitability import Suitability
from router_backend.core.records.variant import Device, Variant
from router_backend.core.variants.profile import VariantProfile

NOW_S = 100.0


def unknown(name: str = "new", suitability: Suitability | None = None) -> VariantProfile:
    variant = Variant(name, Device.CPU, suitability=suitability or Suitability())
    return predicted(VariantProfile(variant, coverage=0.9))


def known(service_ms: float) -> VariantProfile:
    profile = VariantProfile(Variant("old", Device.GPU), coverage=0.9)
    profile.latency.update(1.0, service_ms, NOW_S)
    return predicted(profile)


def predicted(profile: VariantProfile) -> VariantProfile:
    profile.predict(1.0, NOW_S)
    return profile


def test_an_untried_variant_is_taken_for_twice_as_fast_as_the_best():
    new, old = unknown(), known(8.0)
    ColdStart().guess([new, old], 1.0)
    assert (new.latency_ms, old.latency_ms) == (4.0, 8.0)


def test_while_one_is_being_tried_all_unknown_ones_are_taken_for_slow():
    new, tried, old = unknown(), unknown("tried"), known(8.0)
    tried.dispatched(NOW_S)
    ColdStart().guess([new, tried, old], 1.0)
    assert (new.latency_ms, tried.latency_ms) == (32.0, 40.0)


def test_a_large_request_tries_nothing():
    cold_start, new, old = ColdStart(), unknown(), known(8.0)
    for _ in range(10):
        cold_start.guess([new, old], 1.0)
    cold_start.guess([new, old], 16.0)
    assert new.service_ms == 32.0


def test_a_prior_is_what_the_variant_is_taken_for():
    new, old = unknown(suitability=Suitability(fixed_ms=2.0, per_item_ms=1.0)), known(8.0)
    ColdStart().guess([new, old], 16.0)
    assert new.service_ms == 3.0


def test_where_all_are_unknown_the_first_request_goes_to_one_of_them():
    first, second = unknown("first"), unknown("second")
    ColdStart().guess([first, second], 1.0)
    assert first.service_ms == second.service_ms > 0.0
