from dataclasses import replace

import pytest

from router_tools.simulator.exact_profile import exact_laws
from router_tools.simulator.service_law import TableServiceLaw
from router_tools.simulator.world import World
from tests.unit.router_tools.simulator.builders import variant, workload

LAW = TableServiceLaw({128: {1: 2.0, 3: 6.0}, 384: {1: 8.0, 3: 20.0}})
WORLD = World("w", "", (replace(variant("gpu"), law=LAW),))


def test_sizes_with_equal_elements_are_averaged_by_frequency() -> None:
    requested = workload(sizes={(1, 128): 0.5, (3, 128): 0.4, (1, 384): 0.1})
    law = exact_laws(WORLD, requested, 128)["gpu"]
    assert law(1.0) == pytest.approx(2.0)
    assert law(3.0) == pytest.approx(0.8 * 6.0 + 0.2 * 8.0)
    assert law(2.0) == 0.0, "it was not profiled"


def test_sizes_are_relative_to_the_first_request() -> None:
    requested = workload(sizes={(1, 384): 1.0})
    assert exact_laws(WORLD, requested, 384)["gpu"](1.0) == pytest.approx(8.0)
