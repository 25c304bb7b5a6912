"""Only a server's own shared memory is found and removed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from router_tools.embedded_triton.shared_memory import find_regions, new_prefix, remove_regions


@pytest.fixture
def regions() -> Iterator[list[Path]]:
    """The region of one server and, next to it, one of another."""
    files = [Path("/dev/shm") / f"{new_prefix()}region" for _ in range(2)]
    for file in files:
        file.touch()
    yield files
    for file in files:
        file.unlink(missing_ok=True)


def test_a_servers_regions_are_found_by_its_prefix_alone(regions: list[Path]) -> None:
    own, _ = regions
    assert find_regions(own.name.removesuffix("region")) == [own]


def test_removing_leaves_the_regions_of_other_servers(regions: list[Path]) -> None:
    own, other = regions
    remove_regions(own.name.removesuffix("region"))
    assert not own.exists()
    assert other.exists()
