"""Puts files into the folders of a model repository without a moment at which one is half there."""

import errno
import filecmp
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

# What os.link says where hard links are not to be had: another file system, or one without them.
_NO_LINKS = frozenset({errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK})


def place(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`: a hard link, or a copy where there are no links."""
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
    """Copy the files of one tree that another lacks; what is there stays as it is.

    Args:
        source: folder to copy from.
        target: folder to copy into; made when it is not there.
        except_suffixes: files to leave behind, e.g. [".onnx"].
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
