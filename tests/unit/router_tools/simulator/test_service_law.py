import pytest

from router_tools.simulator.service_law import AffineServiceLaw, TableServiceLaw, line

T4 = {1: 3.003, 2: 3.998, 4: 5.747, 8: 8.998, 16: 15.113, 32: 28.353}


@pytest.mark.parametrize(("batch_size", "ms"), T4.items())
def test_a_table_is_exact_at_its_points(batch_size: int, ms: float) -> None:
    assert TableServiceLaw({1: T4}).mean_ms(batch_size, 1) == pytest.approx(ms)


def test_a_table_is_linear_between_its_points_and_beyond_the_last() -> None:
    law = TableServiceLaw({1: T4}, factor=2.0)
    assert law.mean_ms(3, 1) == pytest.approx(3.998 + 5.747)
    assert law.mean_ms(48, 1) == pytest.approx(2.0 * (28.353 + 28.353 - 15.113))


def test_a_table_interpolates_sequence_lengths() -> None:
    law = TableServiceLaw({128: {1: 2.0, 2: 4.0}, 384: {1: 6.0, 2: 12.0}})
    assert law.mean_ms(2, 256) == pytest.approx(8.0)
    assert law.mean_ms(1, 64) == 2.0, "shorter than the shortest: as long as that"


def test_an_affine_law_applies_its_factor_above_the_cliff() -> None:
    law = AffineServiceLaw(6.0, 7.5, cliff_above=16, cliff_factor=1.15)
    assert law.mean_ms(16, 1) == 126.0
    assert law.mean_ms(17, 1) == pytest.approx(1.15 * 133.5)


def test_after_the_last_point_a_line_rises_or_stays() -> None:
    """What a noisy trace was fitted to may fall with the size; no service time may be negative."""
    assert line({1.0: 2.0, 3.0: 4.0}, 5.0) == 6.0
    assert line({1.0: 4.0, 3.0: 2.0}, 2.0) == 3.0
    assert line({1.0: 4.0, 3.0: 2.0}, 100.0) == 2.0
