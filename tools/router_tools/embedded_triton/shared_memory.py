"""The shared memory between a server and its stubs, named so that its own can be told from others'."""

import os
import secrets
from pathlib import Path

_SHARED_MEMORY = Path("/dev/shm")
SETTING = "shm-region-prefix-name"
"""The Python backend's setting for it; the backend appends a UUID for each model instance."""


def new_prefix() -> str:
    """A prefix that no other server of this machine has."""
    return f"model_router_{os.getpid()}_{secrets.token_hex(4)}_"


def find_regions(prefix: str) -> list[Path]:
    """The regions of the server with this prefix."""
    return sorted(_SHARED_MEMORY.glob(f"{prefix}*"))


def remove_regions(prefix: str) -> None:
    """Remove what a server left behind that had no chance to do so itself."""
    for region in find_regions(prefix):
        region.unlink(missing_ok=True)
