"""The backend directory holds what Triton wants to find in it."""

from pathlib import Path

import pytest

import router_backend
from router_tools.embedded_triton import backend_directory
from router_tools.embedded_triton.backend_directory import LIBRARY, RouterHost, assemble_backends
from router_tools.embedded_triton.wheel import find_wheel
from router_tools.errors import ToolError


def test_the_python_backend_is_whole_and_its_library_does_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    assemble_backends(find_wheel(), tmp_path / "backends", RouterHost.PYTHON)
    parts = {part.name: part.is_symlink() for part in (tmp_path / "backends" / "python").iterdir()}
    assert parts == {
        "libtriton_python.so": False,
        "triton_python_backend_stub": False,
        "triton_python_backend_utils.py": False,
    }


def test_the_router_backend_of_the_python_host_is_this_projects_folder_without_the_library(
    tmp_path: Path,
) -> None:
    assemble_backends(find_wheel(), tmp_path / "backends", RouterHost.PYTHON)
    parts = {part.name: part.resolve() for part in (tmp_path / "backends" / "router_backend").iterdir()}
    package = Path(router_backend.__file__).parent
    assert parts == {part.name: part for part in package.iterdir() if part != LIBRARY}


def test_the_native_host_is_this_projects_folder_if_it_is_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend_directory, "LIBRARY", tmp_path / "library.so")
    with pytest.raises(ToolError, match="the native host is not compiled"):
        assemble_backends(find_wheel(), tmp_path / "without", RouterHost.NATIVE)
    assert RouterHost.best() is RouterHost.PYTHON
    (tmp_path / "library.so").touch()
    assert RouterHost.best() is RouterHost.NATIVE
    assemble_backends(find_wheel(), tmp_path / "with", RouterHost.NATIVE)
    assert (tmp_path / "with" / "router_backend").resolve() == Path(router_backend.__file__).parent
