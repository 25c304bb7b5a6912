"""Recognizes the files of a model, to tell whether what was learned about it still holds."""

import os
from collections.abc import Iterator
from hashlib import blake2b
from itertools import islice
from pathlib import Path

from router_backend.path_kind import REGULAR_FILE, path_kind

SAMPLE_BYTES = 65_536
MOST_FILES = 10_000
MOST_FOLDERS = 1_000
WRITTEN_BY_PYTHON = "__pycache__"


def fingerprint(folder: Path) -> str:
    """Return a hash of the names, sizes, beginnings and ends of the files in a model's folder.

    Weights of gigabytes are not read as a whole: a change that leaves the size of a file as it is, and its
    first and last 64 KiB, does not change how long the model takes. Nor are files beyond the first 10,000.
    """
    found = blake2b(digest_size=16)
    for file in islice(_files(folder), MOST_FILES):
        found.update(f"{file.relative_to(folder)}\0".encode(errors="surrogateescape"))
        found.update(_sample(file))
    return found.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    """Return the files of a folder in a fixed order; a link may lead round in a circle."""
    for place, folders, names in islice(os.walk(folder, followlinks=True), MOST_FOLDERS):
        folders[:] = sorted(name for name in folders if name != WRITTEN_BY_PYTHON)
        yield from (Path(place, name) for name in sorted(names))


def _sample(file: Path) -> bytes:
    """Return the size of a regular file, its beginning and its end; nothing if it cannot be read."""
    if path_kind(file) != REGULAR_FILE:
        return b""
    try:
        with file.open("rb") as opened:
            size = os.fstat(opened.fileno()).st_size
            beginning = opened.read(SAMPLE_BYTES)
            opened.seek(max(0, size - SAMPLE_BYTES))
            return b"%d\0" % size + beginning + opened.read(SAMPLE_BYTES)
    except OSError:
        return b""
