import subprocess
import sys

import pytest

PAGE_FAULTS = """
import resource
from router_backend.executors.buffers import keep_large_buffers

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        buffers = [bytearray(2_400_000) for _ in range(3)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
before = faults()
keep_large_buffers()
faults()
print(before, faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="page faults are counted differently elsewhere")
def test_large_buffers_are_reused() -> None:
    done = subprocess.run([sys.executable, "-c", PAGE_FAULTS], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert after < before / 10
