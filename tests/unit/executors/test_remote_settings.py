from pathlib import Path

import pytest
from msgspec import UNSET

from router_backend.core.records.variant import Device
from router_backend.errors import ConfigurationError
from router_backend.executors.remote_settings import RemoteParameters, parse_settings

URL = {"url": "mac:8081"}


def refusal(parameters: dict[str, str]) -> str:
    with pytest.raises(ConfigurationError) as refused:
        parse_settings(parameters, "resnet50_mac")
    return str(refused.value)


def test_a_url_is_enough() -> None:
    settings = parse_settings(URL, "resnet50_mac")
    assert settings.parameters == RemoteParameters(url="mac:8081")
    assert (settings.model, settings.headers, settings.parameters.device) == ("resnet50_mac", {}, UNSET)


def test_every_parameter_is_read(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("ca", "certificate", "key")}
    for path in files.values():
        path.touch()
    settings = parse_settings(
        {
            **URL,
            "device": "mps",
            "model": "resnet50",
            "model_version": "3",
            "protocol": "http",
            "answer_within_ms": "250.5",
            "health_interval_ms": "100",
            "tls": "true",
            "tls_ca_file": str(files["ca"]),
            "tls_certificate_file": str(files["certificate"]),
            "tls_key_file": str(files["key"]),
            "header.Authorization": "Bearer x",
            "parameter_count": "7",
        },
        "resnet50_mac",
    )
    said = settings.parameters
    assert (said.device, said.model_version, said.protocol) == (Device.MPS, "3", "http")
    assert (said.answer_within_ms, said.health_interval_ms, said.tls) == (250.5, 100.0, True)
    assert (said.tls_ca_file, said.tls_key_file) == (str(files["ca"]), str(files["key"]))
    assert (settings.model, settings.headers) == ("resnet50", {"authorization": "Bearer x"})


@pytest.mark.parametrize(
    "url", ["mac.local:8001", "[::1]:8001", "dns:///pool.local:8001", "ipv4:10.0.0.1:8001,10.0.0.2:8001"]
)
def test_an_address_has_a_port_and_may_be_a_target_of_grpc(url: str) -> None:
    assert parse_settings({"url": url}, "m").parameters.url == url


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({}, "expected the key 'url' (text), found no keys; add it"),
        ({"url": ""}, "url: expected"),
        ({**URL, "protocol": "https"}, "protocol: expected one of grpc, http, found 'https'"),
        ({**URL, "answer_within_ms": "0"}, "expected a number of ms above 0 and up to 86400000, found 0.0"),
        ({**URL, "answer_within_ms": "1e15"}, "answer_within_ms: expected a number of ms above 0 and up to"),
        ({"url": "http://mac:8000"}, "url: expected host and port, such as 'mac.local:8001', found 'http:"),
        ({"url": "mac"}, "url: expected host and port"),
        ({"url": "mac:99999"}, "url: expected host and port"),
        ({**URL, "header.my key": "x"}, "header.my key: expected the name of a header, of letters, digits"),
        ({**URL, "health_interval_ms": "nan"}, "health_interval_ms: expected a number of ms above 0"),
        ({**URL, "modle": "x"}, "expected a known key, found 'modle' (did you mean 'model'?)"),
        ({**URL, "tls": "yes"}, "tls: expected true or false, found 'yes'"),
        ({**URL, "tls_ca_file": "/x"}, "tls_ca_file: expected the parameter 'tls' to be 'true'"),
        ({**URL, "tls": "true", "tls_ca_file": "/"}, "expected the path of a file, found a folder at '/'"),
        (
            {**URL, "tls": "true", "tls_key_file": __file__},
            "expected tls_certificate_file and tls_key_file, or none of them, found tls_key_file",
        ),
    ],
)
def test_what_is_wrong_is_refused(parameters: dict[str, str], problem: str) -> None:
    assert problem in refusal(parameters)
