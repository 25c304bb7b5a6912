"""Policies from another installed package: the documented example, and invalid ones."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from router_backend.core.policies.plugins import GROUP, find_plugins
from router_backend.core.policies.registry import POLICIES, create_policy
from router_backend.core.records.request import RoutingContext
from router_backend.core.records.variant import Device, Variant
from router_backend.core.router import ModelRouter
from router_backend.core.settings import ModelSettings
from router_backend.errors import ConfigurationError
from tests.documents import examples
from tests.installed_package import install

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for the installed packages of this test."""
    monkeypatch.syspath_prepend(tmp_path)
    find_plugins.cache_clear()
    yield tmp_path
    find_plugins.cache_clear()
    for name in [path.stem for path in tmp_path.glob("*.py")]:
        sys.modules.pop(name, None)


def refusal(name: str) -> str:
    with pytest.raises(ConfigurationError) as error:
        create_policy(name)
    return str(error.value)


def test_the_documented_policy_is_found_by_its_entry_point_and_chooses(site: Path) -> None:
    (project,) = (tomllib.loads(example.text)["project"] for example in examples("toml plugin"))
    (module,) = examples("python plugin")
    install(site, project["name"], project["entry-points"][GROUP], cpu_first=module.text)
    router = ModelRouter(ModelSettings(policy="cpu_first"))
    router.register_model("m", variants=[Variant("m_gpu", Device.GPU), Variant("m_cpu", Device.CPU)])
    decision = router.route_request("m", RoutingContext())
    assert (decision.variant, decision.policy) == ("m_cpu", "cpu_first")


def test_an_unknown_policy_is_refused_with_those_of_other_packages_among_the_known(site: Path) -> None:
    install(site, "mine", {"frugal": "frugal:Frugal"})
    message = refusal("frugl")
    assert message == (
        f"expected one of the policies {', '.join(POLICIES)}, frugal, found 'frugl' (did you mean 'frugal'?)"
    )


@pytest.mark.parametrize(
    ("value", "found"),
    [("nowhere:Frugal", "No module named 'nowhere'"), ("frugal:Missing", "has no attribute 'Missing'")],
)
def test_a_policy_that_cannot_be_imported_is_refused_with_the_reason(
    site: Path, value: str, found: str
) -> None:
    install(site, "mine", {"frugal": value}, frugal="")
    message = refusal("frugal")
    assert message.startswith(f"policy 'frugal': expected to import it from '{value}', found ")
    assert found in message
    assert message.endswith("; fix the package that provides it, or uninstall it")


@pytest.mark.parametrize(
    "text",
    [
        "Frugal = 3",
        "class Frugal: name = 'frugal'",
        "from router_backend.core.policies.latency import LatencyOptimizedPolicy as Frugal",
        "from router_backend.core.policies.base import Policy\nclass Frugal(Policy): pass",
        "from router_backend.core.policies.base import Policy\nclass Frugal(Policy): name = 'frugal'",
        "from router_backend.core.policies.latency import LatencyOptimizedPolicy\n"
        "class Frugal(LatencyOptimizedPolicy): name = 'thrifty'",
        "from router_backend.core.policies.base import Policy\n"
        "class Frugal(Policy):\n    def score(self, candidates, request): pass",
    ],
)
def test_an_object_that_is_not_a_policy_of_that_name_is_refused(site: Path, text: str) -> None:
    install(site, "mine", {"frugal": "frugal:Frugal"}, frugal=text)
    message = refusal("frugal")
    expected = "policy 'frugal': expected a Policy subclass of that name at 'frugal:Frugal', found "
    assert message.startswith(expected)
    assert message.endswith("; fix the package that provides it")
    found = message.removeprefix(expected).partition(";")[0]
    assert found == "3" or found.startswith("<class '")


def test_two_packages_with_the_same_name_are_refused(site: Path) -> None:
    install(site, "mine", {"frugal": "mine:Frugal"})
    install(site, "yours", {"frugal": "yours:Frugal"})
    message = refusal("frugal")
    found = ("'mine:Frugal' and 'yours:Frugal'", "'yours:Frugal' and 'mine:Frugal'")
    assert message in [
        f"policy 'frugal': expected one package that provides it, found {each}; uninstall one of them"
        for each in found
    ]


@pytest.mark.parametrize("text", ["class Frugal(:", "Frugal = Thrifty"])
def test_a_broken_module_is_refused_with_the_reason(site: Path, text: str) -> None:
    install(site, "mine", {"frugal": "frugal:Frugal"}, frugal=text)
    assert refusal("frugal").startswith("policy 'frugal': expected to import it from 'frugal:Frugal', found ")


def test_a_policy_of_the_registry_cannot_be_replaced(site: Path) -> None:
    install(site, "mine", {"latency": "nowhere:Latency"})
    assert create_policy("latency").name == "latency"
