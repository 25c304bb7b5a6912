from typing import NamedTuple

from router_backend.runtime.call_slots import CallSlots


class Call(NamedTuple):
    variant: str
    number: int = 0


def slots_of(*variants: str, slots: int) -> CallSlots[Call]:
    return CallSlots(variants, slots)


def entered(slots: CallSlots[Call], variant: str) -> int:
    """Return how many calls to a variant get a slot; one more waits."""
    count = 0
    while slots.enter(Call(variant, count)):
        count += 1
    return count


def test_a_lone_variant_may_take_all():
    assert entered(slots_of("a", slots=32), "a") == 32


def test_a_variant_leaves_each_other_one_its_part_of_half():
    slots = slots_of("a", "b", "c", "d", slots=32)
    assert entered(slots, "a") == 32 - 3 * 4
    assert [entered(slots, variant) for variant in "bcd"] == [4, 4, 4]


def test_each_variant_has_one_even_if_there_are_fewer():
    slots = slots_of("a", "b", "c", slots=1)
    assert slots.total == 3
    assert [entered(slots, variant) for variant in "abc"] == [1, 1, 1]


def test_a_call_that_waits_gets_the_slot_that_becomes_free():
    slots = slots_of("a", "b", slots=2)
    first, second = Call("a", 1), Call("a", 2)
    assert slots.enter(first)
    assert not slots.enter(second)
    assert slots.waits(second)
    assert slots.enter(Call("b"))
    assert slots.leave("b") is None
    assert slots.leave("a") is second
    assert not slots.waits(second)
    assert slots.leave("a") is None


def test_calls_wait_in_order_and_none_is_held_up_by_one_to_a_variant_without_slots():
    slots = slots_of("a", "b", slots=2)
    assert slots.enter(Call("a"))
    assert slots.enter(Call("b"))
    waiting = [Call("a", 1), Call("b", 2), Call("b", 3)]
    assert not any(slots.enter(call) for call in waiting)
    assert slots.leave("b") is waiting[1]
    assert slots.leave("b") is waiting[2]
    assert slots.leave("a") is waiting[0]


def test_a_shared_slot_that_becomes_free_may_serve_another_variant():
    slots = slots_of("a", "b", slots=8)
    assert entered(slots, "a") == 6
    assert entered(slots, "b") == 2
    assert slots.leave("a") == Call("a", 6)
    assert slots.leave("a") == Call("b", 2)


def test_a_call_that_is_withdrawn_waits_no_more():
    slots = slots_of("a", slots=1)
    waiting = Call("a", 1)
    assert slots.enter(Call("a"))
    assert not slots.enter(waiting)
    assert slots.withdraw(waiting)
    assert not slots.withdraw(waiting)
    assert slots.leave("a") is None
