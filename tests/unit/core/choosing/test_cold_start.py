import pytest

from router_backend.core.choosing.cold_start import ColdStart
from router_backend.core.records.basis import Basis
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.suitability import Suitability
from router_backend.core.records.variant import Device, Variant
from router_backend.core.variants.state import VariantState
from tests.unit.core.candidates import request_of

NOW_S = 100.0
UNTRIED_MS, DEFERRED_MS = 4.0, 12.0
"""Half of the best on a GPU, 8 ms, and twice as much."""


def unknown(
    device: Device = Device.GPU,
    suitability: Suitability | None = None,
    *,
    first_ms: float = 0.0,
    in_flight: int = 0,
    concurrency: int = 1,
) -> VariantState:
    """Return a variant with one answer at most."""
    variant = Variant("new", device, concurrency, suitability=suitability or Suitability())
    state = VariantState(variant, coverage=0.9)
    if first_ms:
        state.profile.latency.update(1.0, first_ms, NOW_S)
    state.predict(1.0, request_of(now_s=NOW_S))
    for _ in range(in_flight):
        state.dispatch(NOW_S)
    return state


def known(service_ms: float, device: Device = Device.GPU) -> VariantState:
    state = VariantState(Variant("old", device), coverage=0.9)
    for _ in range(2):
        state.profile.latency.update(1.0, service_ms, NOW_S)
    state.predict(1.0, request_of(now_s=NOW_S))
    return state


def guessed(
    *states: VariantState, size: float = 1.0, cold_start: ColdStart | None = None
) -> list[tuple[float, float]]:
    """Return the service time and wait that are assumed for each variant."""
    (cold_start or ColdStart()).guess(list(states), size, request_of(now_s=NOW_S))
    candidates = [state.candidate for state in states]
    return [(round(each.service_ms, 9), round(each.wait_ms, 9)) for each in candidates]


class TestOneWithoutAnAnswer:
    def test_it_is_assumed_to_be_twice_as_fast_as_the_best(self):
        assert guessed(unknown(), known(8.0), known(20.0)) == [(UNTRIED_MS, 0.0), (8.0, 0.0), (20.0, 0.0)]

    @pytest.mark.parametrize(
        ("device", "times"),
        [(Device.GPU, 1.0), (Device.NEURAL_ENGINE, 1.0), (Device.MPS, 2.0), (Device.CPU, 5.0)],
    )
    def test_kinds_of_devices_are_slower_than_a_gpu(self, device, times):
        assert guessed(unknown(device), known(8.0), cold_start=ColdStart(tried_by_copies=True))[0] == (
            DEFERRED_MS * times,
            0.0,
        )
        assert guessed(unknown(), known(8.0 * times, device))[0] == (UNTRIED_MS, 0.0)

    def test_the_best_is_the_best_for_its_kind_of_device(self):
        """30 ms on a CPU are as 6 ms on a GPU, which is better than 8 ms."""
        assert guessed(unknown(), known(8.0), known(30.0, Device.CPU))[0] == (3.0, 0.0)

    def test_if_nothing_is_known_a_gpu_is_assumed_to_take_half_a_millisecond(self):
        assert guessed(unknown(), unknown(Device.CPU)) == [(0.5, 0.0), (2.5, 0.0)]

    def test_while_one_is_being_tried_all_are_assumed_to_be_slow(self):
        new, tried, _ = guessed(unknown(), unknown(in_flight=1), known(8.0))
        assert (new, tried) == ((DEFERRED_MS, 0.0), (DEFERRED_MS, DEFERRED_MS))

    def test_one_of_a_faster_kind_that_is_being_tried_counts_as_slower_than_the_best(self):
        tried, _ = guessed(unknown(in_flight=1, concurrency=8), known(10.0, Device.CPU))
        assert tried == (15.0, 0.0)

    def test_if_copies_try_them_requests_do_not(self):
        assert guessed(unknown(), known(8.0), cold_start=ColdStart(tried_by_copies=True))[0] == (
            DEFERRED_MS,
            0.0,
        )

    def test_it_is_a_guess(self):
        new, old = unknown(), known(8.0)
        guessed(new, old)
        assert (new.candidate.basis, old.candidate.basis) == (Basis.GUESS, Basis.MEASURED)


