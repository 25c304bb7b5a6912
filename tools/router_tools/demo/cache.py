"""A cache of generated files; the key identifies what a file was generated from."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory


def obtain(folder: Path, name: str, key: str, make: Callable[[Path], None], *, force: bool = False) -> Path:
    """Return the file with this name and key; create it if it does not exist.

    `make` writes to a temporary file, which is moved when complete, so an interrupted run leaves no file.

    Args:
        folder: the cache.
        name: name of the file, e.g. "resnet50_int8".
        key: identifies what the file is made from; a different key is a different file.
        make: writes the file to the given path.
        force: create it even if it exists.
    """
    path = folder / f"{name}-{key}.onnx"
    if force or not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{name}-", dir=folder) as scratch:
            unfinished = Path(scratch) / path.name
            make(unfinished)
            unfinished.replace(path)
    return path
