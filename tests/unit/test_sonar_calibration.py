"""Calibration."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from covis_dask.sonar.calibration import (
    Calibration,
    CalibrationUnavailable,
    Medium,
    SonarSettings,
    _tables,
    _transmit_pattern,
    calibration,
)
from tests.unit._sonar_reference import noise

_ALPHA = {396e3: 84.82824655124602e-3, 200e3: 35.96234099022226e-3}
_ALPHA_2010 = {396e3: 34.6e-3, 200e3: 8.8e-3}


def _calibration(
    mode: str,
    era: str,
    freq: float,
    *,
    power: float = 200,
    gain: float = 30,
    sector: float = 54,
    tau: float = 0.0005,
    ranges: tuple[float, ...] = (20.0,),
) -> Calibration:
    beams = 256 if freq == 396e3 else 128
    return calibration(
        mode,
        era,
        SonarSettings(freq, tau, power, gain),
        Medium(1468, (_ALPHA if era == "ASHES" else _ALPHA_2010)[freq]),
        angles=np.radians(np.linspace(-sector, sector, beams)),
        ranges=np.array(ranges),
    )


def _db(gains: Calibration, beam: int) -> float:
    """Level of what an amplitude of 1 becomes; beams from 1."""
    return float(20 * np.log10(gains.range_gain[0] * gains.beam_gain[beam - 1]))


@pytest.mark.parametrize(
    ("mode", "era", "freq", "sector", "power", "gain", "beam", "db"),
    [
        ("VSS", "ASHES", 396e3, 54, 220, 53, 1, -86.0145804257129),
        ("VSS", "ASHES", 396e3, 54, 220, 53, 128, -97.40251597493554),
        ("VSS", "ASHES", 396e3, 54, 220, 53, 256, -84.86902624217197),
        ("TS-Fan", "ASHES", 396e3, 54, 200, 30, 128, -67.48061904816399),
        ("TS-Wide", "ASHES", 200e3, 64, 200, 53, 64, -99.87903725471054),
        ("VSS", "END", 396e3, 64, 220, 53, 128, -126.1798384831493),
        ("TS", "END", 200e3, 64, 200, 53, 64, -123.02091628520513),
    ],
)
def test_calibration_check_values(
    mode: str, era: str, freq: float, sector: float, power: float, gain: float, beam: int, db: float
) -> None:
    """The check values of docs/method.md#scattering-strength."""
    gains = _calibration(mode, era, freq, sector=sector, power=power, gain=gain)
    assert _db(gains, beam) == pytest.approx(db, abs=1e-11)


def test_calibration_of_a_unit_target() -> None:
    """The amplitude that the sonar equation gives for a target comes back as its strength."""
    ts, r, beam = -13.0, 31.5, 100
    gains = _calibration("TS-Fan", "ASHES", 396e3, ranges=(r,), power=205, gain=41)
    rs, pattern = _sensitivity("fan", 101), _pattern("fan", np.linspace(-54, 54, 256)[beam])
    loss = 40 * np.log10(r) + 2 * _ALPHA[396e3] * r
    amplitude = 10 ** ((ts + 204.96 + pattern + 41 - loss) / 20) * rs
    beams = np.zeros((1, 256), np.complex128)
    beams[0, beam] = amplitude * np.exp(1j)
    assert 20 * np.log10(np.abs(gains.apply(beams)[0, beam])) == pytest.approx(ts, abs=1e-10)


def test_calibration_of_a_unit_volume() -> None:
    """The amplitude that the sonar equation gives for a volume comes back as its scattering strength."""
    vss, r, beam = -50.0, 31.5, 100
    gains = _calibration("VSS", "ASHES", 396e3, ranges=(r,), power=215, gain=41)
    rs, pattern = _sensitivity("fan", 101), _pattern("fan", np.linspace(-54, 54, 256)[beam])
    width = np.polyval([7.8928166e-11, -4.0786056e-08, 6.6017063e-06, -3.4182521e-04, 3.2080518e-02], 101)
    volume = 0.5 * 1468 * 0.0005 * 0.01987894606672293 * width
    loss = 20 * np.log10(r) + 2 * _ALPHA[396e3] * r
    amplitude = 10 ** ((vss + 10 * np.log10(volume) + 214.46 + pattern + 41 - loss) / 20) * rs
    assert 20 * np.log10(amplitude * gains.range_gain[0] * gains.beam_gain[beam]) == pytest.approx(
        vss, abs=1e-9
    )


