import subprocess
import sys

import pytest

PAGE_FAULTS = """
import resource, sys
from router_backend.executors.buffers import keep_large_buffers

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        buffers = [bytearray(2_400_000) for _ in range(3)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

if sys.argv[1] == "kept":
    keep_large_buffers()
print([faults() for _ in range(2)][1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="page faults are counted differently elsewhere")
def test_large_buffers_are_reused() -> None:
    returned, kept = faults("returned"), faults("kept")
    assert kept < returned / 10


def faults(mode: str) -> int:
    command = [sys.executable, "-c", PAGE_FAULTS, mode]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
