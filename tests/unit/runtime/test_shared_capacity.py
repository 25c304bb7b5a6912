import signal
import subprocess
import sys
from pathlib import Path

import pytest

from router_backend import DeviceLimits
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.settings import ModelSettings
from router_backend.core.variants.capacity import Capacity, Taken
from router_backend.errors import ConfigurationError, NoVariantError
from router_backend.runtime import shared_capacity
from router_backend.runtime.shared_capacity import SIZE, SharedCapacity, remove_unused, shared_file

KILL_AT_RANDOM = """
import os, random, signal, sys, time
from pathlib import Path
from router_backend.core.records.variant import Device
from router_backend.core.variants.capacity import Taken
from router_backend.runtime.shared_capacity import SharedCapacity

def come_and_go():
    while True:
        shared = SharedCapacity(path)
        for requests in (1, 2, 1, 0, 1):
            shared.publish(Device.GPU, Taken(requests, requests * 10.0))
            shared.others(Device.GPU)
        shared.forget_dead()
        shared.close()

def start():
    process = os.fork()
    if not process:
        come_and_go()
    return process

def is_as_it_should_be(shared):
    shared._next_look_s = 0.0
    shared.forget_dead()
    return shared.others(Device.GPU) == Taken(5, 50.0)

path, times, rng = Path(sys.argv[1]), int(sys.argv[2]), random.Random(1)
witnesses = [SharedCapacity(path) for _ in range(2)]
witnesses[0].publish(Device.GPU, Taken(5, 50.0))
for _ in range(times):
    processes = [start() for _ in range(2)]
    time.sleep(rng.uniform(0.0, 0.01))
    for process in processes:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    assert is_as_it_should_be(witnesses[1]), witnesses[1].others(Device.GPU)
    newcomer = SharedCapacity(path)
    assert newcomer._slot == 2 and is_as_it_should_be(newcomer)
    newcomer.close()
for witness in witnesses:
    witness.close()
assert not path.exists()
"""

COME_AND_GO = """
import os, sys
from pathlib import Path
from router_backend.runtime.shared_capacity import SharedCapacity

def come_and_go():
    for _ in range(400):
        shared = SharedCapacity(path)
        assert os.path.samestat(os.fstat(shared._file), path.stat())
        shared.close()

def start():
    process = os.fork()
    if not process:
        come_and_go()
        os._exit(0)
    return process

path = Path(sys.argv[1])
assert all(os.waitpid(process, 0)[1] == 0 for process in [start() for _ in range(3)])
assert not path.exists()
"""

