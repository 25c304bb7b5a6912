from router_tools.simulator.agenda import Agenda


def test_events_run_in_order_of_time_and_then_of_insertion() -> None:
    agenda, happened = Agenda(), []
    for time_s, name in ((2.0, "c"), (1.0, "a"), (2.0, "d"), (1.0, "b")):
        agenda.plan(time_s, happened.append, name)
    agenda.run_out()
    assert happened == ["a", "b", "c", "d"]


def test_an_event_runs_at_its_time_and_may_schedule_another() -> None:
    agenda, times = Agenda(), []

    def again(left: int) -> None:
        times.append(agenda.now_s)
        if left:
            agenda.plan(agenda.now_s + 0.5, again, left - 1)

    agenda.plan(1.0, again, 2)
    agenda.run_out()
    assert times == [1.0, 1.5, 2.0]


def test_the_clock_stops_at_the_limit_and_later_events_stay_queued() -> None:
    agenda, happened = Agenda(), []
    agenda.plan(1.0, happened.append, "in")
    agenda.plan(3.0, happened.append, "out")
    agenda.run_until(2.0)
    assert (happened, agenda.clock()) == (["in"], 2.0)
