"""The backend directory holds what Triton wants to find in it."""

from pathlib import Path

import router_backend
from router_tools.embedded_triton.backend_directory import assemble_backends
from router_tools.embedded_triton.wheel import find_wheel


def test_the_python_backend_is_whole_and_its_library_does_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    assemble_backends(find_wheel(), tmp_path / "backends")
    parts = {part.name: part.is_symlink() for part in (tmp_path / "backends" / "python").iterdir()}
    assert parts == {
        "libtriton_python.so": False,
        "triton_python_backend_stub": False,
        "triton_python_backend_utils.py": False,
    }


def test_the_router_backend_is_this_projects_own_folder(tmp_path: Path) -> None:
    assemble_backends(find_wheel(), tmp_path / "backends")
    assert (tmp_path / "backends" / "router_backend").resolve() == Path(router_backend.__file__).parent
