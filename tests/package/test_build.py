"""The wheel from the source distribution, with a C compiler and without one."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.documents import CHECKOUT
from tests.package.distribution import LIBRARY
from tests.package.native_library import platform_of

FAILING = "false"
"""A compiler that finds fault with everything."""
needs_compiler = pytest.mark.skipif(not shutil.which("cc"), reason="there is no C compiler `cc`")


def build(project: Path, target: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    return run(command, project, **environment)


def compile_in_place(project: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, "tools/native_library.py"], project, **environment)


def run(command: list[str], project: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name != "CC"}
    return subprocess.run(
        command, cwd=project, env={**inherited, **environment}, capture_output=True, text=True, check=False
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The source distribution, unpacked."""
    done = build(CHECKOUT, "sdist", tmp_path)
    assert done.returncode == 0, done.stderr
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        files.extractall(tmp_path, filter="data")
    return tmp_path / archive.name.removesuffix(".tar.gz")


def libraries(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return [name for name in archive.namelist() if name.endswith(".so")]


def test_the_source_distribution_has_the_sources_of_the_library_and_not_the_library(project: Path) -> None:
    assert [*(project / "router_backend" / "native").glob("*.c")]
    assert [*project.rglob("*.so")] == []


def test_without_a_compiler_the_wheel_is_pure_python_and_the_build_says_why(
    project: Path, tmp_path: Path
) -> None:
    done = build(project, "wheel", tmp_path, CC="")
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert platform_of(wheel) == "any"
    assert libraries(wheel) == []
    assert "without the native library: the environment variable CC is empty" in done.stdout + done.stderr


@needs_compiler
def test_with_a_compiler_the_wheel_has_the_library_and_is_for_this_platform(
    project: Path, tmp_path: Path
) -> None:
    done = build(project, "wheel", tmp_path)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert platform_of(wheel).startswith("manylinux_2_")
    assert libraries(wheel) == [f"router_backend/{LIBRARY}"]


def test_a_compiler_that_fails_ends_the_build(project: Path, tmp_path: Path) -> None:
    assert build(project, "wheel", tmp_path, CC=FAILING).returncode != 0
    assert [*tmp_path.glob("*.whl")] == []


@needs_compiler
def test_the_library_is_replaced_only_by_one_that_was_compiled(project: Path) -> None:
    library = project / "router_backend" / LIBRARY
    assert compile_in_place(project, CC="cc -Werror").returncode == 0
    compiled = library.read_bytes()
    done = compile_in_place(project, CC=FAILING)
    assert done.returncode == 1
    assert done.stderr.startswith("error: no native library: ")
    assert library.read_bytes() == compiled
    assert [file.name for file in library.parent.glob("lib*")] == [LIBRARY]
