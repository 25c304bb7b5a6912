from pathlib import Path

import pytest

from router_tools.demo.cache import obtain


class InterruptedRunError(Exception):
    pass


class Writer:
    """Writes its content, and counts how often."""

    def __init__(self, content: str) -> None:
        self.content = content
        self.calls = 0

    def __call__(self, path: Path) -> None:
        self.calls += 1
        path.write_text(self.content)


def test_a_file_is_made_once(tmp_path: Path) -> None:
    writer = Writer("one")
    paths = [obtain(tmp_path / "cache", "model", "key", writer) for _ in range(2)]
    assert writer.calls == 1
    assert paths[0] == paths[1]
    assert paths[0].read_text() == "one"


def test_another_key_is_another_file(tmp_path: Path) -> None:
    one = obtain(tmp_path, "model", "key1", Writer("one"))
    two = obtain(tmp_path, "model", "key2", Writer("two"))
    assert (one.read_text(), two.read_text()) == ("one", "two")


def test_force_makes_it_again(tmp_path: Path) -> None:
    obtain(tmp_path, "model", "key", Writer("old"))
    assert obtain(tmp_path, "model", "key", Writer("new"), force=True).read_text() == "new"


@pytest.mark.parametrize("error", [InterruptedRunError, KeyboardInterrupt])
def test_an_interrupted_run_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    def fail_halfway(path: Path) -> None:
        path.write_text("half")
        path.with_suffix(".scratch").write_text("more")
        raise error

    with pytest.raises(error):
        obtain(tmp_path, "model", "key", fail_halfway)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_run_leaves_the_file_of_an_earlier_one(tmp_path: Path) -> None:
    def fail_halfway(path: Path) -> None:
        path.write_text("half")
        raise InterruptedRunError

    old = obtain(tmp_path, "model", "key", Writer("old"))
    with pytest.raises(InterruptedRunError):
        obtain(tmp_path, "model", "key", fail_halfway, force=True)
    assert old.read_text() == "old"
