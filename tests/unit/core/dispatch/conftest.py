import pytest

from tests.unit.core.dispatch.host import Host


@pytest.fixture
def host() -> Host:
    return Host()
