"""Series of runs against known answers: averages, direction, tides and spectra."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from covis_dask.science.timeseries import (
    CONSTITUENTS,
    alias_period,
    bimodal_direction,
    coherence,
    effective_size,
    harmonic_fit,
    lean_statistics,
    lomb_scargle,
    resample,
    resolved_constituents,
    rotary_fit,
    rotary_spectrum,
)
from tests.unit.science._fields import Real


def Series(values: Any, index: Any = None) -> "pd.Series[float]":  # noqa: N802 (as of pandas)
    return pd.Series(values, index, np.float64)


def _year(seed: int = 5) -> tuple["pd.Series[float]", Real]:
    """Return a year of three-hourly values with M2, K1, noise and gaps, and all times in hours."""
    random = np.random.default_rng(seed)
    times = pd.date_range("2019-01-01", periods=2920, freq="3h", tz="UTC")
    hours: Real = np.asarray(np.arange(2920) * 3.0, np.float64)
    values = (
        3 * np.cos(2 * np.pi * hours / CONSTITUENTS["M2"] - 1)
        + 1.2 * np.cos(2 * np.pi * hours / CONSTITUENTS["K1"] - 0.3)
        + 5 * random.standard_normal(2920)
    )
    kept = random.random(2920) > 0.3
    kept[1000 : 1000 + 29 * 8] = False
    return Series(np.where(kept, values, np.nan), times), hours


def test_tides_of_a_year_with_gaps() -> None:
    """Amplitudes of M2 and K1 within two of their stated errors; no other constituent stands out."""
    series, _ = _year()
    fit = harmonic_fit(series)
    assert fit.amplitude_error["M2"] == pytest.approx(0.16, abs=0.02)
    assert fit.amplitude["M2"] == pytest.approx(3, abs=0.33)
    assert fit.amplitude["K1"] == pytest.approx(1.2, abs=0.33)
    others = fit.drop(["M2", "K1"])
    assert (others.amplitude / others.amplitude_error < 3.5).all()
    assert fit.attrs["notes"] == []


def test_phase_of_a_tide() -> None:
    """The phase is the lag of the maximum behind 2000-01-01."""
    times = pd.date_range("2000-01-01", periods=3000, freq="2h")
    hours = np.arange(3000) * 2.0
    fit = harmonic_fit(Series(np.cos(2 * np.pi * hours / CONSTITUENTS["M2"] - np.radians(70)), times), ["M2"])
    assert fit.phase["M2"] == pytest.approx(70, abs=0.01)
    assert fit.attrs["explained"] == pytest.approx(1, abs=1e-6)


def test_spectrum_of_a_year_with_gaps() -> None:
    """The highest peak lies at M2, K1 is above the false-alarm level, and nothing else is."""
    series, _ = _year()
    peaks = lomb_scargle(series, shuffles=50).attrs["peaks"]
    assert peaks.period.iloc[0] == pytest.approx(12.42, abs=0.01)
    assert peaks.period.iloc[1] == pytest.approx(23.93, abs=0.05)
    assert len(peaks) == 2


def test_noise_has_no_peaks() -> None:
    """The false-alarm level holds: of noise alone at most one record in many shows a peak."""
    times = pd.date_range("2019-01-01", periods=700, freq="3h")
    shown = [
        len(lomb_scargle(Series(np.random.default_rng(seed).standard_normal(700), times)).attrs["peaks"])
        for seed in range(12)
    ]
    assert sum(count > 0 for count in shown) <= 1


def test_one_value_a_day_is_aliased() -> None:
    """M2 then appears at 14.77 days, and the series says so."""
    series, _ = _year()
    daily = series[pd.DatetimeIndex(series.index).hour == 0]
    found = lomb_scargle(daily, shuffles=20)
    assert found.period.iloc[int(found.power.argmax())] / 24 == pytest.approx(14.77, abs=0.2)
    assert any(note.startswith("aliased: M2 appears at 14.765 d") for note in found.attrs["notes"])
    assert any(note.startswith("aliased: M2") for note in harmonic_fit(daily).attrs["notes"])


@pytest.mark.parametrize(
    ("name", "days"),
    [("M2", 14.765), ("N2", 9.614), ("K2", 182.6), ("K1", 365.3), ("O1", 14.192), ("Q1", 9.367)],
)
def test_aliases_of_the_tides(name: str, days: float) -> None:
    """Where a constituent appears with one sample a day."""
    assert alias_period(CONSTITUENTS[name], 24.0) / 24 == pytest.approx(days, rel=1e-3)
    assert np.isinf(alias_period(CONSTITUENTS["S2"], 24.0))


def test_a_month_does_not_tell_neighbours_apart() -> None:
    """Of 20 days M2 and S2 are resolved, N2 and K2 are not, and it is said."""
    times = pd.date_range("2019-01-01", periods=160, freq="3h")
    names, notes = resolved_constituents(Series(np.ones(160), times))
    assert {"M2", "S2", "K1", "O1"} <= set(names)
    assert not {"N2", "K2", "P1", "Ssa"} & set(names)
    assert any("not resolved: N2" in note for note in notes)


def test_a_clockwise_circle() -> None:
    """Only clockwise power; ellipse of equal axes, the minor one negative; a line has none."""
    series, hours = _year()
    kept = series.notna()
    turn = 2 * np.pi * hours / CONSTITUENTS["M2"]
    east = Series(0.1 * np.cos(turn), series.index)[kept]
    north = Series(-0.1 * np.sin(turn), series.index)[kept]
    spectrum = rotary_spectrum(east, north)
    top = spectrum.iloc[int(spectrum.clockwise.argmax())]
    assert spectrum.index[int(spectrum.clockwise.argmax())] == pytest.approx(
        24 / CONSTITUENTS["M2"], abs=0.003
    )
    assert top.clockwise > 100 * top.counter_clockwise
    circle = rotary_fit(east, north, ["M2"])["M2"]
    assert (circle.major, circle.minor) == pytest.approx((0.1, -0.1), rel=0.05)
    line = rotary_fit(east, east * np.tan(np.radians(30)), ["M2"])["M2"]
    assert line.minor == pytest.approx(0, abs=1e-9)
    assert line.major == pytest.approx(0.1 / np.cos(np.radians(30)), rel=1e-6)
    assert line.inclination == pytest.approx(30, abs=1e-6)


def test_months_are_calendar_months() -> None:
    """Means over a leap February and its neighbours are those of their own hours; coverage is complete."""
    times = pd.date_range("2020-01-01", "2020-03-31T23:00", freq="h", tz="UTC")
    ramp = Series(np.arange(len(times), dtype=np.float64), times)
    table = resample(ramp, "MS", expected_per_day=24)
    assert list(table.n) == [31 * 24, 29 * 24, 31 * 24]
    assert list(table["mean"]) == [
        (31 * 24 - 1) / 2,
        31 * 24 + (29 * 24 - 1) / 2,
        60 * 24 + (31 * 24 - 1) / 2,
    ]
    assert list(table.coverage) == [1, 1, 1]


def test_gaps_stay_gaps() -> None:
    """A month without runs has no mean, and a window is as long as its stride."""
    times = pd.date_range("2020-01-01", "2020-03-31T21:00", freq="3h")
    values = Series(1.0, times).where(pd.DatetimeIndex(times).month != 2)
    table = resample(values, "MS")
    assert list(table.n) == [248, 0, 248]
    assert np.isnan(table["mean"].iloc[1])
    assert table.coverage.iloc[1] == 0
    assert (resample(values, "30D").index[1] - resample(values, "30D").index[0]).days == 30


def test_correlated_values_count_less() -> None:
    """A red series is worth as many values as its lag-one correlation says; a white one nearly all."""
    random = np.random.default_rng(0)
    noise = random.standard_normal(20_000)
    red = np.empty(20_000)
    red[0] = 0
    for k in range(1, len(red)):
        red[k] = 0.8 * red[k - 1] + noise[k]
    assert effective_size(Series(red)) == pytest.approx(20_000 / 9, rel=0.1)
    assert effective_size(Series(noise)) > 19_000


def test_mean_lean_is_that_of_the_vectors() -> None:
    """Directions that scatter round north do not average to south."""
    angles = np.radians([350.0, 10.0, 355.0, 5.0])
    table = pd.DataFrame({"lean_east": 0.1 * np.sin(angles), "lean_north": 0.1 * np.cos(angles)})
    found = lean_statistics(table)
    assert min(found["azimuth"], 360 - float(found["azimuth"])) == pytest.approx(0, abs=1e-6)
    assert 0.98 < float(found["steadiness"]) < 1
    assert np.sum(found["histogram"]) == 4
    table.iloc[0] = 0.001
    assert np.sum(lean_statistics(table)["histogram"]) == 3


def test_two_directions_are_found_where_there_are_two() -> None:
    """Means, concentrations and weight of a mixture; one direction is not taken for two."""
    random = np.random.default_rng(1)
    both = np.concatenate([random.vonmises(np.radians(-60), 6, 400), random.vonmises(2.0, 3, 200)])
    found = bimodal_direction(np.degrees(both))
    assert found is not None
    assert found.bimodal
    assert found.mean == pytest.approx((300, np.degrees(2.0)), abs=6)
    assert found.weight == pytest.approx(2 / 3, abs=0.06)
    one = bimodal_direction(np.degrees(random.vonmises(1, 2, 400)))
    assert one is not None
    assert not one.bimodal
    assert bimodal_direction(np.array([1.0, 2.0])) is None


def test_coherence_with_another_series() -> None:
    """Two series with a common tide cohere there and nowhere else; the phase is their lag."""
    series, hours = _year()
    random = np.random.default_rng(9)
    other = Series(np.cos(2 * np.pi * hours / CONSTITUENTS["M2"] - 1 - np.radians(40)), series.index)
    other = other + 0.5 * random.standard_normal(len(other))
    found = coherence(series, other, most_apart=3.5)
    near = found[abs(found.index.to_numpy(np.float64) - 24 / CONSTITUENTS["M2"]) < 0.02]
    assert near.coherence.max() > 0.9
    assert near.phase.iloc[int(near.coherence.argmax())] == pytest.approx(40, abs=8)
    away = found[abs(found.index.to_numpy(np.float64) - 24 / CONSTITUENTS["M2"]) > 0.15]
    assert np.mean(away.coherence > found.attrs["significant"]) < 0.12


def test_an_empty_series_has_nothing() -> None:
    """No value: empty tables with a sentence, no exception; no times: an error that says what is needed."""
    empty = Series([], pd.DatetimeIndex([]))
    assert harmonic_fit(empty).empty
    assert "too few" in lomb_scargle(empty).attrs["notes"][0]
    assert resample(empty).empty
    assert rotary_spectrum(empty, empty).empty
    assert coherence(empty, empty).empty
    with pytest.raises(TypeError, match="DatetimeIndex"):
        harmonic_fit(Series([1.0, 2.0]))
