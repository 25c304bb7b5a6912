"""The commands that the C side gets, from a real router."""

import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from router_backend.core.policies.base import Policy
from router_backend.core.records.outcome import Fault, Outcome, Refusal
from router_backend.core.records.request import Request
from router_backend.core.variants.candidate import Candidate
from router_backend.native import host
from router_backend.native.host import (
    COPY,
    EXPLAIN,
    EXPLAINS,
    FORWARD,
    KEEPS_INPUTS,
    RECORDS_FIRST,
    REFUSE,
    WAIT,
)
from router_backend.native.own_requests import CANCEL, CODES
from router_backend.runtime.healer import CannotReloadError, ReloadFailedError, UnloadedError
from router_backend.runtime.routed_request import ASK_AGAIN_MS
from router_backend.runtime.router_model import Log, RouterModel
from tests.unit.native.c_side import CSide
from tests.unit.runtime.routers import router_model_of

LIMITS = '{"backend_limits": {"cpu": {"max_in_flight": 2}}}'


class BrokenPolicy(Policy):
    """Cannot score."""

    name = "broken"

    def score(self, candidates: Sequence[Candidate], request: Request) -> None:
        raise ZeroDivisionError("no candidate is good")


class Front:
    """Sends clients' requests as the C side does, and reports how they end."""

    def __init__(self, model: RouterModel, logged: list[str]) -> None:
        self.model = model
        self.logged = logged
        self.router = host.NativeRouter(0, model, Log(logged.append, logged.append, logged.append))

    def arrives(
        self,
        *,
        in_flight: int = 1,
        timeout_us: int = 0,
        unit: str = "",
        in_sequence: bool = False,
        **parameters: Any,
    ) -> Any:
        asked = {f"router_{key}": value for key, value in parameters.items()} or None
        return self.router.arrived(1, 4, in_flight, timeout_us, unit, in_sequence, asked)

    def answers(self, command: Any, latency_ms: float = 4.0) -> Any:
        return command[2].answered(command[3], latency_ms)

    def fails(
        self,
        command: Any,
        code: str = "INTERNAL",
        message: str = "out of memory",
        *,
        reached: bool = True,
        canceled: bool = False,
    ) -> Any:
        return command[2].failed(command[3], 1.0, CODES.index(code), message, reached, canceled)

    def refusals(self) -> dict[Refusal, int]:
        found = self.model.router.get_metrics().get_model_metrics("m").counts.refusals
        return {refusal: count for refusal, count in found.items() if count}

    def ends(self, outcome: Outcome) -> int:
        variants = self.model.router.get_metrics().get_model_metrics("m").variants.values()
        return sum(variant.count(outcome) for variant in variants)

    def in_flight(self) -> int:
        return sum(state.load.in_flight for state in self.model.router.model("m").states.values())


@pytest.fixture(autouse=True)
def c_side(monkeypatch: pytest.MonkeyPatch) -> Iterator[CSide]:
    before_s = sys.getswitchinterval()
    made = CSide()
    monkeypatch.setattr(host, "_server", made, raising=False)
    monkeypatch.setattr(host, "_metrics", None, raising=False)
    host.start(made)
    yield made
    sys.setswitchinterval(before_s)


@contextmanager
def front_of(repository: Path, **parameters: str) -> Iterator[Front]:
    logged: list[str] = []
    with router_model_of(repository, logged, **parameters) as model:
        yield Front(model, logged)


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    with front_of(tmp_path) as made:
        yield made


def refused(command: Any) -> str:
    """Return the code of a refusal."""
    assert command[0] == REFUSE
    return CODES[command[1]]


def test_a_request_is_forwarded_until_a_variant_answers(front: Front) -> None:
    first = front.arrives(in_sequence=True)
    second = front.fails(first)
    assert (first[0], second[0]) == (FORWARD, FORWARD)
    assert {first[1], second[1]} == {"a", "b"}
    assert second[2] is first[2]
    assert (front.ends(Outcome.FAILURE), front.in_flight()) == (0, 1)
    front.answers(second)
    assert (front.ends(Outcome.SUCCESS), front.ends(Outcome.FAILURE), front.in_flight()) == (1, 1, 0)