class TestNothingAnsweredYet:
    """The first call of a GPU has been running for 100 ms: it may be cold."""

    @staticmethod
    def after_100_ms(*states: VariantState, tried_by_copies: bool = False) -> list[float]:
        """Return the assumed latency at each variant."""
        cold_start = ColdStart(tried_by_copies=tried_by_copies)
        cold_start.guess(list(states), 1.0, request_of(now_s=NOW_S + 0.1))
        return [state.candidate.latency_ms for state in states]

    def test_every_request_takes_half_as_long_again_as_the_running_one_has_so_far(self):
        one, three = self.after_100_ms(unknown(in_flight=1), unknown(in_flight=3))
        assert (one, three) == (pytest.approx(300.0), pytest.approx(600.0))

    def test_beside_a_known_variant_each_one_before_takes_as_long_as_the_running_one_has_so_far(self):
        tried, _ = self.after_100_ms(unknown(in_flight=2), known(8.0))
        assert tried == pytest.approx(2 * 100.0 + DEFERRED_MS)

    def test_an_idle_variant_is_tried_rather_than_waiting_for_another_first_call(self):
        running, idle = self.after_100_ms(unknown(in_flight=1), unknown())
        assert idle == pytest.approx(50.0)
        assert idle < running

    @pytest.mark.parametrize(("in_flight", "is_tried"), [(1, False), (4, False), (5, True)])
    def test_if_copies_try_them_a_cpu_is_tried_once_several_requests_wait(self, in_flight, is_tried):
        """750 ms if the CPU is as much slower as usual."""
        running, idle = self.after_100_ms(
            unknown(in_flight=in_flight), unknown(Device.CPU), tried_by_copies=True
        )
        assert idle == pytest.approx(750.0)
        assert (idle < running) == is_tried

    def test_once_there_is_an_answer_one_is_tried_at_a_time(self):
        _, idle, _ = self.after_100_ms(unknown(in_flight=1), unknown(), known(8.0))
        assert idle == pytest.approx(DEFERRED_MS)


class TestSmallRequests:
    """The smallest tenth of the requests, or about as large ones, try the unknown variants; others do not."""

    @staticmethod
    def service_ms(size: float, cold_start: ColdStart) -> float:
        """Return what is assumed for a new variant, beside one that serves any size in 8 ms."""
        old = known(8.0)
        old.candidate.service_ms = 8.0
        return guessed(unknown(), old, size=size, cold_start=cold_start)[0][0]

    def test_the_first_request_is_small(self):
        assert self.service_ms(64.0, ColdStart()) == UNTRIED_MS

    @pytest.mark.parametrize(
        ("size", "assumed_ms"), [(1.0, UNTRIED_MS), (1.51, UNTRIED_MS), (1.53, DEFERRED_MS)]
    )
    def test_a_request_up_to_half_an_octave_larger_is_small(self, size, assumed_ms):
        """The first request sets the quantile and raises it by 0.05; so does the second: 2^0.6 = 1.516."""
        cold_start = ColdStart()
        self.service_ms(1.0, cold_start)
        assert self.service_ms(size, cold_start) == assumed_ms

    def test_the_quantile_falls_nine_times_as_fast_as_it_rises(self):
        cold_start = ColdStart()
        self.service_ms(16.0, cold_start)
        assert cold_start.small_log_size == pytest.approx(4.0 + 0.05)
        self.service_ms(1.0, cold_start)
        assert cold_start.small_log_size == pytest.approx(4.05 - 0.45)
        self.service_ms(2.0, cold_start)
        assert cold_start.small_log_size == pytest.approx(3.6 - 0.45)
        self.service_ms(2.0**4, cold_start)
        assert cold_start.small_log_size == pytest.approx(3.15 + 0.05)

    def test_about_a_tenth_of_mixed_requests_are_small(self):
        cold_start, sizes = ColdStart(), [2.0 ** (n * 37 % 100 / 10.0) for n in range(2000)]
        small = [size for size in sizes if self.service_ms(size, cold_start) == UNTRIED_MS]
        assert 0.07 < len(small) / len(sizes) < 0.2
        assert max(small[20:]) < 2.0**4 < max(sizes)

    def test_requests_of_one_size_after_a_smaller_one_become_small(self):
        cold_start = ColdStart()
        self.service_ms(1.0, cold_start)
        assumed = [self.service_ms(32.0, cold_start) for _ in range(120)]
        assert assumed[0] == DEFERRED_MS
        assert assumed[-1] == UNTRIED_MS

    def test_requests_of_one_size_are_all_small(self):
        cold_start = ColdStart()
        self.service_ms(32.0, cold_start)
        assert {self.service_ms(1.0, cold_start) for _ in range(300)} == {UNTRIED_MS}


