"""A session is ended as a whole, and no other."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from router_tools.embedded_triton.session import end_session, session_members

STUBBORN = """
import os, signal, subprocess, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "600"], preexec_fn=os.setpgrp)
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def stubborn() -> Iterator[subprocess.Popen[bytes]]:
    """A session whose leader ignores SIGTERM and has a child in a process group of its own."""
    with subprocess.Popen(
        [sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout
        process.stdout.readline()
        yield process
        process.kill()


def test_a_session_ends_with_its_children_even_if_it_ignores_sigterm(
    stubborn: subprocess.Popen[bytes],
) -> None:
    assert len(session_members(stubborn.pid)) == 2
    end_session(stubborn.pid)
    assert session_members(stubborn.pid) == []
    assert stubborn.wait() == -9


def test_children_are_ended_after_their_leader_is_gone(stubborn: subprocess.Popen[bytes]) -> None:
    stubborn.kill()
    stubborn.wait()
    assert len(session_members(stubborn.pid)) == 1
    end_session(stubborn.pid)
    assert session_members(stubborn.pid) == []


def test_other_sessions_go_on(stubborn: subprocess.Popen[bytes]) -> None:
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as other:
        end_session(stubborn.pid)
        assert other.poll() is None
        other.kill()
