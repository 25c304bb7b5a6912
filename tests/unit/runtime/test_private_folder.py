import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from router_backend.core.records.variant import Device
from router_backend.core.variants.capacity import Taken
from router_backend.errors import ConfigurationError
from router_backend.runtime.private_folder import private_folder
from router_backend.runtime.shared_capacity import SharedCapacity

ANOTHER_USER = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process of another user")


@pytest.fixture
def parent() -> Iterator[Path]:
    """Return a folder where every user may create files, as in /dev/shm."""
    with tempfile.TemporaryDirectory() as name:
        parent = Path(name)
        parent.chmod(0o1777)
        yield parent


def as_another_user(program: str, parent: Path) -> subprocess.CompletedProcess[str]:
    """Run Python statements in a folder as another user, without this project's packages."""
    return subprocess.run(
        ["/usr/bin/env", "python3", "-c", f"import os, fcntl\n{program}"],
        cwd=parent,
        user=ANOTHER_USER,
        group=ANOTHER_USER,
        extra_groups=(),
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def name(number: int) -> str:
    return f"triton-model-router-{os.geteuid()}-{number}"


def test_it_is_closed_to_others_and_found_again(parent: Path) -> None:
    folder = private_folder(parent)
    assert folder == parent / name(0)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert private_folder(parent) == folder


def test_a_folder_of_its_own_is_found_whatever_was_free_since(parent: Path) -> None:
    (parent / name(0)).touch()
    folder = private_folder(parent)
    (parent / name(0)).unlink()
    assert private_folder(parent) == folder == parent / name(1)


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701])
def test_a_folder_that_is_open_to_others_is_not_used(parent: Path, mode: int) -> None:
    private_folder(parent).chmod(mode)
    assert private_folder(parent) == parent / name(1)


def test_a_link_is_not_followed(parent: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (parent / name(0)).symlink_to(tmp_path)
    assert private_folder(parent) == parent / name(1)


def test_a_folder_that_cannot_be_created_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"in {tmp_path}/none, found No such file"):
        private_folder(tmp_path / "none")


@as_root
def test_names_that_another_user_took_are_passed_over(parent: Path) -> None:
    taken = f"os.mkdir('{name(0)}'); os.chmod('{name(0)}', 0o777); open('{name(1)}', 'w').close()"
    assert as_another_user(taken, parent).returncode == 0
    folder = private_folder(parent)
    assert folder == parent / name(2)
    one, two = (SharedCapacity(folder / "counts") for _ in range(2))
    one.publish(Device.GPU, Taken(3))
    assert two.others(Device.GPU) == Taken(3)


@as_root
@pytest.mark.parametrize(
    "attempt",
    [
        "os.open('{file}', os.O_RDWR)",
        "os.truncate('{file}', 0)",
        "os.unlink('{file}')",
        "os.rename('{folder}', 'away')",
        "os.rmdir('{folder}')",
        "os.chmod('{folder}', 0o777)",
    ],
)
def test_another_user_can_neither_open_nor_truncate_nor_remove_the_counts(parent: Path, attempt: str) -> None:
    folder = private_folder(parent)
    shared = SharedCapacity(folder / "counts")
    done = as_another_user(attempt.format(folder=folder, file=folder / "counts"), parent)
    assert "Error: [Errno " in done.stderr, done.stderr
    shared.publish(Device.GPU, Taken(1))
    assert SharedCapacity(folder / "counts").others(Device.GPU) == Taken(1)
