"""The compose file is valid, and all that it names is there and fits together."""

import ast
import re
import subprocess
import sys

import pytest

from router_backend import liveness
from tests import compose
from tests.documents import CHECKOUT, INSTALL

TRITONS = ("triton", "triton-gpu")
PACKAGE = CHECKOUT / "router_backend"
DISTRIBUTIONS = {"google": "protobuf"}
LOCAL = ("prometheus", "grafana")


def test_the_file_keeps_to_the_schema_of_compose_files() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, compose.COMPOSE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("service", [*TRITONS, *LOCAL])
def test_every_mounted_path_is_in_the_checkout_and_every_volume_is_declared(service: str) -> None:
    volumes = compose.read_yaml(compose.COMPOSE)["volumes"]
    for source in compose.mounts(service).values():
        assert (CHECKOUT / source).is_dir() if source.startswith("./") else source in volumes, source


@pytest.mark.parametrize("service", [*TRITONS, *LOCAL])
def test_every_image_has_a_pinned_tag(service: str) -> None:
    described = compose.services()[service]
    built = described.get("build", {}).get("dockerfile_inline", f"FROM {described['image']}\n")
    assert re.search(r"^FROM \S+:v?\d+\.\d+\S*$", built, re.MULTILINE)


def imported() -> set[str]:
    """Return the packages that a router in Triton imports, without its variants and the library's metrics."""
    sources = [path for path in PACKAGE.rglob("*.py") if path.parent.name != "executors"]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sources]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    found = {DISTRIBUTIONS.get(name.partition(".")[0], name.partition(".")[0]) for name in names}
    elsewhere = {PACKAGE.name, "triton_python_backend_utils", "prometheus_client"}
    return found - elsewhere - sys.stdlib_module_names | {"tritonclient"}  # which is imported as text


def test_what_is_said_to_be_installed_is_what_the_router_imports() -> None:
    (said,) = {*re.findall(r"pip install (?:--no-cache-dir )?(\"numpy<2\" [\w ]+)", INSTALL.read_text())}
    assert {re.sub(r"\W.*", "", name.strip('"')) for name in said.split()} == imported()
    sentence = next(line for line in INSTALL.read_text().splitlines() if line.startswith("It needs Python"))
    assert set(re.findall(r"`(\w+)`", sentence)) == imported()


@pytest.mark.parametrize("service", TRITONS)
def test_what_the_image_installs_is_what_the_router_imports_as_the_lock_has_it(service: str) -> None:
    locked = (CHECKOUT / "requirements.lock").read_text()
    built = compose.services()[service]["build"]["dockerfile_inline"]
    for name in imported():
        (version,) = re.findall(rf"^{name}(?:\[.*\])?==(\S+)", locked, re.MULTILINE)
        assert f" {name}=={version} " in built


@pytest.mark.parametrize("service", [*TRITONS, *LOCAL])
def test_every_service_comes_back_and_has_its_health_checked(service: str) -> None:
    described = compose.services()[service]
    assert described["restart"] == "unless-stopped"
    assert described["healthcheck"]["test"][0] == ("CMD-SHELL" if service in TRITONS else "CMD")


def test_the_cpu_is_the_default_and_the_gpu_a_profile() -> None:
    assert "COMPOSE_PROFILES=cpu" in (CHECKOUT / ".env").read_text().splitlines()
    cpu, gpu = (compose.services()[name] for name in TRITONS)
    assert (cpu["profiles"], gpu["profiles"]) == (["cpu"], ["gpu"])
    assert "deploy" not in cpu
    (device,) = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]


def test_both_tritons_have_the_same_command() -> None:
    assert compose.flags("triton") == compose.flags("triton-gpu")


def test_triton_publishes_the_ports_that_it_listens_on() -> None:
    flags = compose.flags("triton")
    assert set(compose.published("triton")) == {
        flags["http-port"],
        flags["grpc-port"],
        flags["metrics-port"],
    }


@pytest.mark.parametrize(("status", "healthy", "ended"), [(0, True, ""), (1, False, ""), (2, False, "1\n")])
def test_the_health_check_ends_a_server_with_a_dead_router_and_no_other(
    status: int, healthy: bool, ended: str
) -> None:
    _, check = compose.services()["triton"]["healthcheck"]["test"]
    command, address, *_ = check.split("python3 -m ")[1].split(" ")
    assert command == liveness.__name__
    assert address.endswith(f":{compose.flags('triton')['http-port']}")
    stand_ins = f"python3() {{ return {status}; }}; kill() {{ echo $1; }}\n"
    done = subprocess.run(
        ["sh", "-c", stand_ins + check.replace("$$", "$")], capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0, done.stdout) == (healthy, ended)


def test_triton_serves_the_repository_that_is_mounted() -> None:
    assert compose.mounts("triton")[compose.flags("triton")["model-repository"]] == "./model_repository"


def test_the_backend_lies_under_the_name_that_the_routers_ask_for_and_can_be_imported() -> None:
    (place,) = (place for place, source in compose.mounts("triton").items() if source == "./router_backend")
    name = place.rpartition("/")[2]
    config = (CHECKOUT / "model_repository" / "resnet50" / "config.pbtxt").read_text()
    assert f'backend: "{name}"' in config
    assert compose.services()["triton"]["environment"]["PYTHONPATH"] == place.removesuffix(f"/{name}")


def test_prometheus_reads_its_mounted_config_and_scrapes_both_tritons() -> None:
    place, _, file = compose.flags("prometheus")["config.file"].rpartition("/")
    config = compose.read_yaml(CHECKOUT / compose.mounts("prometheus")[place] / file)
    assert all((compose.PROMETHEUS / rules).is_file() for rules in config["rule_files"])
    ((target,),) = (static["targets"] for job in config["scrape_configs"] for static in job["static_configs"])
    host, port = target.split(":")
    for service in TRITONS:
        assert compose.services()[service]["networks"]["default"]["aliases"] == [host]
        assert compose.flags(service)["metrics-port"] == port


@pytest.mark.parametrize("service", LOCAL)
def test_what_has_no_password_listens_on_this_machine_only(service: str) -> None:
    assert all(place.startswith("127.0.0.1:") for place in compose.published(service).values())


def test_grafana_finds_prometheus_and_the_dashboard() -> None:
    folder = compose.MONITORING / "grafana" / "provisioning"
    (source,) = compose.read_yaml(folder / "datasources" / "prometheus.yml")["datasources"]
    (port,) = compose.published("prometheus")
    assert source["url"] == f"http://prometheus:{port}"
    (provider,) = compose.read_yaml(folder / "dashboards" / "dashboards.yml")["providers"]
    mounted = CHECKOUT / compose.mounts("grafana")[provider["options"]["path"]]
    assert mounted == compose.DASHBOARD.parent
    uids = {
        target["datasource"]["uid"] for panel in compose.dashboard()["panels"] for target in panel["targets"]
    }
    assert uids == {source["uid"]}
