"""Triton's backend directory, with the wheel's Python backend and the backend of this project."""

import shutil
from enum import Enum
from pathlib import Path

import router_backend
from router_tools.embedded_triton.wheel import ServerWheel
from router_tools.errors import ToolError

PYTHON_BACKEND = "python"
ROUTER_BACKEND = "router_backend"
PACKAGE = Path(router_backend.__file__).parent
LIBRARY = PACKAGE / "libtriton_router_backend.so"


class RouterHost(Enum):
    """What runs router models: a process of Triton's Python backend, or the server itself."""

    PYTHON = "python"
    NATIVE = "native"

    @classmethod
    def present(cls) -> list["RouterHost"]:
        """Return those that can run here, the one that Triton chooses first."""
        return [cls.NATIVE, cls.PYTHON] if LIBRARY.exists() else [cls.PYTHON]

    @classmethod
    def best(cls) -> "RouterHost":
        """Return what Triton chooses: the native host if its library is there."""
        return cls.present()[0]


def assemble_backends(wheel: ServerWheel, folder: Path, host: RouterHost) -> None:
    """Create `folder` with the backends.

    The Python backend needs its stub in the same folder; the wheel has one for each Python version elsewhere.
    These files are copied, because Triton rejects a library that is a link to a place outside of the folder.
    This project's backend can be links, so that edits are served without a copy.

    Raises:
        ToolError: the native host is wanted, but not compiled.
    """
    python = folder / PYTHON_BACKEND
    python.mkdir(parents=True)
    for part in ("libtriton_python.so", "triton_python_backend_utils.py"):
        shutil.copy2(wheel.python_backend / part, python)
    shutil.copy2(wheel.stub, python)
    if host is RouterHost.NATIVE:
        _link_all(folder / ROUTER_BACKEND)
    else:
        _link_sources(folder / ROUTER_BACKEND)


def _link_all(backend: Path) -> None:
    if not LIBRARY.exists():
        raise ToolError(f"the native host is not compiled, {LIBRARY} is missing: run `make native`")
    backend.symlink_to(PACKAGE, target_is_directory=True)


def _link_sources(backend: Path) -> None:
    """Link everything but the library, which Triton would prefer."""
    backend.mkdir()
    for part in PACKAGE.iterdir():
        if part != LIBRARY:
            (backend / part.name).symlink_to(part)