def test_a_request_without_a_time_limit_has_no_bound(front: Front) -> None:
    assert front.arrives(max_latency_ms=50.0)[4] == 0.0


@pytest.mark.parametrize(
    ("timeout_us", "refuse_late", "expected_ms"),
    [(0, True, 50.0), (30_000, True, 30.0), (80_000, True, 50.0), (80_000, False, 80.0)],
)
def test_the_bound_is_the_shorter_of_the_deadline_and_the_clients_timeout(
    front: Front, timeout_us: int, refuse_late: bool, expected_ms: float
) -> None:
    command = front.arrives(timeout_us=timeout_us, max_latency_ms=50.0, refuse_late=refuse_late)
    assert command[4] == expected_ms


def test_the_inputs_of_a_request_with_a_bound_are_kept_without_copies_too(front: Front) -> None:
    assert front.arrives(timeout_us=30_000, in_sequence=True)[5] & KEEPS_INPUTS


def test_a_request_whose_time_is_up_is_refused_once(front: Front) -> None:
    command = front.arrives(timeout_us=30_000)
    listener = command[2]
    bound_passed = listener.bound_passed()
    assert refused(bound_passed) == "UNAVAILABLE"
    assert "within 30 ms" in bound_passed[2]
    assert listener.bound_passed() is None
    assert front.refusals() == {Refusal.DEADLINE: 1}
    assert front.fails(command) is None


def test_a_retry_leaves_the_time_limit_as_it_runs(front: Front) -> None:
    retry = front.fails(front.arrives(timeout_us=30_000))
    assert (retry[0], retry[4]) == (FORWARD, 0.0)


def test_an_answered_request_has_no_time_limit_any_more(front: Front) -> None:
    command = front.arrives(timeout_us=30_000)
    front.answers(command)
    assert command[2].bound_passed() is None
    assert front.refusals() == {}


def test_an_answered_request_measures_a_variant_as_a_copy_of_which_only_the_profile_learns(
    front: Front,
) -> None:
    forward = front.arrives()
    assert forward[5] & KEEPS_INPUTS
    kind, variant, measurement, attempt, _ = front.answers(forward)
    state = front.model.router.model("m").state(variant)
    before = state.answers
    measurement.answered(attempt, 5.0)
    assert (kind, state.answers - before) == (COPY, 1)
    assert front.ends(Outcome.SUCCESS) == 1


class TestHedging:
    """A second copy of a request that is slow."""

    @pytest.fixture
    def hedging(self, tmp_path: Path) -> Iterator[Front]:
        with front_of(tmp_path, hedge="true", hedge_share="1", warmup_batch_sizes="none") as front:
            for _ in range(40):
                time.sleep(0.0001)
                front.answers(front.arrives(in_sequence=True))
            yield front

    def slow(self, front: Front) -> tuple[Any, Any]:
        """Return the command for a request, and for its second copy."""
        first = front.arrives()
        assert first[5] & KEEPS_INPUTS
        assert 4.0 < first[7] < 50.0
        return first, first[2].slow()

    def test_it_goes_to_the_other_variant_and_its_answer_counts(self, hedging: Front) -> None:
        first, second = self.slow(hedging)
        assert (second[0], {first[1], second[1]}) == (FORWARD, {"a", "b"})
        assert second[2] is first[2]
        assert hedging.in_flight() == 2
        hedging.answers(second)
        assert hedging.fails(first, "CANCELLED", "canceled") is None
        assert (hedging.ends(Outcome.SUCCESS), hedging.ends(Outcome.IGNORED)) == (41, 1)
        assert hedging.in_flight() == 0

    def test_the_loser_may_be_canceled_before_the_winner_is_recorded(self, hedging: Front) -> None:
        first, second = self.slow(hedging)
        assert hedging.fails(first, "CANCELLED", "canceled") is None
        hedging.answers(second)
        assert (hedging.ends(Outcome.FAILURE), hedging.ends(Outcome.IGNORED)) == (0, 1)

    def test_a_failure_of_one_is_left_to_the_other(self, hedging: Front) -> None:
        first, second = self.slow(hedging)
        assert hedging.fails(first) is None
        hedging.answers(second)
        assert hedging.ends(Outcome.FAILURE) == 1

    def test_the_client_can_cancel_both(self, hedging: Front) -> None:
        first, second = self.slow(hedging)
        assert hedging.fails(first, "CANCELLED", "canceled", canceled=True) is None
        assert refused(hedging.fails(second, "CANCELLED", "canceled", canceled=True)) == "CANCELLED"
        assert hedging.in_flight() == 0

    def test_it_waits_for_a_variant_that_is_idle(self, hedging: Front) -> None:
        busy = [hedging.arrives(allowed_variants=name) for name in "ab"]
        first = hedging.arrives()
        assert first[2].slow() == (WAIT, 2.0 * first[7])
        del busy

    def test_nothing_of_a_sequence(self, hedging: Front) -> None:
        assert hedging.arrives(in_sequence=True)[7] == 0.0

    def test_none_unless_it_is_wanted(self, front: Front) -> None:
        assert front.arrives()[7] == 0.0


