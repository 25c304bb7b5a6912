"""The native library of the wheels in `dist/`: that of `make wheel`, or those of `make wheels`."""

import re
from pathlib import Path

import pytest

from tests.documents import CHECKOUT
from tests.package.native_library import NativeLibrary, platform_of, read_library

MACHINES = {"x86_64": "x64", "aarch64": "AArch64"}
"""By the name in a wheel's tag, that of pyelftools."""
WHEELS = sorted((CHECKOUT / "dist").glob("*.whl"))


@pytest.fixture(scope="module", params=WHEELS, ids=lambda wheel: platform_of(wheel))
def wheel(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


@pytest.fixture(scope="module")
def library(wheel: Path) -> NativeLibrary:
    return read_library(wheel)


def test_it_is_for_the_machine_and_the_glibc_of_the_tag(wheel: Path, library: NativeLibrary) -> None:
    tag = re.fullmatch(r"manylinux_(\d+)_(\d+)_(\w+)", platform_of(wheel))
    assert tag
    assert library.machine == MACHINES[tag[3]]
    assert library.glibc <= (int(tag[1]), int(tag[2]))


def test_it_needs_nothing_but_glibc_and_the_server(library: NativeLibrary) -> None:
    loader = ("ld-linux-x86-64", "ld-linux-aarch64")
    assert {name.partition(".")[0] for name in library.libraries} <= {"libc", *loader}
    # A symbol of Python would be looked for before Python is loaded.
    assert {name.partition("_")[0] for name in library.of_the_process} <= {"TRITONSERVER", "TRITONBACKEND"}
    assert library.of_the_process


def test_it_offers_the_functions_of_a_backend_and_hides_its_own(library: NativeLibrary) -> None:
    assert "TRITONBACKEND_Initialize" in library.offered
    assert {name.partition("_")[0] for name in library.offered} == {"TRITONBACKEND"}


def test_it_opens_no_way_to_other_code(library: NativeLibrary) -> None:
    assert not library.search_path
    assert not library.executable_stack
