"""The `parameters` of a remote variant's config.pbtxt."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from router_backend.config.schema import Text
from router_backend.core.records.variant import Device
from router_backend.errors import ConfigurationError
from router_backend.executors.parameters import Parameters
from router_backend.path_kind import path_kind
from router_backend.typed_load import Section, load_texts

HEADER_PREFIX = "header."
WHERE = "config.pbtxt"
TLS_FILES = ("tls_ca_file", "tls_certificate_file", "tls_key_file")

DurationMs = Annotated[float, Meta(gt=0, le=86_400_000, extra={"unit": "ms"})]
HEADER = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
"""The name of a header, RFC 9110, section 5.1."""
HIGHEST_PORT = 65535


class RemoteParameters(Section, frozen=True, kw_only=True):
    """What a remote variant's config.pbtxt says in its `parameters`, beside the headers.

    Args:
        url: host and port of the other server, or a gRPC target such as `dns:///pool.local:8001`.
        device: what the model runs on there, for the router; without it the instance group says so.
        model: its name there; without it as here.
        model_version: its version there; without it that server chooses.
        protocol: how the other server is called: KServe's protocol by gRPC, or by HTTP.
        answer_within_ms: how long a call may take.
        health_interval_ms: how often a server that is away is asked whether it is back.
        tls: the connection is encrypted.
        tls_ca_file: certificates by which the server's is checked; without it those of the system.
        tls_certificate_file: the certificate that this client shows.
        tls_key_file: the key of this certificate.

    Raises:
        ConfigurationError: files without `tls`, a certificate without its key, or one that is not there.
    """

    url: Text
    device: Device | UnsetType = UNSET
    model: Text | UnsetType = UNSET
    model_version: str = ""
    protocol: Literal["grpc", "http"] = "grpc"
    answer_within_ms: DurationMs = 10_000.0
    health_interval_ms: DurationMs = 500.0
    tls: bool = False
    tls_ca_file: Text | UnsetType = UNSET
    tls_certificate_file: Text | UnsetType = UNSET
    tls_key_file: Text | UnsetType = UNSET

    TOGETHER = frozenset({"url", "tls", *TLS_FILES})

    def __post_init__(self) -> None:
        """Reject what does not go together, an address that is none, and files that are not there."""
        if isinstance(self.url, str):
            _check_url(self.url)
        given = {name: path for name in TLS_FILES if isinstance(path := getattr(self, name), str)}
        for name, path in given.items():
            if not self.tls:
                raise ConfigurationError(
                    path=name, expected="the parameter 'tls' to be 'true'", found="a connection without it"
                )
            if not Path(path).is_file():
                found = f"{path_kind(Path(path))} at '{path}'"
                raise ConfigurationError(path=name, expected="the path of a file", found=found)
        if (self.tls_certificate_file is UNSET) != (self.tls_key_file is UNSET):
            expected = "tls_certificate_file and tls_key_file, or none of them"
            raise ConfigurationError(expected=expected, found=", ".join(given))


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """How to call one model of another server: its `RemoteParameters`, its name, and headers of calls."""

    parameters: RemoteParameters
    model: str
    headers: Mapping[str, str]


def parse_settings(parameters: Mapping[str, str], variant: str) -> RemoteSettings:
    """Read a model's parameters, e.g. `{"device": "mps", "url": "mac:8081", "header.authorization": "…"}`.

    Args:
        parameters: the texts by name.
        variant: the name of the model here.

    Raises:
        ConfigurationError: everything that is wrong with them.
    """
    own, prefixed = Parameters.split(parameters, HEADER_PREFIX)
    headers = {_header(name): value for name, value in prefixed.items()}
    said = load_texts(RemoteParameters, own, WHERE)
    return RemoteSettings(said, variant if said.model is UNSET else said.model, headers)


def _header(name: str) -> str:
    if not HEADER.fullmatch(name.lower()):
        expected = "the name of a header, of letters, digits and hyphens"
        raise ConfigurationError(
            where=WHERE, path=f"{HEADER_PREFIX}{name}", expected=expected, found=f"'{name}'"
        )
    return name.lower()


def _check_url(url: str) -> None:
    port = url.rpartition(":")[2]
    is_web = url.lower().startswith(("http:", "https:"))
    if is_web or not port.isdecimal() or not 0 < int(port) <= HIGHEST_PORT:
        expected = "host and port, such as 'mac.local:8001'"
        raise ConfigurationError(path="url", expected=expected, found=f"'{url}'")
