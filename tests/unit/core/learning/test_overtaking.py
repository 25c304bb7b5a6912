import pytest

from router_backend.core.learning.overtaking import OvertakingDetector


def overtakings(
    detector: OvertakingDetector, count: int, lead_s: float, service_ms: float = 10.0
) -> list[bool]:
    """Let `count` requests overtake, each finishing `lead_s` before the oldest running one."""
    found = []
    for second in range(count):
        detector.overtook(float(second), service_ms=10.0)
        found.append(detector.oldest_left(second + lead_s))
    return found


def test_three_clear_overtakings_in_a_row_mean_one_more_place():
    assert overtakings(OvertakingDetector(), 3, lead_s=0.005) == [False, False, True]


def test_each_further_place_takes_as_much_evidence():
    assert overtakings(OvertakingDetector(), 6, lead_s=0.005) == [False, False, True] * 2


@pytest.mark.parametrize("lead_s", [0.0024, 0.002499])
def test_a_lead_below_a_quarter_of_a_service_may_come_from_threads_and_counts_for_nothing(lead_s):
    assert not any(overtakings(OvertakingDetector(), 100, lead_s=lead_s))


def test_a_lead_of_a_quarter_of_a_service_counts_for_nothing():
    detector = OvertakingDetector()
    for second in range(100):
        detector.overtook(float(second), service_ms=1000.0)
        assert not detector.oldest_left(second + 0.25)


def test_the_first_of_several_overtakings_sets_the_lead():
    detector = OvertakingDetector()
    found = []
    for second in range(3):
        detector.overtook(second + 0.000, service_ms=10.0)
        detector.overtook(second + 0.004, service_ms=10.0)
        found.append(detector.oldest_left(second + 0.005))
    assert found == [False, False, True]


def test_occasional_overtakings_decay():
    detector = OvertakingDetector()
    for _ in range(50):
        assert overtakings(detector, 1, lead_s=0.005) == [False]
        assert not any(detector.oldest_left(0.0) for _ in range(40))


def test_departures_without_overtaking_are_not_evidence():
    detector = OvertakingDetector()
    assert not any(detector.oldest_left(float(second)) for second in range(1000))
