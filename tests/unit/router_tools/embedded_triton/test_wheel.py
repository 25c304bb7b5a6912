"""The wheel's parts are found, or a sentence says why this machine cannot use them."""

import sys

import pytest

from router_tools.embedded_triton import wheel
from router_tools.errors import ToolError


@pytest.mark.parametrize("version", ["2.35", "2.36", "3.0"])
def test_a_glibc_that_is_new_enough_is_accepted(version: str) -> None:
    wheel.check_glibc("glibc", version)


@pytest.mark.parametrize(
    ("library", "version", "found"),
    [
        ("glibc", "2.34", "glibc 2.34"),
        ("glibc", "2.4", "glibc 2.4"),
        ("glibc", "1.99", "glibc 1.99"),
        ("", "", "another C library"),
    ],
)
def test_a_c_library_that_does_not_do_is_named_with_the_one_that_does(
    library: str, version: str, found: str
) -> None:
    with pytest.raises(ToolError, match=rf"needs glibc >= 2\.35, found {found}: use a newer Linux"):
        wheel.check_glibc(library, version)


@pytest.mark.parametrize(
    ("system", "machine"), [("darwin", "arm64"), ("linux", "aarch64"), ("win32", "x86_64")]
)
def test_a_machine_without_a_server_is_named(system: str, machine: str) -> None:
    with pytest.raises(ToolError, match=f"only on linux x86_64, found {system} {machine}"):
        wheel.check_platform(system, machine)


def test_linux_on_x86_64_is_accepted() -> None:
    wheel.check_platform("linux", "x86_64")


@pytest.mark.parametrize("version", [(3, 9), (3, 13), (4, 0)])
def test_a_python_that_the_server_cannot_run_models_with_is_refused(version: tuple[int, int]) -> None:
    found = ".".join(map(str, version))
    with pytest.raises(ToolError, match=rf"needs Python 3\.10 to 3\.12, found {found}: create"):
        wheel.check_python(version)


@pytest.mark.parametrize("version", [(3, 10), (3, 11), (3, 12)])
def test_a_python_that_the_server_runs_models_with_is_accepted(version: tuple[int, int]) -> None:
    wheel.check_python(version)


def test_a_missing_wheel_comes_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheel, "WHEEL", "a-package-that-is-not-installed")
    with pytest.raises(ToolError, match=r'not installed .*: pip install "triton-model-router\[serve\]"'):
        wheel.find_wheel()


def test_a_python_without_a_shared_library_is_told_what_it_lacks() -> None:
    with pytest.raises(ToolError, match=r"libpython3\.99\.so\.1\.0 is missing"):
        wheel.find_libpython((3, 99))


def test_every_part_of_the_installed_wheel_is_where_it_is_said_to_be() -> None:
    parts = wheel.find_wheel()
    assert parts.server.is_file()
    assert parts.stub.is_file()
    assert (parts.python_backend / "libtriton_python.so").is_file()
    assert all(folder.is_dir() for folder in parts.libraries)
    assert parts.stub.parent.name == f"{sys.version_info.major}.{sys.version_info.minor}"
