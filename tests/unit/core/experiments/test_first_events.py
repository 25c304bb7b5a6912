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
