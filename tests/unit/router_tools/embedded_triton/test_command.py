"""The command line says what was asked for, and keeps one server's shared memory apart from another's."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from router_tools.embedded_triton.command import ServerOptions, server_environment
from router_tools.embedded_triton.wheel import ServerWheel
from router_tools.errors import ToolError

OPTIONS = ServerOptions(
    model_repository=Path("models"),
    host="0.0.0.0",
    http_port=1,
    grpc_port=2,
    metrics_port=3,
    backend_settings={"python": {"thread-pool-size": 512}, "other": {"level": "high"}},
    exit_on_error=False,
    model_control_mode="explicit",
    shared_memory_prefix="mine_",
    extra_arguments=("--log-verbose=1",),
)
WHEEL = ServerWheel(Path("server"), Path("python"), Path("stub"), (Path("/libs"), Path("/libpython")))


def test_each_option_becomes_the_argument_of_its_name() -> None:
    arguments = OPTIONS.arguments(Path("backends"))
    assert arguments[:9] == [
        "--backend-directory=backends",
        "--model-repository=models",
        "--http-address=0.0.0.0",
        "--http-port=1",
        "--grpc-address=0.0.0.0",
        "--grpc-port=2",
        "--metrics-address=0.0.0.0",
        "--metrics-port=3",
        "--model-control-mode=explicit",
    ]


@pytest.mark.parametrize(
    ("ports", "message"),
    [
        (
            {"grpc_port": 1},
            "gRPC port: expected a port other than the HTTP port, found 1 for both: .*--grpc-port",
        ),
        ({"metrics_port": 2}, "metrics port: .* the gRPC port, found 2 for both: .*--metrics-port"),
    ],
)
def test_one_port_for_two_endpoints_is_refused(tmp_path: Path, ports: dict[str, int], message: str) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(ToolError, match=message):
        replace(OPTIONS, model_repository=tmp_path, **ports).check()


@pytest.mark.parametrize(("exit_on_error", "word"), [(True, "true"), (False, "false")])
def test_a_server_that_outlives_a_failed_model_is_not_called_unready_for_it(
    exit_on_error: bool, word: str
) -> None:
    arguments = replace(OPTIONS, exit_on_error=exit_on_error).arguments(Path("backends"))
    assert f"--exit-on-error={word}" in arguments
    assert f"--strict-readiness={word}" in arguments


def test_backends_get_their_settings_and_the_last_word_is_the_prefix_of_the_shared_memory() -> None:
    settings = [argument for argument in OPTIONS.arguments(Path("b")) if "backend-config" in argument]
    assert settings == [
        f"--backend-config=router_backend,python={sys.executable}",
        "--backend-config=python,thread-pool-size=512",
        "--backend-config=other,level=high",
        "--backend-config=python,shm-region-prefix-name=mine_",
    ]


def test_extra_arguments_come_last_so_that_they_win() -> None:
    assert OPTIONS.arguments(Path("backends"))[-1] == "--log-verbose=1"


@pytest.mark.parametrize(
    ("arguments", "ports"),
    [
        ((), [2, 3]),
        (("--allow-metrics=true", "--log-info=false"), [2, 3]),
        (("--allow-metrics=false",), [2]),
        (("--allow-metrics", "0"), [2]),
        (("--allow-grpc=False", "--allow-metrics=false"), []),
    ],
)
def test_an_endpoint_that_is_turned_off_is_not_waited_for(
    arguments: tuple[str, ...], ports: list[int]
) -> None:
    assert replace(OPTIONS, extra_arguments=arguments).further_ports == ports


def test_the_environment_puts_this_python_and_the_wheels_libraries_in_front(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/somewhere")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/else")
    environment = server_environment(WHEEL)
    assert environment["PATH"].split(os.pathsep) == [str(Path(sys.executable).parent), "/somewhere"]
    assert environment["LD_LIBRARY_PATH"].split(os.pathsep) == ["/libs", "/libpython", "/else"]


def test_an_unset_library_path_adds_no_empty_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    assert server_environment(WHEEL)["LD_LIBRARY_PATH"] == "/libs:/libpython"


def test_a_server_without_http_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    options = replace(OPTIONS, model_repository=tmp_path, extra_arguments=("--allow-http=false",))
    with pytest.raises(ToolError, match="--allow-http=false: expected HTTP"):
        options.check()
