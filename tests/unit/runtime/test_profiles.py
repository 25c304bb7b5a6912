"""What a router has learned is kept, and what is not that is set aside."""

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from router_backend.core.records.request import RoutingContext
from router_backend.runtime import profile_file
from router_backend.runtime.hardware import describe_hardware
from router_backend.runtime.model_files import fingerprint
from router_backend.runtime.profile_file import read_profiles
from router_backend.runtime.profile_keeper import DAY_S, ProfileKeeper
from tests.unit.runtime.routers import router_of

ANOTHER_USER = 65534
KILLS = 200

KILL_AT_RANDOM = """
import os, random, signal, sys, time
from pathlib import Path
import msgspec
from router_backend.runtime.profile_file import read_profiles, write_profiles

def keep_writing(saved):
    while True:
        saved = msgspec.structs.replace(saved, saved_s=saved.saved_s + 1.0)
        write_profiles(path, saved)

path, times, rng = Path(sys.argv[1]), int(sys.argv[2]), random.Random(1)
saved = first = read_profiles(path)
for _ in range(times):
    process = os.fork()
    if not process:
        keep_writing(saved)
    time.sleep(rng.uniform(0.0, 0.02))
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    before_s, saved = saved.saved_s, read_profiles(path)
    assert saved.saved_s >= before_s and saved.variants == first.variants
print(int(saved.saved_s - first.saved_s))
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of another user")


class Run:
    """A router `m` of the variants `a` and `b`, as one instance of it runs, from the start."""

    def __init__(self, repository: Path, folder: Path, instance: str = "m_0") -> None:
        self.repository = repository
        self.informed: list[str] = []
        self.warned: list[str] = []
        setup, self.router = router_of(repository)
        self.model = self.router.model("m")
        inform, warn = self.informed.append, self.warned.append
        self.keeper = ProfileKeeper(folder, setup, self.model, instance, inform, warn)
        self.keeper.restore()

    def learn(self, a_ms: float = 3.0, b_ms: float = 40.0) -> "Run":
        for name, latency_ms in (("a", a_ms), ("b", b_ms)):
            for _ in range(20):
                decision = self.router.route_request("m", RoutingContext(allowed_variants=frozenset(name)))
                time.sleep(0.0001)
                self.router.record_execution(decision, latency_ms=latency_ms)
        return self

    def end(self) -> None:
        self.keeper.start()
        self.keeper.close()

    def predicted(self) -> dict[str, float]:
        """Return the predicted service times of the variants that are known."""
        states = self.model.states.items()
        return {
            name: round(state.profile.latency.predict(1.0, self.model.now_s()), 1)
            for name, state in states
            if state.profile.latency.known
        }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "profiles"
    folder.mkdir()
    return folder


@pytest.fixture
def start(tmp_path: Path, folder: Path) -> Callable[..., Run]:
    def start(instance: str = "m_0") -> Run:
        return Run(tmp_path / "repository", folder, instance)

    return start


def saved_file(folder: Path) -> Path:
    (path,) = folder.glob("*.profiles")
    return path


@pytest.fixture
def saved(start: Callable[..., Run], folder: Path) -> Path:
    """The file of a router that has ended."""
    start().learn().end()
    return saved_file(folder)


def test_a_router_starts_with_what_it_had_learned(start: Callable[..., Run], saved: Path) -> None:
    run = start()
    assert run.predicted() == {"a": 3.0, "b": 40.0}
    assert run.warned == []
    assert run.informed == ["router 'm' starts with the profiles of a, b, saved 0 s ago"]
    decision = run.router.route_request("m", RoutingContext())
    assert (decision.variant, decision.basis.value) == ("a", "measured")


def test_the_first_time_there_is_nothing_and_no_word_about_it(start: Callable[..., Run]) -> None:
    run = start()
    assert (run.predicted(), run.informed, run.warned) == ({}, [], [])


def test_restarts_without_requests_keep_the_file_and_the_time_of_the_last_answer(
    start: Callable[..., Run], saved: Path
) -> None:
    before = read_profiles(saved)
    for _ in range(3):
        start().end()
    assert read_profiles(saved) == before


def test_a_variant_without_requests_since_a_restart_loses_no_weight_by_a_further_one(
    start: Callable[..., Run], saved: Path
) -> None:
    before = read_profiles(saved).variants["b"].learned
    run = start()
    decision = run.router.route_request("m", RoutingContext(allowed_variants=frozenset("a")))
    run.router.record_execution(decision, latency_ms=3.0)
    run.end()
    after = read_profiles(saved).variants
    assert after["b"].learned.law == before.law
    assert after["b"].learned.age_s >= before.age_s
    assert after["a"].learned.law.n > before.law.n


def test_the_file_is_closed_to_others_and_nothing_else_is_left(saved: Path) -> None:
    assert saved.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]
    assert saved.name.startswith("m.m_0.")


def test_each_instance_has_a_file_and_a_new_one_starts_with_the_newest(
    start: Callable[..., Run], folder: Path
) -> None:
    start("m_0").learn(a_ms=3.0).end()
    start("m_1").learn(a_ms=1.0).end()
    first, second = sorted(folder.glob("*.profiles"))
    os.utime(first, (1e9, 1e9))
    assert start("m_2").predicted()["a"] < 1.5
    os.utime(second, (0, 0))
    assert start("m_2").predicted()["a"] == 3.0


def test_a_variant_whose_files_have_changed_is_learned_again(start: Callable[..., Run], saved: Path) -> None:
    run = start()
    (run.repository / "a" / "1" / "model.onnx").write_bytes(b"weights")
    run = start()
    assert run.predicted() == {"b": 40.0}
    (line,) = run.informed
    assert line.endswith("profiles of b, saved 0 s ago; not with those of a, whose files have changed")


def rewritten(path: Path, **changes: Any) -> None:
    found = read_profiles(path)
    fields = {name: getattr(found, name) for name in found.__struct_fields__}
    profile_file.write_profiles(path, type(found)(**fields | changes))


def fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def link(path: Path) -> None:
    twin = path.with_name("elsewhere")
    path.rename(twin)
    path.symlink_to(twin)


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


def huge(path: Path) -> None:
    os.truncate(path, profile_file.MOST_BYTES + 1)


def negative(path: Path) -> None:
    version, _, body = path.read_bytes().partition(b"\n")
    body = body.replace(b'"noise":', b'"noise":-')
    checksum = profile_file._checksum(body)
    path.write_bytes(version.rpartition(b" ")[0] + b" " + checksum + b"\n" + body)


UNUSABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "no file that begins with 'model-router profiles 1'"),
    "another version": (
        lambda path: path.write_bytes(path.read_bytes().replace(b"profiles 1", b"profiles 2")),
        "no file that begins with",
    ),
    "cut": (lambda path: os.truncate(path, path.stat().st_size - 1), "a file whose checksum is wrong"),
    "a negative number": (negative, "a file with an error: "),
    "a pipe": (fifo, "no regular file"),
    "a link": (link, "a link"),
    "a folder": (folder_instead, "no regular file"),
    "huge": (huge, "a file of 4000001 bytes"),
    "of another machine": (lambda path: rewritten(path, hardware="abacus"), "another machine, abacus"),
    "of another router": (lambda path: rewritten(path, router="n"), "those of router 'n'"),
    "too old": (lambda path: rewritten(path, saved_s=time.time() - 31 * DAY_S), "some that are 31 days old"),
    "of the future": (lambda path: rewritten(path, saved_s=time.time() + 2 * DAY_S), "-2 days old"),
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_what_is_not_usable_is_set_aside_with_one_line(
    start: Callable[..., Run], saved: Path, what: str
) -> None:
    spoil, said = UNUSABLE[what]
    spoil(saved)
    run = start()
    assert run.predicted() == {}
    (line,) = run.warned
    assert f"{saved}: expected profiles that it has saved, found " in line
    assert said in line
    assert line.endswith(f"; it learns again, and the file is now {saved.name}.unusable")
    assert os.path.lexists(f"{saved}.unusable")
    run.learn().end()
    assert start().predicted() == {"a": 3.0, "b": 40.0}


def test_what_cannot_be_set_aside_is_not_said_to_be(
    start: Callable[..., Run], saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    saved.write_bytes(b"")
    monkeypatch.setattr(Path, "rename", refuse)
    (line,) = start().warned
    assert line.endswith("; it learns again")
    assert saved.exists()


@as_root
def test_a_file_of_another_user_is_not_read(start: Callable[..., Run], saved: Path) -> None:
    os.chown(saved, ANOTHER_USER, ANOTHER_USER)
    run = start()
    assert run.predicted() == {}
    assert "found a file of another user; " in run.warned[0]


def test_a_folder_that_does_not_exist_is_reported_once_and_costs_nothing(
    start: Callable[..., Run], folder: Path
) -> None:
    folder.rmdir()
    run = start().learn()
    for _ in range(3):
        run.keeper._save()
    (line,) = run.warned
    assert line.startswith("router 'm': parameter 'profile_folder': expected a folder, found no such ")
    assert line.endswith("create it: until then, it keeps nothing")
    folder.mkdir()
    run.end()
    assert start().predicted() == {"a": 3.0, "b": 40.0}


@as_root
def test_a_folder_that_cannot_be_written_is_reported(start: Callable[..., Run], folder: Path) -> None:
    run = start().learn()
    folder.chmod(0o555)
    os.seteuid(ANOTHER_USER)
    try:
        run.end()
    finally:
        os.seteuid(0)
    assert "found Permission denied" in run.warned[0]


def test_a_full_disk_leaves_the_file_from_before(
    start: Callable[..., Run], saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = saved.read_bytes()
    run = start().learn()

    def is_full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr(os, "fsync", is_full)
        run.end()
    assert "found No space left on device" in run.warned[0]
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_writers_that_are_killed_at_random_instants_leave_a_whole_file(
    start: Callable[..., Run], saved: Path
) -> None:
    command = [sys.executable, "-c", KILL_AT_RANDOM, str(saved), str(KILLS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > KILLS, "most of them were killed before they wrote"
    run = start()
    assert (run.warned, run.predicted()) == ([], {"a": 3.0, "b": 40.0})


READ_AT_ONCE = """
import sys, threading
from pathlib import Path
from router_backend.runtime.profile_file import read_profiles

