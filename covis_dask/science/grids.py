"""Volumes and maps out of a product: the fields that the second level reads, in SI units."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["MASKED", "PlumeFields", "Volume", "plume_fields", "smoothed", "velocity_limit"]

Real = NDArray[np.float64]
Bool = NDArray[np.bool_]

MASKED = 1e-9
"""Backscatter (1/m) that stands in the originals' products for none."""

_STEADY = 10**0.3
"""What fluctuates less than 3 dB above its mean is a structure, not a plume (2018+)."""

_KERNEL_SD = 0.3
_MODERN = {
    "backscatter_fluctuating": ("backscatter_mean", "gridding_weight", ""),
    "windowed_backscatter_fluctuating": ("windowed_backscatter_mean", "windowed_backscatter_weight", ""),
}
_EARLY = {"backscatter": ("weight", "intensity_weight")}


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """A field on a volume.

    Parameters
    ----------
    x, y, z : ndarray of float64
        Axes, m.
    values : ndarray of float64, [Ny, Nx, Nz]
        NaN where masked.
    seen : ndarray of bool, [Ny, Nx, Nz]
        Cells that any sample reached.
    """

    x: Real
    y: Real
    z: Real
    values: Real
    seen: Bool

    @property
    def steps(self) -> tuple[float, float, float]:
        """Distance of the cells along x, y, z, m."""
        dx, dy, dz = (float(a[1] - a[0]) if len(a) > 1 else 1.0 for a in (self.x, self.y, self.z))
        return dx, dy, dz


@dataclass(frozen=True, slots=True, eq=False)
class PlumeFields:
    """What a product says of plumes.

    Parameters
    ----------
    backscatter : Volume
        Volume backscattering coefficient, 1/m.
    modern : bool
        Fluctuating backscatter of 2018+; else ping differences of 2010-15.
    velocity, spread : ndarray of float64 or None, [Ny, Nx, Nz]
        Along the line of sight, positive away from the sonar, without the clock's share; and its standard
        deviation from ping to ping; m/s.
    pings : float
        Per burst.
    limit : float
        Speed along the line of sight beyond which the velocity is not to be trusted, m/s.
    """

    backscatter: Volume
    modern: bool
    velocity: Real | None = None
    spread: Real | None = None
    pings: float = 1.0
    limit: float = np.inf


def plume_fields(
    ds: xr.Dataset, around: Iterable[tuple[float, float, float]] = (), *, offset: bool = True
) -> PlumeFields | None:
    """Read the fields of plumes from a product; None where it has none.

    Parameters
    ----------
    ds : Dataset
        An imaging, Doppler or full-range product.
    around : iterable of (x, y, half width)
        Squares to which the fields are cut, m; all of the product when there is none.
    offset : bool
        Subtract the velocity that the clock feigns in data of 2018+; in those of 2010-15 it always is.
    """
    fluctuating = next((name for name in _MODERN if name in ds), None)
    name = fluctuating or next((name for name in _EARLY if name in ds), None)
    if name is None or ds[name].ndim != 3:
        return None
    y, x, z = (str(dim) for dim in _ordered(ds[name]).dims)
    axes = {dim: np.asarray(ds[dim].values, np.float64) for dim in (y, x, z)}
    part = _window(axes[x], axes[y], tuple(around))
    values = _array(ds, name, part)
    if fluctuating:
        mean, weight, _ = _MODERN[fluctuating]
        values = smoothed(without_structures(values, _array(ds, mean, part)))
        seen = _seen(ds, (weight,), values, part)
    else:
        values = np.where(values > MASKED, values, np.nan)
        seen = _seen(ds, _EARLY[name], values, part)
    volume = Volume(axes[x][part[1]], axes[y][part[0]], axes[z], np.where(seen, values, np.nan), seen)
    velocity, spread = _velocities(ds, part, offset=offset)
    return PlumeFields(
        volume,
        bool(fluctuating),
        velocity,
        spread,
        _pings(ds),
        velocity_limit(ds) if velocity is not None else np.inf,
    )