def _sensitivity(projector: str, number: int) -> float:
    return float(np.polyval(_tables("calibration_2018.json")["receiver_sensitivity"][projector], number))


def _pattern(projector: str, angle: float) -> float:
    return float(
        _transmit_pattern(
            _tables("calibration_2018.json")["transmit_pattern"][projector], np.radians([angle])
        )[0]
    )


def test_calibration_doubled_pulse() -> None:
    """Twice the pulse fills twice the volume: VSS falls by 3.0103 dB, a target's strength stays."""
    for mode, fall in (("VSS", 10 * np.log10(2)), ("TS-Fan", 0)):
        once, twice = (_calibration(mode, "ASHES", 396e3, tau=tau) for tau in (0.0005, 0.001))
        assert _db(once, 50) - _db(twice, 50) == pytest.approx(fall, abs=1e-10)


@pytest.mark.parametrize(
    ("table", "projector", "angle", "level"),
    [
        ("2018", "fan", -54, -0.2270),
        ("2018", "fan", 0, 0.22198),
        ("2018", "fan", 54, 0.7000),
        ("2018", "wide", -64, -0.7958),
        ("2018", "wide", 0, -0.01307),
        ("2018", "wide", 64, 0.9120),
        ("2010", "fan", -64, -2.42010),
        ("2010", "fan", 0, -0.10780),
        ("2010", "fan", 64, -4.54356),
        ("2010", "wide", -64, 0.83087),
        ("2010", "wide", 0, -0.70640),
        ("2010", "wide", 64, -0.80436),
    ],
)
def test_calibration_transmit_pattern(table: str, projector: str, angle: float, level: float) -> None:
    """The spot values of docs/method.md#calibration."""
    pattern = _tables(f"calibration_{table}.json")["transmit_pattern"][projector]
    found = _transmit_pattern(pattern, np.radians([angle]))[0]
    assert found == pytest.approx(level, abs=6e-6 if table == "2010" else 6e-5)


def test_calibration_pattern_sign() -> None:
    """A step between +10 and +20 degrees of the turntable is heard in the beams from -20 to -10."""
    turned = np.arange(-90.0, 91.0)
    table = {"turntable_angle": turned % 360, "level": np.where((turned >= 10) & (turned <= 20), -30.0, 0.0)}
    angles = np.arange(-60.0, 61.0)
    low = angles[_transmit_pattern(table, np.radians(angles)) < -29]
    assert low.min() == pytest.approx(-20)
    assert low.max() == pytest.approx(-10)
    single = {"turntable_angle": [0.0, 350.0, 340.0], "level": [0.0, 1.0, 0.0]}
    assert _transmit_pattern(single, np.radians([10.0]))[0] == pytest.approx(1)


@pytest.mark.parametrize(
    ("table", "quantity", "projector", "values"),
    [
        ("2018", "receiver_sensitivity", "fan", {1: 1.2229154e-6, 128: 4.3021392e-6, 256: 9.6037290e-7}),
        ("2018", "receiver_sensitivity", "wide", {1: 4.0201801e-6, 64: 6.8693927e-6, 128: 4.0430485e-6}),
        ("2010", "receiver_sensitivity", "fan", {1: 7.3153897e-5, 128: 1.0059857e-4, 256: 6.3220285e-5}),
        ("2010", "receiver_sensitivity", "wide", {1: 9.4037461e-5, 64: 1.5770908e-4, 128: 9.6979901e-5}),
        ("2018", "horizontal_beam_width", "fan", {1: 0.03174525, 128: 0.03214181, 256: 0.03194011}),
        ("2010", "horizontal_beam_width", "fan", {1: 0.04259932, 128: 0.03196179, 256: 0.04237677}),
    ],
)
def test_calibration_polynomials(table: str, quantity: str, projector: str, values: dict[int, float]) -> None:
    """The spot values of docs/method.md#calibration."""
    polynomial = _tables(f"calibration_{table}.json")[quantity][projector]
    for number, value in values.items():
        assert np.polyval(polynomial, number) == pytest.approx(value, rel=5e-7)


