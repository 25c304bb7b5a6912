"""Where the commands keep files that are costly to make or to fetch."""

import os
from pathlib import Path


def user_cache(name: str) -> Path:
    """Return this project's cache folder of that name, under XDG_CACHE_HOME, else under ~/.cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "model-router" / name
