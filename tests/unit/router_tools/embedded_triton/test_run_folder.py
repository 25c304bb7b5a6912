"""What a killed server left is removed, and nothing that belongs to another one or another user."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from router_tools.embedded_triton import run_folder as module
from router_tools.embedded_triton.run_folder import remove_leftovers, run_folder
from router_tools.embedded_triton.shared_memory import new_prefix
from router_tools.errors import ToolError

ANOTHER_USER = 65534


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def region(prefix: str) -> Iterator[Path]:
    region = Path("/dev/shm") / f"{prefix}region"
    region.touch()
    yield region
    region.unlink(missing_ok=True)


@pytest.fixture
def prefix() -> str:
    return new_prefix()


def test_a_folder_is_there_while_it_is_used(temporary: Path, prefix: str) -> None:
    with run_folder(prefix):
        assert [path.name for path in temporary.iterdir()] == [f"{prefix}run"]
    assert list(temporary.iterdir()) == []


def test_a_folder_that_is_used_stays_with_its_memory(temporary: Path, prefix: str, region: Path) -> None:
    with run_folder(prefix):
        remove_leftovers()
        assert (temporary / f"{prefix}run").exists()
        assert region.exists()


def test_a_folder_stays_while_a_process_has_inherited_its_lock(temporary: Path, prefix: str) -> None:
    with ExitStack() as command:
        inherited = os.dup(command.enter_context(run_folder(prefix)))
        (temporary / f"{prefix}run").rename(temporary / "aside")  # as if the command had been killed
    (temporary / "aside").rename(temporary / f"{prefix}run")
    remove_leftovers()
    assert (temporary / f"{prefix}run").exists()
    os.close(inherited)
    remove_leftovers()
    assert list(temporary.iterdir()) == []


def test_a_folder_that_no_process_uses_is_removed_with_its_memory(
    temporary: Path, prefix: str, region: Path
) -> None:
    (temporary / f"{prefix}run" / "backends").mkdir(parents=True)
    remove_leftovers()
    assert list(temporary.iterdir()) == []
    assert not region.exists()


def test_a_link_and_other_names_are_left_alone(temporary: Path, prefix: str, region: Path) -> None:
    (temporary / "elsewhere").mkdir()
    (temporary / f"{prefix}run").symlink_to(temporary / "elsewhere")
    for name in ("model_router_run", "model_router_1_run", "model_router_*_aaaaaaaa_run"):
        (temporary / name).mkdir()
    remove_leftovers()
    assert len(list(temporary.iterdir())) == 5
    assert region.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_a_folder_of_another_user_with_a_servers_name_does_not_cost_that_server_its_memory(
    temporary: Path, prefix: str, region: Path
) -> None:
    (temporary / f"{prefix}run").mkdir()
    os.chown(temporary / f"{prefix}run", ANOTHER_USER, ANOTHER_USER)
    remove_leftovers()
    assert region.exists()


def test_no_place_for_temporary_files_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(module, "gettempdir", full)
    with pytest.raises(ToolError, match=r"cannot be written to .* make room there"):
        module.run_path("")
