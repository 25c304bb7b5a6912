import pytest

from router_backend.core.learning.overtaking import BlockingDetector, OvertakingDetector


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


class TestBlocking:
    def test_three_that_were_blocked_by_the_ones_before_them_mean_fewer_places_than_any_needed(self):
        detector = BlockingDetector()
        assert [detector.blocked(count, 0.1, 0.01) for count in (4, 2, 3)] == [None, None, 3]

    def test_each_further_place_takes_as_much_evidence(self):
        detector = BlockingDetector()
        assert [detector.blocked(2, 0.1, 0.01) for _ in range(6)] == [None, None, 1] * 2

    @pytest.mark.parametrize("ran_s", [0.01, 0.015])
    def test_one_that_may_just_be_slow_is_no_evidence(self, ran_s):
        detector = BlockingDetector()
        assert not any(detector.blocked(4, ran_s, 0.01) for _ in range(100))

    def test_one_that_overtakes_as_many_voids_the_evidence(self):
        detector = BlockingDetector()
        for _ in range(50):
            assert [detector.blocked(count, 0.1, 0.01) for count in (2, 3)] == [None, None]
            detector.overtook(3)

    def test_one_that_overtakes_fewer_does_not(self):
        detector = BlockingDetector()
        found = []
        for _ in range(3):
            found.append(detector.blocked(4, 0.1, 0.01))
            detector.overtook(3)
        assert found == [None, None, 3]