HOLD_THREE = """
import sys
from pathlib import Path
from router_backend.core.variants.capacity import Taken
from router_backend.core.records.variant import Device
from router_backend.runtime.shared_capacity import SharedCapacity

shared = SharedCapacity(Path(sys.argv[1]))
shared.publish(Device.GPU, Taken(3, 1.5))
print("published", flush=True)
sys.stdin.read()
shared.close()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "counts"


@pytest.fixture
def holder(path: Path):
    """Start a process that has three requests in flight on the GPU, until its input ends."""
    command = [sys.executable, "-c", HOLD_THREE, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "published\n"
        yield process
        process.kill()


def test_each_process_sees_the_requests_of_the_others_and_not_its_own(path: Path):
    one, two, three = (SharedCapacity(path) for _ in range(3))
    one.publish(Device.GPU, Taken(2, 100.0))
    two.publish(Device.GPU, Taken(1, 50.5))
    two.publish(Device.CPU, Taken(7))
    assert one.others(Device.GPU) == Taken(1, 50.5)
    assert two.others(Device.GPU) == Taken(2, 100.0)
    assert three.others(Device.GPU) == Taken(3, 150.5)
    assert three.others(Device.CPU) == Taken(7)
    assert three.others(Device.MPS) == Taken()


def test_another_process_is_seen(path: Path, holder: subprocess.Popen[str]):
    assert SharedCapacity(path).others(Device.GPU) == Taken(3, 1.5)


def test_a_process_that_leaves_removes_its_counts(path: Path, holder: subprocess.Popen[str]):
    shared = SharedCapacity(path)
    holder.communicate()
    assert shared.others(Device.GPU) == Taken()


def test_the_counts_of_a_killed_process_are_ignored(path: Path, holder: subprocess.Popen[str]):
    shared = SharedCapacity(path)
    assert not shared.forget_dead()
    shared.LOOK_FOR_DEAD_EVERY_S = 0.0
    shared._next_look_s = 0.0
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert shared.others(Device.GPU) == Taken(3, 1.5)
    assert shared.forget_dead()
    assert shared.others(Device.GPU) == Taken()
    assert not shared.forget_dead()


def test_the_capacity_of_a_killed_router_is_free_again(path: Path, holder: subprocess.Popen[str]):
    shared = SharedCapacity(path)
    shared.LOOK_FOR_DEAD_EVERY_S = 0.0
    limits = {Device.GPU: DeviceLimits(max_in_flight=3)}
    router = ModelRouter(ModelSettings(device_limits=limits), capacity=Capacity(shared))
    router.register_model("m", variants=[Variant("m_gpu", Device.GPU)])
    with pytest.raises(NoVariantError, match="gpu: 3 of 3 places are taken"):
        router.route_request("m", RoutingContext())
    holder.kill()
    holder.wait()
    shared._next_look_s = 0.0
    assert router.route_request("m", RoutingContext()).variant == "m_gpu"


def test_the_slot_of_a_killed_process_is_reused(path: Path, holder: subprocess.Popen[str]):
    holder.kill()
    holder.wait()
    first, second = SharedCapacity(path), SharedCapacity(path)
    assert second.others(Device.GPU) == Taken()
    assert (first._slot, second._slot) == (0, 1)


def test_ended_processes_are_only_detected_at_an_interval(
    path: Path, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
):
    now_s = 100.0
    monkeypatch.setattr(shared_capacity.time, "monotonic", lambda: now_s)
    shared = SharedCapacity(path)
    assert not shared.forget_dead()
    holder.kill()
    holder.wait()
    now_s += 0.9 * SharedCapacity.LOOK_FOR_DEAD_EVERY_S
    assert not shared.forget_dead()
    now_s += 0.2 * SharedCapacity.LOOK_FOR_DEAD_EVERY_S
    assert shared.forget_dead()


def test_the_last_one_to_leave_removes_the_file(path: Path):
    one, two = SharedCapacity(path), SharedCapacity(path)
    one.close()
    assert path.exists()
    two.close()
    assert not path.exists()


@pytest.mark.parametrize("content", [b"?", b"\0" * SIZE, b"X" * (SIZE + 1), b"\1" * SIZE])
def test_counts_that_no_process_owns_are_void_whatever_the_file_holds(path: Path, content: bytes):
    path.write_bytes(content)
    one, two = SharedCapacity(path), SharedCapacity(path)
    one.publish(Device.GPU, Taken(1))
    two.forget_dead()
    assert two.others(Device.GPU) == Taken(1)


def test_a_process_with_the_old_file_does_not_remove_the_new_one(path: Path):
    old = SharedCapacity(path)
    path.unlink()
    new = SharedCapacity(path)
    old.close()
    assert path.exists()
    new.close()


def test_processes_that_are_killed_at_random_instants_leave_a_consistent_file(path: Path):
    command = [sys.executable, "-c", KILL_AT_RANDOM, str(path), "200"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_processes_that_come_while_the_last_one_leaves_share_one_file(path: Path):
    command = [sys.executable, "-c", COME_AND_GO, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_process_that_is_stopped_while_it_removes_the_file_blocks_no_other(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(SharedCapacity, "CLAIM_WITHIN_S", 0.0)
    stopped = SharedCapacity(path)
    assert shared_capacity._try_lock(stopped._file, 0, shared_capacity.TO_THE_END)
    with pytest.raises(ConfigurationError, match="expected at most 256 routers"):
        SharedCapacity(path)


def test_only_the_user_may_read_the_file(path: Path):
    SharedCapacity(path)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_path_that_is_not_a_file_is_refused(path: Path):
    path.mkdir()
    with pytest.raises(ConfigurationError, match=f"share at {path}, found Is a directory"):
        SharedCapacity(path)


def test_a_link_is_not_followed(path: Path, tmp_path: Path):
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match="Too many levels of symbolic links"):
        SharedCapacity(path)
    assert not (tmp_path / "elsewhere").exists()


def test_more_processes_than_there_are_slots_are_refused(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shared_capacity, "SLOTS", 2)
    monkeypatch.setattr(SharedCapacity, "CLAIM_WITHIN_S", 0.0)
    held = [SharedCapacity(path) for _ in range(2)]
    with pytest.raises(ConfigurationError, match="expected at most 2 routers"):
        SharedCapacity(path)
    held.pop().close()
    SharedCapacity(path)


def test_routers_of_one_repository_share_a_file_and_others_do_not(tmp_path: Path):
    (tmp_path / "link").symlink_to(tmp_path)
    assert shared_file(tmp_path / "link") == shared_file(tmp_path)
    assert shared_file(tmp_path / "other") != shared_file(tmp_path)


class TestRemoveUnused:
    def test_takes_the_file_that_killed_processes_left(self, path: Path, holder: subprocess.Popen[str]):
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert path.exists()
        remove_unused(path)
        assert not path.exists()

    def test_leaves_the_file_that_a_process_has(self, path: Path, holder: subprocess.Popen[str]):
        remove_unused(path)
        assert SharedCapacity(path).others(Device.GPU) == Taken(3, 1.5)

    def test_does_nothing_where_there_is_no_such_file_or_a_link(self, path: Path, tmp_path: Path):
        remove_unused(path)
        (tmp_path / "elsewhere").touch()
        path.symlink_to(tmp_path / "elsewhere")
        remove_unused(path)
        assert path.is_symlink()
        assert (tmp_path / "elsewhere").exists()
