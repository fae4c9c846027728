"""Products made on their grids, with plumes and patches of known shape."""

from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import msgspec
import numpy as np
import xarray as xr
import yaml
from numpy.typing import NDArray

from covis_dask.config.science import ScienceSection

Real = NDArray[np.float64]


def science(**changes: Any) -> ScienceSection:
    """Return the section as shipped, with changes."""
    shipped = yaml.safe_load((files("covis_dask") / "covis.yaml").read_text("utf-8"))["covis"]["science"]
    return msgspec.structs.replace(msgspec.convert(shipped, ScienceSection), **changes)


INFERNO = (-13.27, -0.77, 4.0)


@dataclass(frozen=True)
class Plume:
    """The simulator's plume, of 19.207 MW at Ashes with the default velocity."""

    vent: tuple[float, float, float] = INFERNO
    lean: tuple[float, float] = (0.0, 0.0)
    velocity: float = 0.4
    radius: float = 0.8
    spread: float = 0.11
    strength: float = 10**-4.2

    def across(self, x: Real, y: Real, z: Real) -> tuple[Real, Real]:
        """Return radius and exp(-r^2/b^2)."""
        rise = z - self.vent[2]
        b = self.radius + self.spread * np.maximum(rise, 0)
        dx, dy = x - self.vent[0] - self.lean[0] * rise, y - self.vent[1] - self.lean[1] * rise
        return b, np.exp(-(dx**2 + dy**2) / b**2) * (rise >= -1e-9)

    def speed(self, z: Any) -> Any:
        """Return the vertical velocity on the axis."""
        rise = z - self.vent[2]
        b = self.radius + self.spread * np.maximum(rise, 0)
        return self.velocity * (self.radius / b) ** (1 / 3)

    def flux(self, z: Any) -> Any:
        """Return the volume flux."""
        return np.pi * (self.radius + self.spread * (z - self.vent[2])) ** 2 * self.speed(z)


def mesh(step: float, bounds: tuple[float, ...]) -> tuple[Real, Real, Real]:
    """Return the axes of a volume."""
    x, y, z = (np.arange(bounds[k], bounds[k + 1] + step / 2, step) for k in (0, 2, 4))
    return x, y, z


ASHES = (-28.0, 0.0, -16.0, 14.0, 0.0, 20.0)
GROTTO = (-40.0, -5.0, -25.0, 5.0, 10.0, 60.0)
ASHES_ATTRIBUTES = {
    "site": "Ashes",
    "time_coverage_start": "2019-08-20T12:00:01+00:00",
    "transmit_frequency": 396_000.0,
    "sound_speed": 1484.477,
    "sample_rate": 34483.0,
}


def imaging(*plumes: Plume, step: float = 0.5, looks: float = 0, seed: int = 1) -> xr.Dataset:
    """Make an imaging product of 2018+."""
    x, y, z = mesh(step, ASHES)
    X, Y, Z = np.meshgrid(x, y, z)
    field = np.full(X.shape, 1e-12)
    for plume in plumes:
        b, bell = plume.across(X, Y, Z)
        field = field + plume.strength * (plume.radius / b) ** 2 * bell
    if looks:
        field = field * np.random.default_rng(seed).gamma(looks, 1 / looks, field.shape)
    dims = ("y", "x", "z")
    fluctuating = np.where(field > 1e-9, field, 1e-9)
    values = {
        "backscatter_fluctuating": fluctuating,
        "backscatter_mean": np.where(field > 1e-9, field / 40, 1e-9),
        "gridding_weight": np.ones(field.shape),
    }
    return xr.Dataset({k: (dims, v) for k, v in values.items()}, {"x": x, "y": y, "z": z}, ASHES_ATTRIBUTES)


def doppler(
    plume: Plume, *, flow: str = "axial", offset: float = 0.0, noise: float = 0.0, site: str = "Ashes"
) -> xr.Dataset:
    """Make a Doppler product of a plume whose water follows the axis, or is carried by a current."""
    x, y, z = mesh(0.5, ASHES if site == "Ashes" else GROTTO)
    X, Y, Z = np.meshgrid(x, y, z)
    b, bell = plume.across(X, Y, Z)
    vertical = plume.speed(Z) * bell
    carried = vertical if flow == "axial" else plume.speed(Z)
    east, north = carried * plume.lean[0], carried * plume.lean[1]
    radial = (X * east + Y * north + (Z - 4.2) * vertical) / np.sqrt(X**2 + Y**2 + (Z - 4.2) ** 2)
    radial = radial + offset + noise * np.random.default_rng(3).standard_normal(radial.shape)
    field = plume.strength * (plume.radius / b) ** 2 * bell + 1e-12
    dims, ones = ("y", "x", "z"), np.ones(X.shape)
    if site == "Ashes":
        names = {
            "windowed_backscatter_fluctuating": np.where(field > 1e-9, field, 1e-9),
            "windowed_backscatter_mean": np.where(field > 1e-9, field / 40, 1e-9),
            "windowed_backscatter_weight": ones,
            "radial_velocity": radial,
            "velocity_weight": ones,
        }
        ds = xr.Dataset({k: (dims, v) for k, v in names.items()}, {"x": x, "y": y, "z": z}, ASHES_ATTRIBUTES)
        ds["velocity_offset_average"] = ((), offset)
        ds["radial_velocity"].attrs["units"] = "m s-1"
        return ds
    names = {"backscatter": field, "intensity_weight": ones, "radial_velocity": 100 * radial}
    attributes = {"site": "Endeavour", "time_coverage_start": "2014-03-05T03:00:12+00:00"}
    ds = xr.Dataset({k: (dims, v) for k, v in names.items()}, {"x": x, "y": y, "z": z}, attributes)
    ds["offset_velocity"] = ((), 100 * offset)
    ds["radial_velocity"].attrs["units"] = "cm s-1"
    return ds


def diffuse(patches: tuple[tuple[float, float, float, float], ...] = (), base: float = 0.02) -> xr.Dataset:
    """Make a diffuse product of 2018+ with discs (x, y, radius, decorrelation) on a flat seafloor."""
    axis = np.arange(-30, 30.25, 0.5)
    x, y = np.meshgrid(axis, axis)
    turn = np.angle(np.exp(1j * (np.arctan2(x, y) - np.radians(295))))
    seen = (abs(turn) < np.radians(62)) & (np.hypot(x, y) < 26)
    decorrelation = np.full(x.shape, base)
    for px, py, radius, value in patches:
        decorrelation[np.hypot(x - px, y - py) <= radius] = value
    maps = {
        "decorrelation": decorrelation,
        "phase_variance": -np.log1p(-decorrelation),
        "amplitude_variance": decorrelation / 4,
        "log_intensity_variance": decorrelation,
        "scintillation_index": decorrelation,
    }
    data = {name: (("y", "x"), np.where(seen, values, np.nan)) for name, values in maps.items()}
    data |= {f"{name}_weight": (("y", "x"), seen * 1.0) for name in maps}
    attributes = {
        **ASHES_ATTRIBUTES,
        "transmit_frequency": 200_000.0,
        "array_length": 0.408,
        "window_pings": 20,
    }
    return xr.Dataset(data, {"x": axis, "y": axis}, attributes)
