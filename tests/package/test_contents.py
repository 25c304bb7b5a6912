"""What the wheel has in it, and what it says about itself."""

import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import router_backend
import router_tools
from tests.documents import CHECKOUT
from tests.package.distribution import LIBRARY, NAME, installed_files, required

pytestmark = pytest.mark.usefixtures("installed_wheel")

PLACES = {
    "router_backend": "router_backend",
    "tools/router_tools": "router_tools",
    "model_repository": "router_tools/demo/model_repository",
}
"""By folder of the checkout, where its files are in site-packages."""
COMPILED = (".onnx", ".so")


def files_of_the_checkout() -> dict[str, Path]:
    return {
        f"{place}/{file.relative_to(CHECKOUT / folder)}": file
        for folder, place in PLACES.items()
        for file in (CHECKOUT / folder).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and file.suffix not in COMPILED
    }


@pytest.mark.parametrize("package", [router_backend, router_tools])
def test_the_tests_import_the_installed_package(package: object) -> None:
    installed = {file.resolve() for file in installed_files().values()}
    assert Path(str(package.__file__)).resolve() in installed  # type: ignore[attr-defined]


def test_the_wheel_has_every_file_of_its_packages_as_it_is_in_the_checkout() -> None:
    installed = {
        name: file for name, file in installed_files().items() if name.partition("/")[0] in PLACES.values()
    }
    assert f"router_backend/{LIBRARY}" in installed
    del installed[f"router_backend/{LIBRARY}"]
    expected = files_of_the_checkout()
    assert installed.keys() == expected.keys()
    assert [name for name in expected if installed[name].read_bytes() != expected[name].read_bytes()] == []


def test_nothing_but_the_two_packages_can_be_imported() -> None:
    inside = {name.partition("/")[0] for name in installed_files() if not name.startswith("..")}
    assert {name for name in inside if not name.endswith(".dist-info")} == {"router_backend", "router_tools"}


def test_the_license_comes_along() -> None:
    assert metadata.metadata(NAME)["License-Expression"] == "Apache-2.0"
    (license_file,) = (file for name, file in installed_files().items() if name.endswith("/LICENSE"))
    assert license_file.read_bytes() == (CHECKOUT / "LICENSE").read_bytes()


def test_the_running_python_is_one_that_the_wheel_is_declared_for() -> None:
    running = f"Programming Language :: Python :: {sys.version_info.major}.{sys.version_info.minor}"
    assert running in metadata.metadata(NAME).get_all("Classifier", [])


@pytest.mark.parametrize(("python", "capped"), [("3.10", True), ("3.12", True), ("3.13", False)])
def test_the_server_and_its_numpy_are_for_pythons_that_have_them(python: str, *, capped: bool) -> None:
    environment = {
        "extra": "serve",
        "python_version": python,
        "sys_platform": "linux",
        "platform_machine": "x86_64",
    }
    requirements = map(Requirement, metadata.requires(NAME) or [])
    wanted = [each for each in requirements if each.marker and each.marker.evaluate(environment)]
    assert ("nvidia-pytriton" in {each.name for each in wanted}) is capped
    assert any(each.name == "numpy" and "2.0" not in each.specifier for each in wanted) is capped


def test_the_base_installation_is_small() -> None:
    assert required().isdisjoint({"grpcio", "nvidia-pytriton", "onnx", "onnxruntime", "plotly", "scipy"})
    assert required("serve") >= {"nvidia-pytriton", "onnx", "onnxruntime", "plotly", "scipy"}
