"""The tests of the built wheel, which `make test` installs into an environment of its own."""

import json
from importlib import metadata

import pytest

from tests.package.distribution import NAME


@pytest.fixture(scope="session")
def installed_wheel() -> None:
    direct_url = json.loads(metadata.distribution(NAME).read_text("direct_url.json") or "{}")
    if "dir_info" in direct_url:
        pytest.skip("the project is installed in editable mode; `make test` installs its wheel")
