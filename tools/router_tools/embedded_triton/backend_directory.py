"""The folder that Triton looks for backends in: the wheel's Python backend, and this project's own on top."""

import shutil
from pathlib import Path

import router_backend
from router_tools.embedded_triton.wheel import ServerWheel

PYTHON_BACKEND = "python"
ROUTER_BACKEND = "router_backend"


def assemble_backends(wheel: ServerWheel, folder: Path) -> None:
    """Make `folder` and fill it with the backends.

    The Python backend wants its stub beside it, which the wheel keeps elsewhere, one for each Python version.
    Its parts are copies: Triton refuses a library that is a link to somewhere outside of the folder. This
    project's backend is Python source, for which a link will do, so that what is edited is what is served.
    """
    python = folder / PYTHON_BACKEND
    python.mkdir(parents=True)
    for part in ("libtriton_python.so", "triton_python_backend_utils.py"):
        shutil.copy2(wheel.python_backend / part, python)
    shutil.copy2(wheel.stub, python)
    (folder / ROUTER_BACKEND).symlink_to(Path(router_backend.__file__).parent, target_is_directory=True)
