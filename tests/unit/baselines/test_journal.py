from router_backend.baselines.journal import Journal, Stay


def test_a_request_that_met_nothing_is_served_all_the_time():
    journal = Journal()
    journal.sent(0, now_s=5.0)
    assert journal.answered(2000.0, 7.0, concurrency=1) == Stay(in_flight=0, service_ms=2000.0)


def test_on_one_instance_the_service_begins_with_the_departure_before():
    journal = Journal()
    for sent_s in (0.0, 1.0, 2.0):
        journal.sent(int(sent_s), sent_s)
    stays = [
        journal.answered((now_s - sent_s) * 1e3, now_s, 1) for sent_s, now_s in enumerate((4.0, 5.0, 8.0))
    ]
    assert stays == [Stay(0, 4000.0), Stay(1, 1000.0), Stay(2, 3000.0)]


def test_with_room_on_another_instance_nothing_was_waited_for():
    journal = Journal()
    journal.sent(0, 0.0)
    journal.sent(1, 1.0)
    journal.answered(3000.0, 3.0, concurrency=2)
    assert journal.answered(5000.0, 6.0, concurrency=2) == Stay(1, 5000.0)


def test_on_two_instances_the_first_departure_makes_room():
    """The third request starts when the second leaves, though the first is still being served."""
    journal = Journal()
    for in_flight in range(3):
        journal.sent(in_flight, 1.0 * in_flight)
    assert journal.answered(2500.0, 3.5, concurrency=2) == Stay(1, 2500.0)
    assert journal.answered(9000.0, 9.0, concurrency=2) == Stay(0, 9000.0)
    assert journal.answered(8000.0, 10.0, concurrency=2) == Stay(2, 6500.0)


def test_an_answer_belongs_to_the_request_sent_nearest_to_one_latency_ago():
    """The clock ran on between the answer and its record."""
    journal = Journal()
    for in_flight, sent_s in enumerate((0.0, 1.0, 2.0)):
        journal.sent(in_flight, sent_s)
    assert journal.answered(2000.0, 3.1, concurrency=9).in_flight == 1
    assert journal.answered(1500.0, 3.2, concurrency=9).in_flight == 2
    assert journal.answered(3000.0, 3.3, concurrency=9).in_flight == 0


def test_a_request_that_was_never_answered_does_not_stand_in_the_way():
    journal = Journal()
    journal.sent(0, 0.0)
    journal.sent(1, 1.0)
    journal.sent(1, 9.0)
    assert journal.answered(1000.0, 10.0, concurrency=1) == Stay(1, 1000.0)


def test_one_that_is_answered_before_its_turn_did_not_wait():
    journal = Journal()
    journal.sent(0, 0.0)
    journal.sent(1, 0.0)
    assert journal.answered(2000.0, 2.0, concurrency=1).service_ms == 2000.0
    assert journal.answered(2000.0, 2.0, concurrency=1).service_ms == 2000.0


def test_a_departure_at_the_moment_of_sending_made_no_room_for_it():
    journal = Journal()
    for in_flight, sent_s in ((0, 0.0), (1, 1.0)):
        journal.sent(in_flight, sent_s)
    journal.answered(2000.0, 2.0, concurrency=1)
    journal.sent(1, 2.0)
    journal.answered(2000.0, 3.0, concurrency=1)
    assert journal.answered(5000.0, 7.0, concurrency=1) == Stay(1, 4000.0)


def test_an_answer_to_nobody_met_nothing():
    assert Journal().answered(4.0, 1.0, concurrency=1) == Stay(0, 4.0)


def test_it_remembers_only_the_last_requests(monkeypatch):
    monkeypatch.setattr(Journal, "REMEMBERED", 2)
    journal = Journal()
    for in_flight in range(3):
        journal.sent(in_flight, 1.0 * in_flight)
    assert journal.answered(3000.0, 3.0, concurrency=9).in_flight == 1
