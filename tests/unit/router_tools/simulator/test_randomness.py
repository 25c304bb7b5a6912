import numpy as np

from router_tools.simulator.randomness import router_rng, stream


def test_a_stream_depends_only_on_the_seed_and_its_names() -> None:
    first = stream(1, "noise", "gpu").random(5)
    np.testing.assert_array_equal(first, stream(1, "noise", "gpu").random(5))
    for other in (stream(2, "noise", "gpu"), stream(1, "noise", "cpu"), stream(1, "sizes", "gpu")):
        assert not np.array_equal(first, other.random(5))


def test_the_routers_random_generator_depends_on_the_seed() -> None:
    assert router_rng(1).random() == router_rng(1).random() != router_rng(2).random()
