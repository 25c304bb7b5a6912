"""Triton's backend directory, with the wheel's Python backend and the backend of this project."""

import shutil
from pathlib import Path

import router_backend
from router_tools.embedded_triton.wheel import ServerWheel

PYTHON_BACKEND = "python"
ROUTER_BACKEND = "router_backend"


def assemble_backends(wheel: ServerWheel, folder: Path) -> None:
    """Create `folder` with the backends.

    The Python backend needs its stub in the same folder; the wheel has one for each Python version elsewhere.
    These files are copied, because Triton rejects a library that is a link to a place outside of the folder.
    This project's backend is Python source and can be a link, so that edits are served without a copy.
    """
    python = folder / PYTHON_BACKEND
    python.mkdir(parents=True)
    for part in ("libtriton_python.so", "triton_python_backend_utils.py"):
        shutil.copy2(wheel.python_backend / part, python)
    shutil.copy2(wheel.stub, python)
    (folder / ROUTER_BACKEND).symlink_to(Path(router_backend.__file__).parent, target_is_directory=True)
