"""Files that are costly to make, kept under a key that says what they were made from."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory


def obtain(folder: Path, name: str, key: str, make: Callable[[Path], None], *, force: bool = False) -> Path:
    """Return the file of this name and key; make it when it is not there.

    An interrupted `make` leaves no file of that name: it writes elsewhere, and the finished file is moved.

    Args:
        folder: the cache.
        name: what the file is, e.g. "resnet50_int8".
        key: what it was made from; another key is another file.
        make: writes the file at the path it is given.
        force: make it even if it is there.
    """
    path = folder / f"{name}-{key}.onnx"
    if force or not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{name}-", dir=folder) as scratch:
            unfinished = Path(scratch) / path.name
            make(unfinished)
            unfinished.replace(path)
    return path