def test_nothing_of_a_sequence_is_copied(tmp_path: Path) -> None:
    with front_of(tmp_path, overdue_factor="0") as front:
        forward = front.arrives(in_sequence=True)
        assert not forward[5] & KEEPS_INPUTS
        assert front.answers(forward) is None


def test_the_inputs_of_a_request_that_may_go_to_another_variant_meanwhile_are_kept(front: Front) -> None:
    forward = front.arrives(in_sequence=True)
    assert forward[5] & KEEPS_INPUTS
    assert forward[6] == 30_000.0


def test_an_overdue_request_goes_to_another_variant_and_the_first_answer_counts(front: Front) -> None:
    first = front.arrives(in_sequence=True)
    second = first[2].overdue(first[3])
    assert {first[1], second[1]} == {"a", "b"}
    assert second[2].overdue(second[3]) == (WAIT, ASK_AGAIN_MS)
    front.answers(first)
    assert second[2].overdue(second[3]) is None
    assert (front.ends(Outcome.SUCCESS), front.ends(Outcome.FAILURE), front.in_flight()) == (1, 2, 0)
    assert front.fails(second) is None
    assert front.refusals() == {}


def test_a_request_that_is_overdue_everywhere_goes_again_to_a_variant_that_is_well(front: Front) -> None:
    stuck = front.arrives()
    second = stuck[2].overdue(stuck[3])
    assert second[2].overdue(second[3]) == (WAIT, ASK_AGAIN_MS)
    assert front.fails(stuck, "CANCELLED", "canceled") is None
    assert second[2].overdue(second[3]) == (WAIT, ASK_AGAIN_MS)
    front.answers(front.arrives(allowed_variants=stuck[1]))
    again = second[2].overdue(second[3])
    assert again[:3] == (FORWARD, stuck[1], stuck[2])
    front.answers(again)
    assert front.ends(Outcome.SUCCESS) == 2
    assert front.refusals() == {}


def test_but_not_in_a_sequence(front: Front) -> None:
    stuck = front.arrives(in_sequence=True, allowed_variants="a")
    assert stuck[2].overdue(stuck[3]) == (WAIT, ASK_AGAIN_MS)
    front.answers(front.arrives(allowed_variants="a"))
    assert stuck[2].overdue(stuck[3]) == (WAIT, ASK_AGAIN_MS)


def test_an_overdue_request_that_another_variant_fails_ends_with_both_errors(front: Front) -> None:
    first = front.arrives(in_sequence=True)
    refusal = front.fails(first[2].overdue(first[3]))
    assert refused(refusal) == "INTERNAL"
    assert "no answer within 30000 ms" in refusal[2]
    assert "out of memory" in refusal[2]


