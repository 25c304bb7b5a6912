"""The folder in which the commands cache files that are slow to make or to download."""

import os
from pathlib import Path


def user_cache(name: str) -> Path:
    """Return the cache folder of this name, in XDG_CACHE_HOME or, if that is not set, in ~/.cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "model-router" / name
