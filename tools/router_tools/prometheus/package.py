"""Prometheus and promtool from Debian's package, unpacked into a cache folder without installing it."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from router_tools.errors import ToolError
from router_tools.user_cache import user_cache

_PACKAGE = "prometheus"


@dataclass(frozen=True, slots=True)
class PrometheusPrograms:
    """The unpacked programs."""

    server: Path
    """`prometheus`."""
    promtool: Path
    """`promtool`, which checks configurations, rules and metrics."""


def obtain_prometheus(cache: Path | None = None) -> PrometheusPrograms:
    """Download and unpack Prometheus if the cache does not have it.

    Does not need root: apt uses a temporary folder for its lists and archives, and the package sources and
    keys of the machine.

    Args:
        cache: folder to unpack into; None for the user's cache folder.

    Raises:
        ToolError: apt is missing, or the package cannot be downloaded or unpacked.
    """
    cache = cache or user_cache(_PACKAGE)
    unpacked = cache / "root"
    if not unpacked.exists():
        _check_apt()
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".fetch-", dir=cache) as scratch:
            _unpack(Path(scratch), unpacked)
    programs = unpacked / "usr" / "bin"
    return PrometheusPrograms(programs / "prometheus", programs / "promtool")


def _check_apt() -> None:
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            raise ToolError(
                f"cannot download Prometheus: expected the program {program}, found none: "
                "run this on Debian or Ubuntu"
            )


def _unpack(scratch: Path, target: Path) -> None:
    """Download and unpack the package in `scratch`, then move it to `target`."""
    (scratch / "lists" / "partial").mkdir(parents=True)
    (scratch / "archives" / "partial").mkdir(parents=True)
    apt = [
        "apt-get",
        "--quiet",
        f"--option=Dir::State::Lists={scratch / 'lists'}",
        f"--option=Dir::Cache={scratch}",
        "--option=APT::Sandbox::User=root",  # the user _apt may not write into the cache
    ]
    _run([*apt, "update"], scratch)
    _run([*apt, "download", _PACKAGE], scratch)
    (package,) = scratch.glob(f"{_PACKAGE}_*.deb")
    _run(["dpkg-deb", "--extract", str(package), str(scratch / "root")], scratch)
    try:
        (scratch / "root").rename(target)
    except OSError:
        if not target.exists():  # otherwise, another process was faster
            raise


def _run(command: Sequence[str], folder: Path) -> None:
    result = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if result.returncode:
        output = " ".join(result.stdout.splitlines()[-3:])
        raise ToolError(
            f"cannot download package '{_PACKAGE}': {command[0]} failed with exit status {result.returncode} "
            f"({output}): check that the package sources of apt are reachable"
        )
