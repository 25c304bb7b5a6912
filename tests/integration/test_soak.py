"""A short version of `make soak`: a server under load does not grow while faults happen."""

import pytest

from router_tools.embedded_triton import RouterHost
from tests.soak import soak

pytestmark = pytest.mark.integration

SECONDS = 60.0
FILLING = 8
"""Threads that may be added in the first minute: pools make theirs when they need them."""


def test_a_server_does_not_grow_while_variants_and_routers_come_and_go(router_host: RouterHost) -> None:
    found = soak(router_host, SECONDS)
    assert found.requests > 1000
    assert (found.errors, found.growth(spare=FILLING)) == ([], [])
