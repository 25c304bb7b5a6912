"""The commands in an environment that has the wheel without extras."""

import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

import pytest

from tests.package.distribution import required

pytestmark = pytest.mark.usefixtures("installed_wheel")


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with links to what is required, and to nothing else."""
    folder = tmp_path_factory.mktemp("base") / "venv"
    venv.create(folder, symlinks=True)
    site = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    for name in required():
        _link(metadata.distribution(name), site)
    return folder / "bin" / "python"


def _link(distribution: metadata.Distribution, site: Path) -> None:
    for file in distribution.files or []:
        if ".." not in file.parts and file.suffix != ".pyc":
            (site / file).parent.mkdir(parents=True, exist_ok=True)
            (site / file).symlink_to(str(file.locate()))


def run(python: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [python, "-I", "-m", "router_tools", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_configuration_can_be_checked(python: Path, tmp_path: Path) -> None:
    (tmp_path / "routing.json").write_text('{"default_policy": {"name": "latency"}}')
    done = run(python, "check-config", str(tmp_path / "routing.json"))
    assert (done.returncode, done.stderr) == (0, "")
    assert "valid" in done.stdout


@pytest.mark.parametrize("command", ["analyze", "demo", "demo-repository", "emulate", "serve", "simulate"])
def test_every_other_command_says_what_to_install(python: Path, command: str) -> None:
    done = run(python, command)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: `model-router {command}` needs packages that are not installed (")
    assert done.stderr.endswith('): pip install "triton-model-router[serve]"\n')
    assert done.stderr.count("\n") == 1


def test_the_library_routes(python: Path) -> None:
    script = (
        "from router_backend import Device, ModelRouter, RoutingContext, Variant; router = ModelRouter();"
        "router.register_model('m', variants=[Variant('m_cpu', Device.CPU)]);"
        "print(router.route_request('m', RoutingContext()).variant);"
        "print('m_cpu' in router.export_prometheus_metrics())"
    )
    done = subprocess.run([python, "-I", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["m_cpu", "True"]
