"""`model-router serve` runs until SIGINT or SIGTERM, and its exit status says what happened."""

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest

from router_tools.embedded_triton.run_folder import remove_leftovers
from router_tools.embedded_triton.shared_memory import find_regions
from tests.integration.python_models import BROKEN, ENDLESS, IDENTITY, add_model

pytestmark = pytest.mark.integration

ANY_PORTS = ("--http-port=0", "--grpc-port=0", "--metrics-port=0")
URLS = ("http_url", "grpc_url", "metrics_url")
SERVE = (sys.executable, "-m", "router_tools", "serve", *ANY_PORTS)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    add_model(folder, "identity", IDENTITY)
    add_model(folder, "broken", BROKEN)
    return folder


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the temporary files of the command, and of this process."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@contextmanager
def serving(repository: Path, temporary: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*SERVE, f"--model-repository={repository}", *options],
        env={**os.environ, "TMPDIR": str(temporary), "COLUMNS": "160"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            end_all(process)


def end_all(process: subprocess.Popen[str]) -> None:
    """End the processes that a failed test has left running."""
    if process.poll() is None:
        for member in [*children(process), process]:
            member.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline()


def regions(process: subprocess.Popen[str]) -> list[Path]:
    return find_regions(f"model_router_{process.pid}_")


def children(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def assert_nothing_left(
    process: subprocess.Popen[str], started: list[psutil.Process], temporary: Path
) -> None:
    gone = [not child.is_running() or child.status() == psutil.STATUS_ZOMBIE for child in started]
    assert all(gone)
    assert regions(process) == []
    assert list(temporary.glob("model_router*")) == []


def test_when_ready_it_prints_one_line_of_json_and_sigterm_ends_all_processes(
    repository: Path, temporary: Path
) -> None:
    with serving(repository, temporary, "--json") as process:
        report = json.loads(line(process))
        assert [(model["name"], model["state"]) for model in report["models"]] == [
            ("broken", "UNAVAILABLE"),
            ("identity", "READY"),
        ]
        started = children(process)
        assert report["pid"] in [child.pid for child in started]
        assert len(started) == 2  # the server and the stub of the model that loaded
        assert regions(process)
        assert list(temporary.glob("model_router*"))
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
    assert_nothing_left(process, started, temporary)


def test_it_ends_well_after_the_process_of_a_model_has_died(repository: Path, temporary: Path) -> None:
    with serving(repository, temporary, "--json", "--", "--exit-timeout-secs=1") as process:
        report = json.loads(line(process))
        (stub,) = (child for child in children(process) if child.pid != report["pid"])
        stub.kill()
        process.send_signal(signal.SIGTERM)  # Triton waits in vain for the model to end, and exits with 1
        assert process.wait() == 0
    assert_nothing_left(process, [stub], temporary)


def test_a_killed_server_is_reported_and_its_stubs_and_memory_are_gone(
    repository: Path, temporary: Path
) -> None:
    with serving(repository, temporary, "--json") as process:
        server_pid = json.loads(line(process))["pid"]
        started = children(process)
        os.kill(server_pid, signal.SIGKILL)
        assert process.wait() == 1
        assert process.stderr
        assert "ended while it served (killed by SIGKILL)" in process.stderr.read()
    assert_nothing_left(process, started, temporary)


def test_a_supervised_server_that_was_killed_serves_again_and_is_no_leftover_to_others(
    repository: Path, temporary: Path
) -> None:
    with serving(repository, temporary, "--json", "--supervise") as process:
        first = json.loads(line(process))
        os.kill(first["pid"], signal.SIGKILL)
        second = json.loads(line(process))
        started = children(process)
        assert second["pid"] != first["pid"]
        assert [second[key] for key in URLS] == [first[key] for key in URLS]
        with urllib.request.urlopen(f"http://{second['http_url']}/v2/models/identity/ready") as answer:
            assert answer.status == 200
        memory = regions(process)
        remove_leftovers()
        assert (children(process), regions(process)) == (started, memory)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
        assert process.stderr
        assert process.stderr.read() == (
            "warning: the server ended while it served (killed by SIGKILL); it is started again in 1 s\n"
        )
    assert_nothing_left(process, started, temporary)


def test_a_killed_command_takes_its_server_along_and_the_next_start_removes_the_rest(
    repository: Path, temporary: Path
) -> None:
    with serving(repository, temporary, "--json") as process:
        line(process)
        started = children(process)
        process.kill()
        process.wait()
        _, alive = psutil.wait_procs(started, timeout=60.0)
        assert alive == []
        assert list(temporary.glob("model_router*"))
        remove_leftovers()
    assert_nothing_left(process, started, temporary)


def test_a_start_ends_the_stubs_of_a_server_that_was_killed_with_its_command(
    tmp_path: Path, temporary: Path
) -> None:
    add_model(tmp_path / "slow", "endless", ENDLESS)
    with serving(tmp_path / "slow", temporary) as process:
        while len(started := children(process)) < 2:
            time.sleep(0.05)
        for each in (process, *started[:1]):
            each.kill()
        process.wait()
        assert started[1].is_running()
        remove_leftovers()
    assert_nothing_left(process, started, temporary)


def test_a_start_removes_what_is_left_and_says_in_one_sentence_that_there_is_no_room(
    repository: Path, temporary: Path
) -> None:
    (temporary / "model_router_1_aaaaaaaa_run").mkdir()
    done = subprocess.run(
        [*SERVE, f"--model-repository={repository}"],
        env={**os.environ, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=partial(resource.setrlimit, resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"error: the server's temporary files cannot be written to {temporary} (File too large): "
        "make room there, or name another folder in the variable TMPDIR\n"
    )
    assert list(temporary.glob("model_router*")) == []


def test_when_ready_it_shows_a_table_and_addresses_and_ctrl_c_ends_it(
    repository: Path, temporary: Path
) -> None:
    with serving(repository, temporary) as process:
        lines = [line(process)]
        while "Ctrl-C" not in lines[-1]:
            lines.append(line(process))
        text = "".join(lines)
        assert "UNAVAILABLE" in text
        assert "RuntimeError: broken needs a device that is not here" in text
        assert "gRPC    127.0.0.1:" in text
        process.send_signal(signal.SIGINT)
        assert process.wait() == 0


def test_a_signal_before_it_is_ready_sets_its_exit_status(tmp_path: Path, temporary: Path) -> None:
    add_model(tmp_path / "slow", "endless", ENDLESS)
    with serving(tmp_path / "slow", temporary) as process:
        while len(started := children(process)) < 2:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 128 + signal.SIGTERM
    assert_nothing_left(process, started, temporary)


def test_with_exit_on_error_a_failed_model_ends_it_with_the_reason_even_if_supervised(
    repository: Path, temporary: Path
) -> None:
    with serving(repository, temporary, "--exit-on-error", "--supervise") as process:
        assert process.wait() == 1
        assert process.stderr
        assert "model 'broken' failed to load: Internal: RuntimeError: broken needs" in process.stderr.read()
    assert_nothing_left(process, [], temporary)


def test_a_missing_repository_is_one_sentence_without_a_traceback(tmp_path: Path) -> None:
    result = subprocess.run(
        [*SERVE, "--model-repository=/nowhere"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stderr.startswith("error: model repository /nowhere is not a folder: create it")
    assert result.stderr.count("\n") == 1