def test_a_measurement_that_is_overdue_is_canceled(front: Front) -> None:
    _, variant, measurement, attempt, bound_ms = front.answers(front.arrives())
    assert bound_ms == 30_000.0
    assert measurement.overdue(attempt) == (CANCEL,)
    assert not measurement.open
    assert not front.model.router.model("m").state(variant).breaker.closed


def test_a_variant_with_two_measurements_that_hang_gets_no_third(tmp_path: Path) -> None:
    with front_of(tmp_path, load_dead_variants="false") as front:
        hung = []
        for name in ("a", "b", "a", "b", "a", "b"):
            state = front.model.router.model("m").state(name)
            state.breaker.retry_now(time.monotonic())
            state._next_copy_s = 0.0
            command = front.answers(front.arrives(allowed_variants=name))
            if command is not None:
                hung.append((command[1], command[2], command[3]))
                command[2].overdue(command[3])
        variants = [variant for variant, _, _ in hung]
        assert max(map(variants.count, "ab")) <= 2
        variant, measurement, attempt = hung[0]
        assert not front.router._stuck.allows(variant) or variants.count(variant) < 2
        measurement.answered(attempt, 5.0)
        assert front.router._stuck.allows(variant)


class TestLoadingADeadVariantAgain:
    def test_it_is_unloaded_first(self, front: Front, c_side: CSide) -> None:
        front.router._load_again("a", unloads=True)
        assert c_side.changed == ["unload a", "load a"]

    def test_but_not_if_the_last_load_failed(self, front: Front, c_side: CSide) -> None:
        c_side.ready = {"m", "b"}
        front.router._load_again("a", unloads=False)
        assert c_side.changed == ["load a"]

    def test_one_that_somebody_has_unloaded_is_left(self, front: Front, c_side: CSide) -> None:
        c_side.ready = {"m", "b"}
        with pytest.raises(UnloadedError):
            front.router._load_again("a", unloads=True)
        assert c_side.changed == []

    @pytest.mark.parametrize(
        ("reason", "error"),
        [("it is\nnot allowed", CannotReloadError), ("it is\nnot well", ReloadFailedError)],
    )
    def test_the_reason_is_one_line(
        self, front: Front, c_side: CSide, reason: str, error: type[Exception]
    ) -> None:
        c_side.load_error = reason
        with pytest.raises(error, match=rf"^{' '.join(reason.split())}$"):
            front.router._load_again("a", unloads=True)


def test_without_warm_up_there_are_no_copies(tmp_path: Path) -> None:
    with front_of(tmp_path, warmup_batch_sizes="none", overdue_factor="0") as front:
        forward = front.arrives()
        assert not forward[5] & KEEPS_INPUTS
        assert front.answers(forward) is None


def test_where_places_are_limited_an_answer_is_recorded_before_the_client_has_it(tmp_path: Path) -> None:
    (tmp_path / "routing.json").write_text(LIMITS)
    with front_of(tmp_path, routing_config="../routing.json") as front:
        served = [front.arrives(), front.arrives()]  # kept, as a decision that is dropped frees its place
        assert all(command[5] & RECORDS_FIRST for command in served)
        assert refused(front.arrives()) == "UNAVAILABLE"


def test_elsewhere_the_client_has_the_answer_first(front: Front) -> None:
    assert not front.arrives()[5] & RECORDS_FIRST


def test_the_decision_comes_with_the_answer_if_it_is_asked_for(front: Front) -> None:
    forward = front.arrives(explain=True)
    assert forward[5] & EXPLAINS
    explained = json.loads(forward[2].explain(forward[3], 4.0))
    assert (explained["variant"], explained["observed_ms"]) == (forward[1], 4.0)
    assert not front.arrives()[5] & EXPLAINS


def test_a_dry_run_and_a_report_are_answered_without_a_variant(front: Front) -> None:
    for asked in ("dry_run", "report"):
        kind, text = front.arrives(**{asked: True})
        assert kind == EXPLAIN
        assert json.loads(text)
    assert front.in_flight() == 0


