from router_backend.config.schema import RouterParameters
from router_backend.runtime.call_slots import REPLACED, CallSlots
from router_backend.runtime.stuck_calls import StuckCalls

TRITONS_THREADS = 32
"""What Triton has by default for the calls of a Python model and for its answers."""


class Call:
    """A call, which is lost if the test says so."""

    def __init__(self, variant: str) -> None:
        self.variant = variant
        self.is_lost = False


def slots_of(*variants: str, slots: int) -> CallSlots[Call]:
    return CallSlots(variants, slots)


def entered(slots: CallSlots[Call], variant: str) -> list[Call]:
    """Return the calls to a variant that get a slot; one more waits."""
    calls = []
    while slots.enter(call := Call(variant)):
        calls.append(call)
    return calls


def lose(slots: CallSlots[Call], calls: list[Call]) -> None:
    for call in calls:
        slots.late(call)
        call.is_lost = True


def test_a_lone_variant_may_take_all():
    assert len(entered(slots_of("a", slots=32), "a")) == 32


def test_a_variant_leaves_each_other_one_its_part_of_half():
    slots = slots_of("a", "b", "c", "d", slots=32)
    assert len(entered(slots, "a")) == 32 - 3 * 4
    assert [len(entered(slots, variant)) for variant in "bcd"] == [4, 4, 4]


def test_each_variant_has_one_even_if_there_are_fewer():
    slots = slots_of("a", "b", "c", slots=1)
    assert slots.total == 3
    assert [len(entered(slots, variant)) for variant in "abc"] == [1, 1, 1]


def test_a_call_that_waits_gets_the_slot_that_becomes_free():
    slots = slots_of("a", "b", slots=2)
    first, second, other = Call("a"), Call("a"), Call("b")
    assert slots.enter(first)
    assert not slots.enter(second)
    assert slots.waits(second)
    assert slots.enter(other)
    assert slots.leave(other) is None
    assert slots.leave(first) is second
    assert not slots.waits(second)
    assert slots.leave(second) is None


def test_calls_wait_in_order_and_none_is_held_up_by_one_to_a_variant_without_slots():
    slots = slots_of("a", "b", slots=2)
    to_a, to_b = Call("a"), Call("b")
    assert slots.enter(to_a)
    assert slots.enter(to_b)
    waiting = [Call("a"), Call("b"), Call("b")]
    assert not any(slots.enter(call) for call in waiting)
    assert slots.leave(to_b) is waiting[1]
    assert slots.leave(waiting[1]) is waiting[2]
    assert slots.leave(to_a) is waiting[0]


def test_a_shared_slot_that_becomes_free_may_serve_another_variant():
    slots = slots_of("a", "b", slots=8)
    to_a = entered(slots, "a")
    assert len(to_a) == 6
    assert len(entered(slots, "b")) == 2
    first, second = slots.leave(to_a[0]), slots.leave(to_a[1])
    assert first is not None
    assert second is not None
    assert (first.variant, second.variant) == ("a", "b")


def test_a_call_that_is_withdrawn_waits_no_more():
    slots = slots_of("a", slots=1)
    made, waiting = Call("a"), Call("a")
    assert slots.enter(made)
    assert not slots.enter(waiting)
    assert slots.withdraw(waiting)
    assert not slots.withdraw(waiting)
    assert slots.leave(made) is None


def test_lost_calls_are_replaced_up_to_the_limit_of_their_variant():
    slots = slots_of("a", "b", slots=8)
    lose(slots, entered(slots, "a"))
    assert len(entered(slots, "a")) == REPLACED // 2
    assert len(entered(slots, "b")) == 2


def test_calls_that_are_only_late_are_not_replaced():
    slots = slots_of("a", slots=4)
    for call in entered(slots, "a"):
        slots.late(call)
    assert entered(slots, "a") == []
    assert slots.are_stuck("a")


def test_a_variant_is_not_stuck_while_one_call_is_on_time():
    slots = slots_of("a", slots=2)
    first, _ = entered(slots, "a")
    slots.late(first)
    assert not slots.are_stuck("a")
    slots.leave(first)
    slots.late(first)  # its end and this may come at the same time
    assert not slots.are_stuck("a")


def test_by_default_there_are_fewer_calls_than_threads_of_triton():
    slots = slots_of("a", "b", slots=RouterParameters(variants=()).worker_threads)
    own_calls = StuckCalls.TOTAL_WITH_THREADS + 2  # one to itself, within which another one measures
    for_answers = 1
    assert slots.total + REPLACED + own_calls + for_answers <= TRITONS_THREADS


def test_a_lost_call_that_ends_gives_nothing_back_but_may_be_replaced_again():
    slots = slots_of("a", slots=1)
    for _ in range(2 * REPLACED):
        lost, instead = Call("a"), Call("a")
        assert slots.enter(lost)
        lose(slots, [lost])
        assert slots.enter(instead)
        assert slots.leave(lost) is None
        assert not slots.enter(waiting := Call("a"))
        assert slots.withdraw(waiting)
        assert slots.leave(instead) is None


def test_a_call_that_waits_takes_the_slot_of_one_that_is_found_to_be_lost():
    slots = slots_of("a", slots=1)
    made, waiting = Call("a"), Call("a")
    assert slots.enter(made)
    assert not slots.enter(waiting)
    assert not slots.enter_at_last(waiting)
    lose(slots, [made])
    assert slots.enter_at_last(waiting)
    assert not slots.waits(waiting)
