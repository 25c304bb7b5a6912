"""The server's log yields the reason of a failure, on one line."""

from router_tools.embedded_triton import server_log
from tests.unit.router_tools.embedded_triton import samples


def test_an_exception_is_given_without_its_stack() -> None:
    assert server_log.load_failures(samples.BROKEN) == {
        "broken": "Internal: ModuleNotFoundError: No module named 'nowhere'"
    }


def test_a_reason_of_several_lines_becomes_one() -> None:
    assert server_log.load_failures(samples.TWO_LINES) == {
        "gpu": 'Internal: RuntimeError: gpu needs CUDA; this machine has "CPU"'
    }


def test_a_model_without_a_version_is_found() -> None:
    reason = "at least one version must be available under the version policy of model 'bare'"
    assert server_log.load_failures(samples.NO_VERSION) == {"bare": reason}


def test_a_mistake_in_a_configuration_comes_with_its_place_and_the_next_model_without() -> None:
    log = "\n".join([samples.PARSE_ERROR, samples.UNREADABLE, samples.WRONG_NAME])
    assert server_log.load_failures(log) == {
        "typo": "failed to read text proto from models/typo/config.pbtxt "
        "(line and column 1:17: Expected integer, got: x)",
        "one": "unexpected directory name 'one' for model 'two', directory name must equal model name",
    }


def test_what_models_print_themselves_is_no_failure() -> None:
    assert (
        server_log.load_failures("failed to load 'x' version 1: so I say\n\"failed to load 'y': no\"") == {}
    )


def test_a_line_that_two_processes_wrote_into_is_passed_over() -> None:
    torn = samples.BROKEN.replace("Internal", 'In"ternal')
    assert server_log.load_failures(f"{torn}\n{samples.NO_VERSION}").keys() == {"bare"}


def test_models_are_loading_until_they_are_loaded_or_given_up() -> None:
    assert server_log.models_still_loading(samples.LOADING) == ["slow"]
    assert server_log.models_still_loading(f"{samples.LOADING}\n{samples.LOADED}") == []
    given_up = samples.BROKEN.replace("broken", "slow")
    assert server_log.models_still_loading(f"{samples.LOADING}\n{given_up}") == []


def test_a_stub_that_ended_too_early_is_noticed() -> None:
    assert server_log.stuck_stub(samples.STUCK) == "Python model file not found in 'models/bare/1/model.py'"
    assert server_log.stuck_stub(samples.BROKEN) is None


def test_a_refused_argument_is_found_before_or_after_the_help() -> None:
    usage = "Usage: tritonserver [options]\n  --help\n\tPrint usage"
    before = f"/bin/tritonserver: unrecognized option '--nonsense'\n{usage}\n"
    assert server_log.refused_arguments(before) == "unrecognized option '--nonsense'"
    after = f"{usage}\ninvalid argument for --model-control-mode\n"
    assert server_log.refused_arguments(after) == "invalid argument for --model-control-mode"
    two_lines = f'{usage}\n\nBad option: "--exit-timeout-secs".\nInvalid option value. Got x\n\n'
    complaint = 'Bad option: "--exit-timeout-secs". Invalid option value. Got x'
    assert server_log.refused_arguments(two_lines) == complaint
    assert server_log.refused_arguments(f"{usage}\n\n") == "it does not say which"
    assert server_log.refused_arguments(samples.LOADED) is None


def test_why_a_server_was_not_created_is_found() -> None:
    log = f"{samples.LOADED}\n{samples.NOT_CREATED}\n{samples.METRICS_STARTED}"
    reason = "Invalid argument: unable to find 'libtritoncache_absent.so' for cache. "
    assert server_log.not_created(log) == f"{reason}Searched: /opt/tritonserver/caches"
    assert server_log.not_created(samples.LOADED) is None


def test_the_http_port_is_found() -> None:
    assert server_log.http_port(f"{samples.HTTP_STARTED}\n{samples.METRICS_STARTED}") == 99999
    assert server_log.http_port(samples.METRICS_STARTED) is None


def test_the_last_lines_leave_out_tables() -> None:
    log = "first\nsecond\n+---+\n| a |\n\nthird\n"
    assert server_log.last_lines(log, count=2) == "second\nthird"
