"""A failed start is reported in a sentence with the cause and the fix."""

from router_tools.embedded_triton import explanation
from tests.unit.router_tools.embedded_triton import samples


def test_each_model_that_ended_the_start_is_named_with_its_reason_and_a_workaround() -> None:
    log = "\n".join([samples.BROKEN, samples.NO_VERSION, samples.GAVE_UP])
    error = str(explanation.ended_during_start(1, log))
    assert error == (
        "the server ended during its start (exit status 1), because model 'broken' failed to load: Internal: "
        "ModuleNotFoundError: No module named 'nowhere'; model 'bare' failed to load: at least one version "
        "must be available under the version policy of model 'bare'. "
        "Fix the model, or serve the others with --no-exit-on-error"
    )


def test_a_crash_is_not_attributed_to_a_model_whose_failure_does_not_end_the_server() -> None:
    error = str(explanation.ended_during_start(-11, f"{samples.BROKEN}\n{samples.LOADING}"))
    assert error.startswith("the server ended during its start (killed by SIGSEGV). The last lines")


def test_an_end_without_a_known_cause_shows_the_signal_and_the_end_of_the_log() -> None:
    error = str(explanation.ended_during_start(-9, samples.LOADING))
    assert error == (
        "the server ended during its start (killed by SIGKILL). "
        f"The last lines of its log:\n{samples.LOADING}"
    )


def test_a_refused_argument_is_repeated() -> None:
    log = "/bin/tritonserver: unrecognized option '--nonsense'\nUsage: tritonserver [options]\n"
    assert "(unrecognized option '--nonsense'): fix those after `--`" in str(
        explanation.ended_during_start(1, log)
    )


def test_too_long_a_start_names_the_models_that_it_waits_for() -> None:
    error = str(explanation.not_ready_in_time(2.5, samples.LOADING))
    assert "not ready within 2.5 s, because it is still loading slow" in error


def test_too_long_a_start_without_a_known_cause_shows_the_end_of_the_log() -> None:
    assert "last lines of its log:\nnothing to see" in str(explanation.not_ready_in_time(1, "nothing to see"))


def test_an_end_while_serving_says_how() -> None:
    assert "ended while it served (exit status 3): start it again" in str(
        explanation.ended_while_serving(3, "")
    )