class TestOneWithAFirstAnswer:
    @pytest.mark.parametrize("first_ms", [1.0, 8.0, 11.9])
    def test_it_is_believed_if_it_is_at_most_one_and_a_half_times_the_best(self, first_ms):
        assert guessed(unknown(first_ms=first_ms), known(8.0))[0] == (first_ms, 0.0)

    @pytest.mark.parametrize("first_ms", [12.1, 100.0, 5000.0])
    def test_otherwise_the_variant_is_tried_again(self, first_ms):
        assert guessed(unknown(first_ms=first_ms), known(8.0))[0] == (UNTRIED_MS, 0.0)

    def test_it_is_not_assumed_to_be_slower_than_its_first_answer(self):
        """A CPU is assumed to take 80 ms while another is tried, but this one took 15 ms at first."""
        cpu = unknown(Device.CPU, first_ms=15.0)
        assert guessed(cpu, unknown(in_flight=1), known(8.0))[0] == (15.0, 0.0)

    def test_its_answer_is_the_best_while_nothing_else_is_known(self):
        new, first = guessed(unknown(), unknown(first_ms=10.0))
        assert (new, first) == ((5.0, 0.0), (10.0, 0.0))

    def test_one_that_is_believed_does_not_count_as_being_tried(self):
        believed = unknown(first_ms=8.0, in_flight=1)
        new, (service_ms, wait_ms), _ = guessed(unknown(), believed, known(8.0))
        assert new == (UNTRIED_MS, 0.0)
        assert (service_ms, wait_ms) == (8.0, 8.0)

    def test_it_is_a_guess_still(self):
        new = unknown(first_ms=8.0)
        guessed(new, known(8.0))
        assert new.candidate.basis is Basis.GUESS


class TestPrior:
    PRIOR = Suitability(fixed_ms=2.0, per_item_ms=1.0)

    def test_it_is_the_assumed_service_time(self):
        new, old = unknown(suitability=self.PRIOR), known(8.0)
        new.predict(16.0, request_of(now_s=NOW_S))
        assert guessed(new, old, size=16.0)[0] == (18.0, 0.0)
        assert new.candidate.basis is Basis.PRIOR

    def test_one_that_says_ten_times_slower_is_believed_for_forty_requests(self):
        cold_start, slow = ColdStart(), Suitability(fixed_ms=80.0, per_item_ms=0.0)
        assumed_ms = [
            guessed(unknown(suitability=slow), known(8.0), cold_start=cold_start)[0][0] for _ in range(41)
        ]
        assert assumed_ms == [80.0] * 40 + [UNTRIED_MS]

    def test_a_first_answer_that_is_faster_is_assumed_instead(self):
        new = unknown(suitability=Suitability(fixed_ms=50.0, per_item_ms=0.0), first_ms=20.0)
        assert guessed(new, known(8.0))[0] == (20.0, 0.0)

    def test_a_first_answer_that_is_slower_is_not(self):
        assert guessed(unknown(suitability=self.PRIOR, first_ms=500.0), known(8.0))[0] == (3.0, 0.0)


class TestWait:
    @pytest.mark.parametrize(
        ("in_flight", "concurrency", "places"),
        [
            (0, 1, 0.0),
            (1, 1, 1.0),
            (2, 1, 2.0),
            (1, 2, 0.0),
            (2, 2, 0.5),
            (4, 2, 1.5),
            (7, 8, 0.0),
            (8, 8, 1 / 8),
        ],
    )
    def test_a_request_waits_for_those_before_it_if_no_instance_is_free(self, in_flight, concurrency, places):
        new = unknown(in_flight=in_flight, concurrency=concurrency, first_ms=9.0)
        assert guessed(new, known(8.0))[0] == (9.0, 9.0 * places)

    def test_each_one_before_it_takes_as_long_as_the_best_at_least(self):
        new = unknown(suitability=Suitability(fixed_ms=3.0, per_item_ms=0.0), in_flight=2)
        assert guessed(new, known(8.0))[0] == (3.0, 16.0)
        new = unknown(suitability=Suitability(fixed_ms=30.0, per_item_ms=0.0), in_flight=2)
        assert guessed(new, known(8.0))[0] == (30.0, 60.0)


class TestOneWithFewSlowAnswers:
    """Two answers of 80 ms beside a variant of 8 ms; they may have been cold calls."""

    @staticmethod
    def doubted() -> VariantState:
        state = unknown(first_ms=80.0)
        state.profile.latency.update(1.0, 80.0, NOW_S)
        state.predict(1.0, request_of(now_s=NOW_S + 10.0))
        return state

    def test_it_is_guessed_as_if_it_were_unknown(self):
        state = self.doubted()
        assert guessed(state, known(8.0))[0] == (UNTRIED_MS, 0.0)
        assert state.candidate.basis is Basis.GUESS

    def test_a_request_with_a_deadline_believes_the_answers(self):
        state = self.doubted()
        ColdStart().guess([state, known(8.0)], 1.0, request_of(RoutingContext(max_latency_ms=100.0)))
        assert state.candidate.service_ms == pytest.approx(80.0)
        assert state.candidate.basis is Basis.MEASURED

    def test_it_is_believed_if_that_is_usual_for_its_kind_of_device(self):
        """59 ms on a CPU are within 1.5 times the fivefold of 8 ms on a GPU."""
        state = unknown(Device.CPU, first_ms=59.0)
        state.profile.latency.update(1.0, 59.0, NOW_S)
        state.predict(1.0, request_of(now_s=NOW_S + 10.0))
        assert guessed(state, known(8.0))[0] == (59.0, 0.0)
