"""The core needs only the standard library."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import router_backend

REPOSITORY = Path(router_backend.__file__).parents[1]
NEEDS_PROMETHEUS_CLIENT = "router_backend.core.telemetry.exposition"
"""Imported only by a call of `ModelRouter.export_prometheus_metrics`."""

IMPORT_ALL = """
import importlib, json, pkgutil, sys
sys.path.insert(0, {repository!r})
import router_backend.core as core
found = [module.name for module in pkgutil.walk_packages(core.__path__, core.__name__ + ".")]
names = [name for name in found if name != {left_out!r}]
for name in names:
    importlib.import_module(name)
print(json.dumps({{"core": names, "loaded": sorted(sys.modules)}}))
"""


@pytest.fixture(scope="module")
def imported() -> dict[str, list[str]]:
    """Return what the modules of the core import, in an interpreter without packages."""
    script = IMPORT_ALL.format(repository=str(REPOSITORY), left_out=NEEDS_PROMETHEUS_CLIENT)
    command = [sys.executable, "-I", "-S", "-c", script]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def test_every_module_of_the_core_is_imported(imported):
    sources = sorted((REPOSITORY / "router_backend" / "core").rglob("*.py"))
    assert len(imported["core"]) == len(sources) - 2  # without the package itself and the module left out
    assert "router_backend.core.learning.latency_model" in imported["core"]


@pytest.mark.parametrize(
    "package", ["numpy", "tritonclient", "google.protobuf", "triton_python_backend_utils"]
)
def test_the_core_needs_no(package, imported):
    assert package not in imported["loaded"]


def test_every_public_name_exists():
    assert [name for name in router_backend.__all__ if not hasattr(router_backend, name)] == []
    assert not hasattr(router_backend, "ModelRuoter")


def test_the_core_imports_only_the_standard_library_and_the_errors(imported):
    own = {name for name in imported["loaded"] if name.partition(".")[0] == "router_backend"}
    others = {name.partition(".")[0] for name in imported["loaded"]} - {"router_backend", "__main__"}
    assert others <= sys.stdlib_module_names
    baselines = {name for name in own if name.startswith("router_backend.baselines")}
    outside = own - set(imported["core"]) - baselines
    assert outside == {"router_backend", "router_backend.core", "router_backend.errors"}