def _window(x: Real, y: Real, around: tuple[tuple[float, float, float], ...]) -> tuple[slice, slice]:
    """Return the rows and columns that hold all squares."""
    if not around:
        return slice(None), slice(None)
    slices = []
    for axis, k in ((y, 1), (x, 0)):
        low, high = min(a[k] - a[2] for a in around), max(a[k] + a[2] for a in around)
        slices.append(slice(int(np.searchsorted(axis, low - 1e-9)), int(np.searchsorted(axis, high + 1e-9))))
    return slices[0], slices[1]


def _array(ds: xr.Dataset, name: str, part: tuple[slice, slice]) -> Real:
    return np.asarray(_ordered(ds[name]).values[part], np.float64)


def _ordered(variable: xr.DataArray) -> xr.DataArray:
    """Return a volume with its dimensions in the order y, x, z, whatever that of the file."""
    return variable.transpose(*sorted(variable.dims, key=lambda dim: "yxz".index(str(dim)[0])))


def _seen(ds: xr.Dataset, names: Iterable[str], values: Real, part: tuple[slice, slice]) -> Bool:
    """Return the cells with a weight; of a product without weights those with a value."""
    weight = next((name for name in names if name in ds), None)
    if weight is None:
        return np.isfinite(values)
    return np.asarray(np.nan_to_num(_array(ds, weight, part)) > 0)


def without_structures(fluctuating: Real, mean: Real) -> Real:
    """Return the fluctuating backscatter, NaN where it is masked or a steady structure prevails."""
    with np.errstate(invalid="ignore", divide="ignore"):
        plume = (fluctuating > MASKED) & ~(fluctuating < _STEADY * mean)
    return np.where(plume, fluctuating, np.nan)


def smoothed(values: Real, taps: int = 3) -> Real:
    """Smooth lightly (Gaussian, standard deviation 0.3 cells); masked cells have no part in it."""
    offset = np.arange(taps) - taps // 2
    kernel = np.exp(-(offset**2) / (2 * _KERNEL_SD**2))
    kernel /= kernel.sum()
    known = np.isfinite(values)
    total, weight = np.where(known, values, 0.0), known.astype(np.float64)
    for axis in range(values.ndim):
        total = ndimage.correlate1d(total, kernel, axis=axis, mode="nearest")
        weight = ndimage.correlate1d(weight, kernel, axis=axis, mode="nearest")
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(known, total / weight, np.nan)


def _velocities(
    ds: xr.Dataset, part: tuple[slice, slice], *, offset: bool
) -> tuple[Real | None, Real | None]:
    """Return radial velocity and its spread in m/s."""
    if "radial_velocity" not in ds:
        return None, None
    scale = 0.01 if str(ds["radial_velocity"].attrs.get("units")) == "cm s-1" else 1.0
    weight = next((n for n in ("velocity_weight", "doppler_velocity_weight") if n in ds), None)
    velocity = _array(ds, "radial_velocity", part)
    if weight is not None:
        velocity = np.where(np.nan_to_num(_array(ds, weight, part)) > 0, velocity, np.nan)
    names = ("velocity_offset_average", "offset_velocity") if offset else ("offset_velocity",)
    if any(name in ds for name in names):
        feigned = next((float(ds[n]) for n in names if n in ds), 0.0)
        velocity = velocity - (feigned if np.isfinite(feigned) else 0.0)
    spread = _array(ds, "radial_velocity_std", part) * scale if "radial_velocity_std" in ds else None
    return velocity * scale, spread


def _pings(ds: xr.Dataset) -> float:
    """Return the median number of pings of the bursts used."""
    if "burst_npings" not in ds:
        return 1.0
    counts = np.asarray(ds["burst_npings"].values, np.float64)
    if "burst_used" in ds:
        counts = counts[np.asarray(ds["burst_used"].values) > 0]
    return float(np.median(counts)) if counts.size else 1.0


def velocity_limit(ds: xr.Dataset) -> float:
    """Return half the unambiguous velocity, m/s: beyond it the low-pass filter weakens the echo.

    It is c fs / (8 f lag) with the lag of the autocovariance, 8 samples.
    """
    attributes = ds.attrs
    try:
        c, rate, frequency = (
            float(attributes[n]) for n in ("sound_speed", "sample_rate", "transmit_frequency")
        )
    except (KeyError, TypeError, ValueError):
        return 2.0
    return c * rate / (8 * frequency * _LAG) if frequency > 0 else 2.0


_LAG = 8
