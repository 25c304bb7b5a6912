"""Prometheus and promtool out of Debian's package, unpacked into a cache: nothing is installed."""

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
    """The checker of configurations, rules and scraped metrics."""


def obtain_prometheus(cache: Path | None = None) -> PrometheusPrograms:
    """Fetch and unpack Prometheus, unless an earlier call has.

    Needs no root: apt keeps its lists and its package in folders of this call. The machine's own sources say
    where from, and its own keys what is genuine.

    Args:
        cache: folder to unpack into; None for the user's cache folder.

    Raises:
        ToolError: this machine has no apt, or the package cannot be fetched or unpacked; says why.
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
                f"Prometheus is fetched from Debian's packages, but this machine has no {program}: "
                "run this on Debian or Ubuntu"
            )


def _unpack(scratch: Path, target: Path) -> None:
    """Fetch the package within `scratch`; what comes out is moved to `target` when it is whole."""
    (scratch / "lists" / "partial").mkdir(parents=True)
    (scratch / "archives" / "partial").mkdir(parents=True)
    apt = [
        "apt-get",
        "--quiet",
        f"--option=Dir::State::Lists={scratch / 'lists'}",
        f"--option=Dir::Cache={scratch}",
        "--option=APT::Sandbox::User=root",  # the user of apt's own may not write into the cache
    ]
    _run([*apt, "update"], scratch)
    _run([*apt, "download", _PACKAGE], scratch)
    (package,) = scratch.glob(f"{_PACKAGE}_*.deb")
    _run(["dpkg-deb", "--extract", str(package), str(scratch / "root")], scratch)
    try:
        (scratch / "root").rename(target)
    except OSError:
        if not target.exists():  # else another process was faster
            raise


def _run(command: Sequence[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        said = " ".join(done.stdout.splitlines()[-3:])
        raise ToolError(
            f"package '{_PACKAGE}' cannot be had: {command[0]} ended with status {done.returncode} ({said}): "
            "check that this machine reaches the sources that apt is set up with"
        )
