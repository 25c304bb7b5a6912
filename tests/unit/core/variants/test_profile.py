import math

import pytest

from router_backend.core.records.suitability import Suitability
from router_backend.core.records.variant import Device, Variant
from router_backend.core.variants.profile import ModelProfile


@pytest.fixture
def profile() -> ModelProfile:
    return ModelProfile(Variant("v", Device.CPU), coverage=0.9)


def learn(profile: ModelProfile, service_ms: float, now_s: float) -> bool:
    """Learn from a request of size 1 that was served at once and for which 10 ms were predicted."""
    return profile.learn(1.0, service_ms, 10.0, service_ms, now_s)


def test_before_the_first_answer_nothing_is_known_with_confidence_0(profile):
    assert not profile.latency.known
    assert profile.confidence(0.0) == 0.0
    assert profile.measurements_rejected == 0


def test_confidence_grows_with_every_answer(profile):
    for number in range(100):
        assert learn(profile, 10.0, float(number))
    assert 0.92 < profile.confidence(99.0) < 1.0


def test_memory_and_power_start_at_what_the_analysis_of_the_model_suggests():
    suitability = Suitability(memory_mb=120.0, power_w=15.0)
    profile = ModelProfile(Variant("v", Device.CPU, suitability=suitability), coverage=0.9)
    assert (profile.memory.predict(1.0), profile.power.predict(1.0)) == (120.0, 15.0)


def test_power_that_nothing_is_known_about_is_the_share_of_the_kind_of_device():
    for concurrency, share_w in ((1, 65.0), (2, 32.5)):
        profile = ModelProfile(Variant("v", Device.CPU, concurrency), coverage=0.9)
        assert [profile.power.predict(size) for size in (1.0, 32.0)] == [share_w] * 2


@pytest.mark.parametrize(
    ("memory_mb", "power_w", "known"), [(100.0, None, (True, False)), (None, 10.0, (False, True))]
)
def test_of_memory_and_power_only_what_was_measured_is_learned(profile, memory_mb, power_w, known):
    profile.learn_resources(1.0, memory_mb, power_w)
    assert (profile.memory.known, profile.power.known) == known
    assert profile.measurements_rejected == 0


def test_every_implausible_measurement_is_counted(profile):
    for number in range(50):
        learn(profile, 10.0, float(number))
    assert not learn(profile, math.nan, 50.0)
    profile.learn_resources(1.0, -1.0, math.inf)
    assert profile.measurements_rejected == 3


def test_a_latency_a_thousand_times_too_large_is_rejected_and_widens_no_interval(profile):
    for number in range(50):
        learn(profile, 10.0, float(number))
    before = profile.interval.get()
    assert not learn(profile, 20_000.0, 120.0)
    assert profile.interval.get() == before
    assert profile.measurements_rejected == 1


def test_answers_that_are_too_frequent_to_be_learned_are_skipped_not_rejected(profile):
    learned = 0
    for number in range(4_000):
        before = profile.interval.get()
        assert learn(profile, 10.0, number / 10_000.0)
        learned += profile.interval.get() != before
    assert 0 < learned < 4_000
    assert profile.measurements_rejected == 0


def test_without_a_prediction_the_interval_learns_nothing(profile):
    assert profile.learn(1.0, 10.0, 0.0, 10.0, 1.0)
    assert profile.interval.get() == 0.5


def test_the_interval_learns_from_the_latency_with_its_wait(profile):
    """30 ms were predicted and came: inside, by 0.25 · 0.1; then 300 ms came: outside, by 0.25 · 0.9."""
    assert profile.learn(1.0, 10.0, 30.0, 30.0, 1.0)
    assert profile.interval.get() == pytest.approx(0.5 * math.exp(-0.025))
    assert profile.learn(1.0, 10.0, 30.0, 300.0, 2.0)
    assert profile.interval.get() == pytest.approx(0.5 * math.exp(0.2))
