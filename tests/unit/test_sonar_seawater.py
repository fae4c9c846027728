"""Sound speed and absorption."""

import gsw
import pytest

from covis_dask.sonar.seawater import ASHES, ENDEAVOUR, Water, absorption, absorption_2010, sound_speed
from tests.unit._sonar_reference import SOUND_SPEED


def _absorption(freq: float, c: float, water: Water, zero_celsius: float = 273.0) -> float:
    return absorption(freq, c, water, zero_celsius=zero_celsius)


def _sound_speed(water: Water, *, absolute_salinity: bool = False) -> float:
    return sound_speed(
        water.temperature,
        water.salinity,
        water.depth,
        water.latitude,
        absolute_salinity=absolute_salinity,
    )


def test_sound_speed_of_ashes() -> None:
    """The sound speed of all 2018+ products, to the last bit."""
    assert _sound_speed(ASHES) == SOUND_SPEED


def test_sound_speed_q14_absolute_salinity() -> None:
    """Q14: mended, the practical salinity is converted first, which adds about 0.2 m/s."""
    mended = _sound_speed(ASHES, absolute_salinity=True)
    pressure = gsw.p_from_z(-1544, 46)
    absolute = gsw.SA_from_SP(34.53, pressure, ASHES.longitude, 46)
    assert mended == gsw.sound_speed_t_exact(absolute, 2.41, pressure)
    assert 0.1 < mended - SOUND_SPEED < 0.4


@pytest.mark.parametrize(("freq", "db_per_km"), [(396e3, 84.82824655124602), (200e3, 35.96234099022226)])
def test_absorption_of_ashes(freq: float, db_per_km: float) -> None:
    """The values of docs/method.md#absorption."""
    assert 1000 * _absorption(freq, SOUND_SPEED, ASHES) == pytest.approx(db_per_km, rel=1e-13)


def test_absorption_of_warm_water() -> None:
    """The two polynomials of pure water meet at 20 degrees to a few per cent."""
    cold, warm = (_absorption(396e3, 1500, Water(t, 35, 8, 0, 46, -130), 273.15) for t in (19.999999, 20.0))
    assert warm == pytest.approx(cold, rel=0.05)
    assert warm != cold


def test_absorption_q14_kelvin() -> None:
    """Q14: mended, 0 degrees C is 273.15 K, which changes the absorption by less than 1 %."""
    plain, mended = (_absorption(396e3, SOUND_SPEED, ASHES, zero) for zero in (273.0, 273.15))
    assert mended != plain
    assert mended == pytest.approx(plain, rel=0.01)


@pytest.mark.parametrize(("freq", "constant", "formula"), [(200e3, 8.8, 32.6), (396e3, 34.6, 80.5)])
def test_absorption_q13_endeavour(freq: float, constant: float, formula: float) -> None:
    """Q13: the constants of 2010-15, and what the formula gives for the conditions they were meant for."""
    assert 1000 * absorption_2010(freq) == pytest.approx(constant, rel=1e-14)
    c = _sound_speed(ENDEAVOUR)
    assert 1000 * _absorption(freq, c, ENDEAVOUR) == pytest.approx(formula, abs=0.15)


def test_absorption_2010_of_another_frequency() -> None:
    """At any other frequency the original takes no absorption at all."""
    assert absorption_2010(300e3) == 0
