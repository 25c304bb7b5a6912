"""Download of Prometheus, and the errors if it is not available."""

import os
from pathlib import Path

import pytest

from router_tools.errors import ToolError
from router_tools.prometheus.package import obtain_prometheus


def program(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder whose programs take precedence on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def test_a_machine_without_apt_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="expected the program apt-get, found none: run this on Debian"):
        obtain_prometheus(tmp_path / "cache")


def test_an_error_of_apt_is_reported_and_nothing_is_left_behind(tmp_path: Path, programs: Path) -> None:
    program(programs, "apt-get", "echo 'E: no such host'; exit 100")
    program(programs, "dpkg-deb", "exit 1")
    with pytest.raises(ToolError, match=r"apt-get failed with exit status 100 \(E: no such host\): check"):
        obtain_prometheus(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_package_is_downloaded_once(tmp_path: Path, programs: Path) -> None:
    program(programs, "apt-get", 'case "$*" in *download*) touch prometheus_1_amd64.deb;; esac')
    program(programs, "dpkg-deb", 'mkdir -p "$3/usr/bin"; touch "$3/usr/bin/prometheus"')
    first = obtain_prometheus(tmp_path / "cache")
    assert first.server.is_file()
    program(programs, "apt-get", "exit 100")
    assert obtain_prometheus(tmp_path / "cache") == first