def test_an_experiment_assigns_its_arms_by_unit(front: Front) -> None:
    front.model.router.enable_ab_testing("new", "latency", "p2c", 0.5)

    def arms() -> list[str]:
        explained = (front.arrives(unit=f"user-{user}", dry_run=True)[1] for user in range(20))
        return [json.loads(text)["arm"] for text in explained]

    assert set(arms()) == {"control", "treatment"}
    assert arms() == arms()


def test_a_request_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    with front_of(tmp_path, max_in_flight="3") as front:
        assert front.arrives(in_flight=3)[0] == FORWARD
        command = front.arrives(in_flight=4)
        assert refused(command) == "UNAVAILABLE"
        assert "3" in command[2]
        assert front.refusals() == {Refusal.OVERLOADED: 1}
        assert front.in_flight() == 1


@pytest.mark.parametrize(
    "parameters", [*({"max_latency_ms": value} for value in (-1.0, math.nan, math.inf)), {"no": 1}]
)
def test_an_invalid_parameter_is_refused_and_counted(front: Front, parameters: dict[str, Any]) -> None:
    assert refused(front.arrives(**parameters)) == "INVALID_ARG"
    assert front.refusals() == {Refusal.INVALID_REQUEST: 1}


@pytest.mark.parametrize(
    ("code", "expected"),
    [("INTERNAL", "INTERNAL"), ("UNSUPPORTED", "UNSUPPORTED"), ("UNAVAILABLE", "UNAVAILABLE")],
)
def test_a_request_that_all_variants_fail_has_their_code(front: Front, code: str, expected: str) -> None:
    command = front.fails(front.fails(front.arrives(), code), code)
    assert refused(command) == expected
    assert command[2].count("out of memory") == 2
    assert front.in_flight() == 0


def test_a_wrong_answer_is_a_fault_of_its_own_and_logged_once(front: Front) -> None:
    for _ in range(2):
        retry = front.fails(front.arrives(), "WRONG_ANSWER", "wrong answer: no outputs")
        front.answers(retry)
    variants = front.model.router.get_metrics().get_model_metrics("m").variants.values()
    assert sum(each.counts.faults[Fault.WRONG_ANSWER] for each in variants) == 2
    logged = [line for line in front.logged if "has failed a request by a wrong answer: no outputs" in line]
    assert len(logged) == len({line.split(" has failed")[0] for line in logged})


def test_variants_that_are_not_there_are_no_failures(front: Front) -> None:
    command = front.fails(front.fails(front.arrives(), reached=False), reached=False)
    assert refused(command) == "UNAVAILABLE"
    assert front.ends(Outcome.FAILURE) == 0
    assert all(state.not_ready_reason for state in front.model.router.model("m").states.values())


def test_a_request_that_its_client_canceled_is_sent_nowhere_else(front: Front) -> None:
    command = front.fails(front.arrives(), "CANCELLED", "canceled", canceled=True)
    assert refused(command) == "CANCELLED"
    assert (front.ends(Outcome.FAILURE), front.ends(Outcome.IGNORED)) == (0, 1)
    assert (front.refusals(), front.in_flight()) == ({}, 0)


def test_a_defect_of_a_policy_is_logged_and_the_client_gets_an_answer(front: Front, c_side: CSide) -> None:
    front.model.router.model("m").set_policy(BrokenPolicy())
    command = front.arrives()
    assert refused(command) == "INTERNAL"
    assert "defect in the router: ZeroDivisionError" in command[2]
    assert any("Traceback" in line and "no candidate is good" in line for line in c_side.logged)
    assert front.in_flight() == 0


def test_a_defect_at_a_retry_is_answered_too(front: Front) -> None:
    forward = front.arrives()
    front.model.router.model("m").set_policy(BrokenPolicy())
    assert refused(front.fails(forward)) == "INTERNAL"
    assert front.in_flight() == 0
