import itertools

from router_backend.core.experiments.first_events import FirstEvents


def test_a_unit_has_one_first_event_and_a_request_without_a_unit_has_its_own():
    events = FirstEvents()
    units = [f"user-{number % 50}" for number in range(500)]
    assert sum(map(events.is_first, units)) == 50
    assert all(events.is_first("") for _ in range(3))


def test_few_of_many_units_are_taken_for_others_and_the_memory_never_fills():
    events = FirstEvents()
    assert sum(events.is_first(f"user-{number}") for number in range(6554)) > 0.94 * 6554
    assert sum(events.is_first(f"request-{number}") for number in range(300_000)) > 0.6 * 300_000


def test_all_units_are_known_until_half_of_the_bits_are_taken_and_then_all_are_forgotten():
    events, half, known = FirstEvents(), FirstEvents.BITS // 2, []
    units = (f"user-{number}" for number in itertools.count())
    while len(known) < half:
        unit = next(units)
        if events.is_first(unit):
            known.append(unit)
    assert not any(map(events.is_first, known))
    assert any(map(events.is_first, itertools.islice(units, 100))), "this one finds the memory half full"
    assert sum(map(events.is_first, known[:100])) > 90
