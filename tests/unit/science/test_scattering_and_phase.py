"""Temperature from backscatter and from phase against known answers."""

from dataclasses import replace

import numpy as np
import pytest

from covis_dask.science.constants import ASHES
from covis_dask.science.phase import (
    coherence_time,
    path_length,
    phase_per_kelvin,
    phase_variance,
    structure_function,
    unbiased_correlation,
)
from covis_dask.science.scattering import Turbulence, backscatter_of, temperature_std

_WATER = replace(ASHES, expansion=0.0, sound_expansion=2.811e-3)
_K = 1676.106


@pytest.mark.parametrize(
    ("scale", "kolmogorov", "batchelor"),
    [
        (0.5, -48.76, (-44.89, -43.07, -43.54)),
        (1.0, -50.76, (-46.62, -44.88, -45.41)),
        (2.0, -52.77, (-48.45, -46.76, -47.33)),
    ],
)
def test_backscatter_of_one_kelvin(scale: float, kolmogorov: float, batchelor: tuple[float, ...]) -> None:
    """Volume scattering strength of 1 K with either spectrum, and 1 K back."""
    one = Turbulence(scale)
    found = backscatter_of(1.0, one, _K, _WATER)
    assert 10 * np.log10(found) == pytest.approx(kolmogorov, abs=0.01)
    assert float(temperature_std(found, one, _K, _WATER)) == pytest.approx(1.0, abs=1e-9)
    for rate, strength in zip((5e-5, 5e-4, 5e-3), batchelor, strict=True):
        turbulence = Turbulence(scale, "batchelor", rate)
        found = backscatter_of(1.0, turbulence, _K, _WATER)
        assert 10 * np.log10(found) == pytest.approx(strength, abs=0.1)
        assert float(temperature_std(found, turbulence, _K, _WATER)) == pytest.approx(1.0, abs=1e-9)


def test_what_does_not_scatter_has_no_temperature() -> None:
    """A negative or missing backscatter gives NaN."""
    assert np.isnan(temperature_std(np.array([-1e-6, np.nan]), Turbulence(1.0), _K, _WATER)).all()


@pytest.mark.parametrize("pings", [5, 8, 20])
@pytest.mark.parametrize("variance", [0.04, 0.25, 1.0])
def test_phase_variance_of_few_pings(pings: int, variance: float) -> None:
    """The variance from the pooled coherence of Gaussian phases is right to 3 %; -ln J is not (Q65)."""
    phases = np.sqrt(variance) * np.random.default_rng(pings).standard_normal((20_000, pings))
    coherence = float(np.mean(abs(np.exp(1j * phases).mean(axis=1)) ** 2))
    assert float(phase_variance(coherence, pings)) == pytest.approx(variance, rel=0.03)
    assert -np.log(coherence) < variance * 0.99


def test_structure_function_of_a_correlation() -> None:
    """Cor = exp(-s^2/2) gives D = s^2; no correlation gives none."""
    s = np.array([0.0, 0.1, 0.5, 1.5])
    np.testing.assert_allclose(structure_function(np.exp(-(s**2) / 2)), s**2, atol=1e-12)
    assert np.isnan(structure_function(np.array([0.0, -0.1, np.nan]))).all()
    assert float(structure_function(0.99, 0.95)) == 0.0


def test_coherence_time_of_a_decay() -> None:
    """It is found where the phase remembers over the lag, and NaN where it does not."""
    structure = 2 * 0.3 * (1 - np.exp(-2.0 / 3.0))
    assert float(coherence_time(structure, 0.3, 2.0)) == pytest.approx(3.0, rel=1e-12)
    assert np.isnan(coherence_time(0.7, 0.3, 2.0))


@pytest.mark.parametrize(
    ("height", "grazing", "length", "long", "exact"),
    [(0.5, 15, 0.1, 3.083, 3.003), (0.5, 30, 0.1, 2.218, 2.105), (0.2, 15, 0.05, 1.379, 1.334)],
)
def test_phase_of_a_warm_layer(
    height: float, grazing: float, length: float, long: float, exact: float
) -> None:
    """Two-way phase fluctuation per kelvin at 200 kHz."""
    path = path_length(height, np.sin(np.radians(grazing)))
    assert float(phase_per_kelvin(path, length, 846.518, 2.930e-3, long_path=True)) == pytest.approx(
        long, abs=1e-3
    )
    assert float(phase_per_kelvin(path, length, 846.518, 2.930e-3)) == pytest.approx(exact, abs=1e-3)


@pytest.mark.parametrize(("pairs", "saturated"), [(1, 0.61), (4, 0.36), (8, 0.25)])
def test_echoes_without_correlation_have_none(pairs: int, saturated: float) -> None:
    """What independent echoes feign over few samples is taken out (Q67); true correlation stays."""
    assert float(unbiased_correlation(saturated, pairs)) < 0.25
    assert float(unbiased_correlation(1.0, pairs)) == pytest.approx(1.0)
