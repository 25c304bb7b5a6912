import subprocess
import sys

from scipy.stats import chi2, chi2_contingency

from router_backend.core.experiments.assignment import UnitHash

UNITS = [f"user-{number}" for number in range(20_000)]
CODE = "from router_backend.core.experiments.assignment import UnitHash; print(UnitHash('a').point('user-1'))"


def test_a_unit_has_the_same_point_in_every_process():
    done = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True)
    assert float(done.stdout) == UnitHash("a").point("user-1") == 0.024703817122219807


def test_points_are_spread_evenly():
    counts = [0] * 50
    for unit in UNITS:
        counts[int(UnitHash("a").point(unit) * 50)] += 1
    expected = len(UNITS) / 50
    statistic = sum((count - expected) ** 2 / expected for count in counts)
    assert chi2.sf(statistic, 49) > 0.01


def test_the_points_of_two_salts_are_independent():
    counts = [[0] * 10 for _ in range(10)]
    for unit in UNITS:
        counts[int(UnitHash("a").point(unit) * 10)][int(UnitHash("b").point(unit) * 10)] += 1
    assert chi2_contingency(counts).pvalue > 0.01


def test_the_end_of_the_salt_is_part_of_the_hash():
    assert UnitHash("a").point("bc") != UnitHash("ab").point("c")
