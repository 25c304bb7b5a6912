"""Put files into the folders of a model repository; no file is ever visible incomplete."""

import errno
import filecmp
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

# Errors of os.link where hard links are not possible: across file systems, or not supported.
_NO_LINKS = frozenset({errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK})


def place(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`: a hard link, or a copy where links are not possible."""
    if target.exists() and filecmp.cmp(source, target):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        _link_or_copy(source, unfinished)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def copy_missing(source: Path, target: Path, *, except_suffixes: Iterable[str]) -> None:
    """Copy the files that are missing in the target; existing files are not changed.

    Args:
        source: folder to copy from.
        target: folder to copy into; created if it does not exist.
        except_suffixes: suffixes of files that are not copied, e.g. [".onnx"].
    """
    skipped = set(except_suffixes)
    for file in sorted(path for path in source.rglob("*") if path.is_file() and path.suffix not in skipped):
        copy = target / file.relative_to(source)
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        shutil.copy2(source, target)
