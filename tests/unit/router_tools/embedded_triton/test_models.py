"""Every model of the repository is listed once, with the reason why it is not ready."""

from router_tools.embedded_triton.models import IndexEntry, ModelStatus, model_statuses
from tests.unit.router_tools.embedded_triton import samples


def test_a_ready_model_has_no_reason_even_if_it_failed_before() -> None:
    index: list[IndexEntry] = [{"name": "broken", "version": "1", "state": "READY"}]
    assert model_statuses(index, samples.BROKEN) == [ModelStatus("broken", "1", "READY", "")]


def test_a_failed_model_has_the_reason_of_the_log() -> None:
    index: list[IndexEntry] = [
        {"name": "broken", "version": "1", "state": "UNAVAILABLE", "reason": "Internal: ...\n\nAt:\n"}
    ]
    reason = "Internal: ModuleNotFoundError: No module named 'nowhere'"
    assert model_statuses(index, samples.BROKEN) == [ModelStatus("broken", "1", "UNAVAILABLE", reason)]


def test_a_model_whose_configuration_could_not_be_read_is_unavailable() -> None:
    (status,) = model_statuses([{"name": "typo"}], f"{samples.PARSE_ERROR}\n{samples.UNREADABLE}")
    assert (status.version, status.state) == ("", "UNAVAILABLE")
    assert "1:17: Expected integer" in status.reason


def test_a_model_that_the_index_leaves_out_is_listed() -> None:
    index: list[IndexEntry] = [{"name": "zebra", "version": "1", "state": "READY"}]
    assert [status.name for status in model_statuses(index, samples.NO_VERSION)] == ["bare", "zebra"]


def test_a_model_that_nobody_asked_to_load_is_unavailable_and_says_so() -> None:
    assert model_statuses([{"name": "idle"}], "") == [ModelStatus("idle", "", "UNAVAILABLE", "not loaded")]


def test_only_a_model_on_its_way_is_not_settled() -> None:
    states = ("READY", "UNAVAILABLE", "LOADING", "UNLOADING")
    settled = [ModelStatus("m", "1", state, "").settled for state in states]
    assert settled == [True, True, False, False]