def read():
    together.wait()
    read_profiles(Path(sys.argv[1]))

sys.setswitchinterval(1e-6)
together = threading.Barrier(8)
threads = [threading.Thread(target=read) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_several_routers_of_one_process_may_read_at_once(saved: Path) -> None:
    for _ in range(5):  # each ended two processes of three before
        subprocess.run([sys.executable, "-c", READ_AT_ONCE, str(saved)], check=True)


def test_a_write_that_was_killed_is_no_obstacle(start: Callable[..., Run], saved: Path) -> None:
    saved.with_name(f".{saved.name}.unfinished").write_bytes(b"half")
    start().learn().end()
    assert list(saved.parent.iterdir()) == [saved]


class TestFingerprint:
    def test_it_changes_with_names_sizes_beginnings_and_ends(self, tmp_path: Path) -> None:
        found = [fingerprint(tmp_path)]
        for name, content in (("a", b"x"), ("b", b"x"), ("b", b"xy"), ("b", b"yx")):
            (tmp_path / name).write_bytes(content)
            found.append(fingerprint(tmp_path))
        (tmp_path / "a").rename(tmp_path / "c")
        found.append(fingerprint(tmp_path))
        assert len(set(found)) == len(found)
        assert fingerprint(tmp_path) == found[-1]

    def test_it_does_not_change_with_what_python_writes(self, tmp_path: Path) -> None:
        (tmp_path / "model.py").write_text("pass")
        before = fingerprint(tmp_path)
        (tmp_path / "__pycache__").mkdir()
        (tmp_path / "__pycache__" / "model.pyc").write_bytes(b"code")
        assert fingerprint(tmp_path) == before

    def test_a_large_file_is_read_at_both_ends(self, tmp_path: Path) -> None:
        weights = tmp_path / "weights"
        content = bytearray(500_000)
        weights.write_bytes(content)
        found = {fingerprint(tmp_path)}
        for position in (0, 499_999):
            content[position] = 1
            weights.write_bytes(content)
            found.add(fingerprint(tmp_path))
        assert len(found) == 3

    def test_pipes_and_circles_and_missing_files_are_no_obstacle(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        (tmp_path / "circle").symlink_to(tmp_path)
        (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
        assert fingerprint(tmp_path) == fingerprint(tmp_path)


def test_the_hardware_is_described_the_same_each_time() -> None:
    described = describe_hardware()
    assert described == describe_hardware()
    machine = subprocess.run(["uname", "-m"], capture_output=True, text=True, check=True).stdout.strip()
    assert described.startswith(machine)
    assert "\n" not in described