def test_calibration_applies_to_real_and_complex() -> None:
    """Complex beams keep their phase, real ones stay real, and the input stays as it was."""
    gains = _calibration("TS-Fan", "ASHES", 396e3, ranges=(5.0, 20.0, 60.0))
    beams = noise(1, 3, 256)
    before = beams.copy()
    scaled = gains.apply(beams)
    want = gains.range_gain[:, None] * gains.beam_gain * beams
    np.testing.assert_allclose(scaled, want, rtol=1e-14)
    assert np.array_equal(beams, before)
    real = gains.apply(np.abs(beams))
    assert real.dtype == np.float64
    np.testing.assert_allclose(real, np.abs(scaled), rtol=1e-13)


def test_calibration_at_range_zero() -> None:
    """The corrected range axis starts at 0: the transmission itself has no strength, and no warning."""
    gains = _calibration("VSS", "ASHES", 396e3, ranges=(0.0, 1.0))
    assert gains.valid
    assert not gains.apply(np.ones((2, 256)))[0].any()


@pytest.mark.parametrize(
    ("mode", "era", "freq"),
    [
        ("TS-Wide", "ASHES", 396e3),
        ("VSS", "ASHES", 200e3),
        ("TS-Fan", "ASHES", 200e3),
        ("VSS", "END", 200e3),
        ("TS-Fan", "END", 396e3),
        ("TS", "ASHES", 396e3),
    ],
)
def test_calibration_q12_not_available(mode: str, era: str, freq: float) -> None:
    """Q12: what has no tables, such as TS-Wide at 396 kHz, is said to be not available."""
    with pytest.raises(CalibrationUnavailable, match="not available"):
        calibration(
            mode,
            era,
            SonarSettings(freq, 0.0005, 200, 30),
            Medium(1468, 0.08),
            angles=np.zeros(4),
            ranges=np.ones(3),
        )


@pytest.mark.parametrize("power", [199.0, 221.0])
def test_calibration_q44_setting_outside_the_table(power: float) -> None:
    """Q44: a power setting outside the table gives NaN as in the original, and the calibration says so."""
    gains = _calibration("VSS", "ASHES", 396e3, power=power)
    assert np.isnan(gains.range_gain).all()
    assert not gains.valid
    assert gains.fault is not None
    assert f"{power:g}" in gains.fault


def test_calibration_q44_setting_inside_the_table() -> None:
    """Q44: the ends of the table are valid, and between settings the level is interpolated."""
    low, middle, high = (_calibration("TS-Fan", "ASHES", 396e3, power=power) for power in (200, 202.5, 205))
    assert low.valid
    assert high.valid
    assert _db(low, 1) - _db(middle, 1) == pytest.approx(2.45, abs=1e-10)
    assert _db(low, 1) - _db(high, 1) == pytest.approx(4.9, abs=1e-10)


def test_calibration_outside_the_pattern() -> None:
    """Beams beyond the measured pattern are NaN, and the calibration says so."""
    gains = _calibration("TS", "END", 200e3, sector=100)
    assert np.isnan(gains.beam_gain[[0, -1]]).all()
    assert np.isfinite(gains.beam_gain[64])
    assert not gains.valid


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128, np.float64])
def test_calibration_of_some_rows_and_beams(dtype: type) -> None:
    """A few rows of some beams, in either precision, are scaled by range gain times beam gain in float64."""
    gains = Calibration(np.linspace(1, 3, 9), np.linspace(0.5, 2, 6))
    beams: NDArray[Any] = np.random.default_rng(1).normal(size=(3, 4)).astype(dtype)
    out = np.empty(beams.shape, np.complex128 if np.iscomplexobj(beams) else np.float64)
    gains.of_beams(slice(1, 5)).apply_to(beams, slice(4, 7), out)
    np.testing.assert_allclose(out, beams.astype(out.dtype) * gains.gain[4:7, 1:5], rtol=1e-14)
