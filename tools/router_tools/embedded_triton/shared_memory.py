"""The shared memory between a server and its stubs, named by a prefix of its own for each server."""

import os
import secrets
from pathlib import Path

_SHARED_MEMORY = Path("/dev/shm")
SETTING = "shm-region-prefix-name"
"""The Python backend's setting of the prefix; the backend appends a UUID for each model instance."""


def new_prefix() -> str:
    """Return a prefix that no other server on this machine has."""
    return f"model_router_{os.getpid()}_{secrets.token_hex(4)}_"


def find_regions(prefix: str) -> list[Path]:
    """Return the regions of the server with this prefix."""
    return sorted(_SHARED_MEMORY.glob(f"{prefix}*"))


def remove_regions(prefix: str) -> None:
    """Remove the regions of a server that could not do so itself."""
    for region in find_regions(prefix):
        region.unlink(missing_ok=True)
