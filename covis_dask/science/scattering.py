"""Backscatter of turbulent temperature, and back (docs/science.md#backscatter-and-temperature).

Weak scattering by isotropic fluctuations: sigma_v = 2 pi k^4 eta^2 Phi_T(2k). Which spectrum Phi_T is, nobody
has measured in these plumes: temperatures from backscatter are relative.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import quad

from covis_dask.science.constants import WIDTH_RATIO, SeaWater

__all__ = [
    "Turbulence",
    "backscatter_of",
    "dissipation",
    "heat_from_backscatter",
    "outer_scale",
    "temperature_std",
]

Real = NDArray[np.float64]
Spectrum = Literal["kolmogorov", "batchelor"]

_LEAST_SCALE = 0.3  # m
_DIFFUSIVE = 3.9
_KNEE = 0.67
_FLUCTUATION = 0.4  # of temperature on the axis of a plume


@dataclass(frozen=True, slots=True)
class Turbulence:
    """Turbulence in a plume.

    Parameters
    ----------
    outer_scale : float
        m.
    spectrum : {"kolmogorov", "batchelor"}
    dissipation : float
        m2 s-3; for the second.
    """

    outer_scale: float
    spectrum: Spectrum = "kolmogorov"
    dissipation: float = 5e-4

    @property
    def lowest(self) -> float:
        """Wavenumber of the outer scale, rad/m."""
        return 2 * np.pi / self.outer_scale


def dissipation(speed: Real | float, radius: Real | float) -> Real:
    """Return the dissipation (m2 s-3) on the axis of a plume, 0.02 W^3/b."""
    return np.asarray(0.02 * np.asarray(speed, np.float64) ** 3 / radius)


def backscatter_of(temperature: float, turbulence: Turbulence, wavenumber: float, water: SeaWater) -> float:
    """Return the volume backscattering coefficient (1/m).

    Parameters
    ----------
    temperature : float
        Standard deviation of the temperature, K.
    turbulence : Turbulence
    wavenumber : float
        Of the sound, rad/m.
    water : SeaWater
    """
    return temperature**2 * _per_variance(turbulence, wavenumber, water)


def temperature_std(
    backscatter: Real | float, turbulence: Turbulence, wavenumber: float, water: SeaWater
) -> Real:
    """Return the standard deviation of the temperature (K) that scatters so; NaN where nothing scatters.

    Parameters
    ----------
    backscatter : ndarray of float64
        Volume backscattering coefficient, 1/m.
    turbulence, wavenumber, water
        As for `backscatter_of`.
    """
    values = np.asarray(backscatter, np.float64)
    with np.errstate(invalid="ignore"):
        return np.asarray(
            np.sqrt(np.where(values >= 0, values, np.nan) / _per_variance(turbulence, wavenumber, water))
        )


def _per_variance(turbulence: Turbulence, wavenumber: float, water: SeaWater) -> float:
    """Return sigma_v for a temperature variance of 1 K2."""
    probed = 2 * wavenumber
    if turbulence.spectrum == "kolmogorov":
        energy = 2 / 3 * turbulence.lowest ** (2 / 3) * probed ** (-5 / 3)
    else:
        shape = _Batchelor.of(turbulence.dissipation, water)
        energy = shape(probed) / shape.variance(turbulence.lowest)
    spectrum = energy / (4 * np.pi * probed**2)
    return float(2 * np.pi * wavenumber**4 * water.impedance_expansion**2 * spectrum)


@dataclass(frozen=True, slots=True)
class _Batchelor:
    """A spectrum with inertial, viscous-convective and diffusive ranges; not normalised."""

    knee: float
    smallest: float

    @classmethod
    def of(cls, rate: float, water: SeaWater) -> "_Batchelor":
        kolmogorov = (water.viscosity**3 / rate) ** 0.25
        return cls((_KNEE / _DIFFUSIVE) ** 1.5 / kolmogorov, kolmogorov / np.sqrt(water.prandtl))

    def __call__(self, wavenumber: float) -> float:
        inertial = wavenumber <= self.knee
        shape = wavenumber ** (-5 / 3) if inertial else self.knee ** (-2 / 3) / wavenumber
        return float(shape * np.exp(-_DIFFUSIVE * (wavenumber * self.smallest) ** 2))

    def variance(self, lowest: float) -> float:
        """Integrate from a wavenumber upwards."""
        return _variance(self, lowest)


@lru_cache(maxsize=512)
def _variance(shape: _Batchelor, lowest: float) -> float:
    ends = sorted({np.log(lowest), max(np.log(lowest), np.log(shape.knee)), np.log(4 / shape.smallest)})
    parts = [
        quad(lambda u: shape(float(np.exp(u))) * np.exp(u), a, b, epsrel=1e-9, limit=200)[0]
        for a, b in pairwise(ends)
    ]
    return float(sum(parts))


def outer_scale(radius: float) -> float:
    """Return the outer scale of a plume of a radius (both m)."""
    return max(radius, _LEAST_SCALE)


def heat_from_backscatter(temperature: Real, speed: Real, radius: Real, water: SeaWater) -> Real:
    """Return the heat flux (W) of sections whose temperature fluctuates by so much, with lambda = 1.06.

    Parameters
    ----------
    temperature : ndarray of float64
        Calibrated standard deviation on the axis, K; the mean excess is 2.5 times that.
    speed, radius : ndarray of float64
        On the axis, m/s; of the velocity, m.
    water : SeaWater
    """
    excess = temperature / _FLUCTUATION
    area = np.pi * WIDTH_RATIO**2 * radius**2 / (1 + WIDTH_RATIO**2)
    return np.asarray(water.density * water.heat_capacity * area * speed * excess)
