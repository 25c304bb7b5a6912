import errno
import os
import shutil
from pathlib import Path

import pytest

from router_tools.demo.placement import copy_missing, place


def no_links(code: int) -> object:
    def fail(self: Path, target: Path) -> None:
        raise OSError(code, os.strerror(code))

    return fail


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "cache" / "model.onnx"
    path.parent.mkdir()
    path.write_text("model")
    return path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "repository" / "resnet50_cpu" / "1" / "model.onnx"


def test_a_file_is_linked_so_that_it_takes_its_space_once(source: Path, target: Path) -> None:
    place(source, target)
    assert target.samefile(source)
    assert list(target.parent.iterdir()) == [target]


def test_placing_it_again_changes_nothing(source: Path, target: Path) -> None:
    place(source, target)
    place(source, target)
    assert target.samefile(source)
    assert list(target.parent.iterdir()) == [target]


def test_another_file_is_replaced(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True)
    target.write_text("an older model")
    place(source, target)
    assert target.read_text() == "model"


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM, errno.ENOTSUP])
def test_where_there_are_no_links_it_is_copied(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(Path, "hardlink_to", no_links(code))
    place(source, target)
    assert target.read_text() == "model"
    assert not target.samefile(source)
    assert list(target.parent.iterdir()) == [target]


def test_a_copy_is_not_copied_again(source: Path, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "hardlink_to", no_links(errno.EXDEV))
    place(source, target)
    inode = target.stat().st_ino
    place(source, target)
    assert target.stat().st_ino == inode


@pytest.mark.parametrize("code", [errno.EXDEV, errno.ENOSPC], ids=["while copying", "while linking"])
def test_a_failure_leaves_the_old_file_and_nothing_else(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fill_the_disk(_: Path, copy: Path) -> None:
        copy.write_text("mod")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    target.parent.mkdir(parents=True)
    target.write_text("an older model")
    monkeypatch.setattr(Path, "hardlink_to", no_links(code))
    monkeypatch.setattr(shutil, "copy2", fill_the_disk)
    with pytest.raises(OSError, match="No space left"):
        place(source, target)
    assert target.read_text() == "an older model"
    assert list(target.parent.iterdir()) == [target]


def test_missing_files_are_copied_and_others_kept(tmp_path: Path) -> None:
    for name in ("a/config.pbtxt", "a/1/model.py", "a/1/model.onnx", "b/config.pbtxt", "b/1/.gitkeep"):
        path = tmp_path / "from" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("theirs")
    (tmp_path / "to" / "a").mkdir(parents=True)
    (tmp_path / "to" / "a" / "config.pbtxt").write_text("mine")
    copy_missing(tmp_path / "from", tmp_path / "to", except_suffixes=[".onnx"])
    found = {
        str(path.relative_to(tmp_path / "to")): path.read_text()
        for path in (tmp_path / "to").rglob("*")
        if path.is_file()
    }
    assert found == {
        "a/config.pbtxt": "mine",
        "a/1/model.py": "theirs",
        "b/config.pbtxt": "theirs",
        "b/1/.gitkeep": "theirs",
    }
