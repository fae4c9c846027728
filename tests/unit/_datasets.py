"""Datasets like those of the mode programs, and the facts of their products.

Each holds a scene of known shape (a bent Gaussian plume, warm patches on a sloping floor), speckled as sonar
data are, with the names and attributes that the mode programs use. `scale` widens the cells: 1 is full size.
"""

import datetime as dt
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from covis_dask.products.manifest import InputFile
from covis_dask.products.metadata import ProductFacts

Array = NDArray[np.float64]

ENDEAVOUR = {
    "imaging": "APLUWCOVISMBSONAR001_20111001T210757.973Z-IMAGING",
    "diffuse": "APLUWCOVISMBSONAR001_20111001T215909.172Z-DIFFUSE",
    "doppler": "APLUWCOVISMBSONAR001_20130322T030922.697Z-DOPPLER",
}
ASHES = {
    "imaging": "COVIS-20190820T120001-imaging1",
    "diffuse": "COVIS-20190820T123002-diffuse1",
    "doppler": "COVIS-20200713T060002-doppler1",
    "bathy": "COVIS-20190820T163202-bathy1",
    "fullimaging": "COVIS-20200713T120002-fullimaging1",
}


def facts(basename: str, **changes: Any) -> ProductFacts:
    """Give the facts of a product of that run."""
    endeavour = basename.startswith("APLUW")
    stamp = basename.split("_")[1][:15] if endeavour else basename.split("-")[1]
    mode = basename.rsplit("-", 1)[1]
    start = dt.datetime.strptime(stamp, "%Y%m%dT%H%M%S").replace(tzinfo=dt.UTC)
    known: dict[str, Any] = {
        "basename": basename,
        "mode": mode,
        "site": "Endeavour" if endeavour else "Ashes",
        "start": start + dt.timedelta(milliseconds=973 if endeavour else 0),
        "end": start + dt.timedelta(seconds=432),
        "engine": "native",
        "version": "1",
        "preset": "END" if endeavour else "PP2",
        "profile": "matlab",
        "parameters": {
            "family": mode.lower().rstrip("0123456789"),
            "filter": {"bw": 2, "order": 4, "status": "on"},
            "noise": {"noise_floor": 0.197, "snr_thresh": 50},
            "bounds": {"pitch": {"start": -20, "stop": 62}, "pitch_applied": True},
            "position": {"easting": 0.0, "northing": 0.0, "altitude": 4.2},
            "attitude": {"central_heading": None},
            "imaging": None,
        },
        "input": InputFile("COVIS-NAS", f"2019/08/20/{basename}.tar.gz", 412_000_000, "9b2f"),
        "fingerprint": "0123456789abcdef",
        "created": dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
        "software": "0.1.0",
    }
    return ProductFacts(**(known | changes))


def _axes(bounds: tuple[float, ...], step: float) -> dict[str, Array]:
    """Make axis vectors from xmin xmax ymin ymax (zmin zmax)."""
    pairs = zip("xyz", zip(bounds[::2], bounds[1::2], strict=True), strict=False)
    return {name: np.arange(low, high + step / 2, step) for name, (low, high) in pairs}


def _names(axes: Mapping[str, Array], suffix: str = "") -> tuple[str, ...]:
    return tuple(f"{name}{suffix}" for name in ("y", "x", "z") if name in axes)


class _Scene:
    """Adds variables on one grid: NaN and weight 0 where no sample came."""

    def __init__(
        self, ds: xr.Dataset, axes: Mapping[str, Array], reached: NDArray[np.bool_], suffix: str = ""
    ) -> None:
        self.dims = _names(axes, suffix)
        self.ds = ds.assign_coords({f"{name}{suffix}": axis for name, axis in axes.items()})
        self.reached = reached
        self.random = np.random.default_rng(7)

    def add(self, name: str, original: str, values: Array, units: str, long_name: str) -> None:
        attrs = {"original_name": original, "units": units, "long_name": long_name}
        self.ds[name] = (self.dims, np.where(self.reached, values, np.nan), attrs)

    def weigh(self, name: str, original: str) -> None:
        attrs = {"original_name": original, "units": "1", "long_name": "Gridding weight"}
        weight = self.random.uniform(0.5, 9, self.reached.shape)
        self.ds[name] = (self.dims, np.where(self.reached, weight, 0.0), attrs)

    def speckle(self) -> Array:
        """Give the exponential scatter of intensity, half averaged away."""
        return self.random.gamma(3, 1 / 3, self.reached.shape)


def _mesh(axes: Mapping[str, Array]) -> list[Array]:
    return list(np.meshgrid(*(axes[name] for name in "xyz" if name in axes), indexing="xy"))


def _sector(x: Array, y: Array, heading: float, half: float, far: float = 40.0) -> NDArray[np.bool_]:
    """Say what lies in the horizontal sector of the sonar."""
    off = np.degrees(np.arctan2(x, y)) - heading
    distance = np.hypot(x, y)
    inside = np.abs((off + 180) % 360 - 180) < half
    return np.asarray(inside & (distance > 2) & (distance < far))


def _plume(x: Array, y: Array, z: Array, source: tuple[float, float, float], level: float) -> Array:
    """Give 1/m of a plume that widens, weakens and bends with height above its source."""
    up = np.clip(z - source[2], 0, None)
    centre_x, centre_y = source[0] + 0.010 * up**2, source[1] + 0.012 * up**1.5
    width = 0.8 + 0.10 * up
    core = np.exp(-((x - centre_x) ** 2 + (y - centre_y) ** 2) / width**2)
    strength = 10 ** (level / 10) * (width / 0.8) ** -3.0
    return np.where(z >= source[2], strength * core, 0.0)


def _finished(ds: xr.Dataset, family: str, pings: int = 365) -> xr.Dataset:
    """Add what every mode program adds: attributes, the ping table, bursts, beams."""
    ds.attrs |= {
        "mode": family,
        "unvisited_is_zero": 1,
        "pings_total": pings,
        "pings_used": pings - 2,
        "bad_ping": [21],
        "missing_ping": [],
        "bad_ping_reasons": json.dumps({"21": "the file is empty"}),
        "bursts_used": 12,
        "bursts_skipped": 1,
        "bursts_skipped_reasons": json.dumps([{"pitch": 70.0, "pings": [1, 2], "reason": "out of bounds"}]),
        "sound_speed": 1484.477,
        "calibration_valid": 1,
        "sweep": json.dumps({"_id": "run", "motion": {"inc": [0, 1, 0]}}),
    }
    small: tuple[tuple[str, str, str, NDArray[Any]], ...] = (
        ("ping_number", "ping", "1", np.arange(1, pings + 1)),
        ("ping_time", "ping", "seconds since 1970-01-01T00:00:00Z", 1.5663e9 + np.arange(pings) / 2),
        ("sensor_pitch", "ping", "degree", np.linspace(-5, 50, pings)),
        ("burst_pitch", "burst", "degree", np.linspace(-5, 50, 12)),
        ("burst_npings", "burst", "1", np.full(12, 5)),
        ("beam_angle", "beam", "radian", np.linspace(-1, 1, 16)),
    )
    for name, dim, units, values in small:
        ds[name] = (dim, values, {"original_name": name, "units": units, "long_name": name.replace("_", " ")})
    return ds


def imaging_ashes(scale: float = 1) -> xr.Dataset:
    """Imaging, 2018+: a plume over Inferno, a weaker one beside it."""
    axes = _axes((-40, 20, -40, 20, 0, 20), 0.25 * scale)
    x, y, z = _mesh(axes)
    reached = _sector(x, y, 290, 54) & (z - 4.2 > -0.35 * np.hypot(x, y)) & (z - 4.2 < 1.9 * np.hypot(x, y))
    scene = _Scene(xr.Dataset(), axes, reached)
    plume = _plume(x, y, z, (-13.3, -0.8, 2.5), -37) + _plume(x, y, z, (-9.5, 5, 1.5), -46)
    moving = np.where(plume < 10**-7.2, 1e-9, plume * scene.speckle() + 10**-7.6)
    floor = 10**-3.5 * np.exp(-(((z - 0.05 * x - 1.5) / 0.4) ** 2))
    scene.add("fluctuating_filtered", "Id_filt", moving, "m-1", "Fluctuating volume backscatter, filtered")
    scene.add("fluctuating", "Id", moving + 1e-9 * scene.speckle(), "m-1", "Fluctuating volume backscatter")
    scene.add(
        "average_filtered",
        "Ia_filt",
        moving / 2 + floor + 1e-9,
        "m-1",
        "Average volume backscatter, filtered",
    )
    scene.add("average", "Ia", moving / 2 + floor + 1e-9, "m-1", "Average volume backscatter")
    scene.add("amplitude_variance", "Kp", 0.2 * scene.speckle(), "1", "Amplitude variance")
    scene.weigh("weight", "w")
    return _finished(scene.ds, "imaging")


def imaging_endeavour(scale: float = 1) -> xr.Dataset:
    """Imaging, 2010-15: the plume over the North Tower of Grotto."""
    axes = _axes((-35, 5, -25, 5, 5, 50), 0.25 * scale)
    x, y, z = _mesh(axes)
    reached = (
        _sector(x, y, 248, 60, 60) & (z - 4.2 > 0.18 * np.hypot(x, y)) & (z - 4.2 < 1.9 * np.hypot(x, y))
    )
    scene = _Scene(xr.Dataset(), axes, reached)
    values = _plume(x, y, z, (-24, -12, 5), -42) * scene.speckle() + 10**-8.6 * scene.speckle()
    scene.add("backscatter", "v", values, "m-1", "Volume backscatter of ping differences")
    scene.weigh("weight", "w")
    return _finished(scene.ds, "imaging", 510)


def doppler_ashes(scale: float = 1) -> xr.Dataset:
    """Doppler, 2018+: three grids, a rising plume that moves away from the sonar above its height."""
    axes = _axes((-40, 20, -40, 20, 0, 20), 0.5 * scale)
    x, y, z = _mesh(axes)
    seen = _sector(x, y, 290, 54) & (np.abs(z - 4.2) < 1.2 * np.hypot(x, y))
    plume = _plume(x, y, z, (-13.3, -0.8, 2), -38)
    scene = _Scene(xr.Dataset(), axes, seen & (plume > 10**-7.5))
    slant = np.sqrt(x**2 + y**2 + (z - 4.2) ** 2)
    radial = 0.35 * (z - 4.2) / slant + 0.06 * x / slant + 0.02 * scene.random.standard_normal(x.shape)
    for name, original in (("velocity", "vr_cov"), ("velocity_mean", "vr_vel")):
        scene.add(name, f"doppler_velocity_{original}", radial, "m s-1", "Line-of-sight velocity")
    scene.add("velocity_spread", "doppler_velocity_std", np.abs(radial) / 3, "m s-1", "Spread of velocity")
    for part in ("real", "imag"):
        original = f"doppler_velocity_covar_{part}"
        scene.add(f"covariance_{part}", original, plume, "m-1", f"Covariance, {part} part")
    scene.weigh("weight_velocity", "doppler_velocity_w")
    for grid in ("intensity", "intensity_win"):
        scene.reached = seen & (plume > 10**-8.5)
        for field in ("Ia", "Ia_filt", "Id", "Id_filt"):
            values = plume * scene.speckle() + 1e-9
            scene.add(f"{grid}_{field.lower()}", f"{grid}_{field}", values, "m-1", "Volume backscatter")
        scene.weigh(f"weight_{grid}", f"{grid}_w")
    scene.ds["offset"] = (
        (),
        7e-5,
        {"original_name": "vr_offset_ave", "units": "m s-1", "long_name": "Offset"},
    )
    return _finished(scene.ds, "doppler")


def doppler_endeavour(scale: float = 1) -> xr.Dataset:
    """Doppler, 2010-15: vertical velocity in cm/s on two grids."""
    axes = _axes((-40, -5, -25, 5, 10, 60), 0.5 * scale)
    x, y, z = _mesh(axes)
    seen = _sector(x, y, 248, 60, 60) & (z - 4.2 > 0.38 * np.hypot(x, y)) & (z - 4.2 < 1.7 * np.hypot(x, y))
    scene = _Scene(xr.Dataset(), axes, seen)
    plume = _plume(x, y, z, (-26, -12, 5), -42)
    signal = plume / (plume + 10**-7.8)
    noise = scene.random.standard_normal(x.shape)
    rise = 18 * np.exp(-(z - 10) / 40) * signal + 14 * (1 - signal) * noise
    for grid, main in (("doppler_velocity", rise), ("intensity", plume * scene.speckle() + 10**-8.5)):
        units = "cm s-1" if grid == "doppler_velocity" else "m-1"
        words = "Vertical velocity" if grid == "doppler_velocity" else "Volume backscatter"
        scene.add(f"{grid}_main", f"{grid}_v", main, units, words)
        scene.add(f"{grid}_filtered", f"{grid}_v_filt", main, units, f"{words}, filtered")
        scene.add(f"{grid}_radial", f"{grid}_vr", rise * 0.8, "cm s-1", "Line-of-sight velocity")
        scene.add(f"{grid}_spread", f"{grid}_std", np.abs(main) / 4, units, "Spread")
        for part in ("real", "imag"):
            scene.add(
                f"{grid}_covariance_{part}", f"{grid}_covar_{part}", plume, "m-1", f"Covariance, {part} part"
            )
        scene.weigh(f"{grid}_weight", f"{grid}_w")
    for part, value in (("real", 1.9e8), ("imag", 9982.0)):
        attrs = {
            "original_name": f"offset_covar_{part}",
            "units": "1",
            "long_name": f"Offset covariance, {part} part",
        }
        scene.ds[f"offset_covariance_{part}"] = ((), value, attrs)
    return _finished(scene.ds, "doppler")


def _diffuse(
    ds: xr.Dataset, axes: Mapping[str, Array], heading: float, fields: Mapping[str, str], suffix: str
) -> xr.Dataset:
    """Fill maps with warm patches on a rough floor."""
    x, y = _mesh(axes)
    scene = _Scene(ds, axes, _sector(x, y, heading, 62, 28), suffix)
    patches = sum(
        a * np.exp(-((x - px) ** 2 + (y - py) ** 2) / r**2)
        for px, py, r, a in ((-13.3, -0.8, 3, 0.45), (-9, 5, 2, 0.3), (-17, -9, 4, 0.25), (-20, 8, 2, 0.2))
    )
    decorrelation = 0.06 + np.asarray(patches) * (0.7 + 0.3 * scene.speckle()) + 0.02 * scene.speckle()
    strength = 10 ** ((-32 + 5 * np.sin(x / 4) * np.cos(y / 3) - 0.3 * np.hypot(x, y)) / 10) * scene.speckle()
    values = {
        "decorrelation": decorrelation,
        "intensity": strength,
        "decorrelation_intensity": decorrelation * strength,
    }
    for original, long_name in fields.items():
        value = values.get(original, decorrelation * 1.3)
        units = "m2" if "intensity" in original else "1"
        scene.add(f"{original}{suffix}", f"{original}_v", value, units, long_name)
        scene.weigh(f"{original}_weight{suffix}", f"{original}_w")
    return scene.ds


_DIFFUSE_2010 = {
    "decorrelation_intensity": "Decorrelation intensity",
    "decorrelation": "Decorrelation between pings",
    "intensity": "Backscatter intensity",
}
_DIFFUSE_2018 = _DIFFUSE_2010 | {
    "chi_var": "Log-amplitude variance",
    "si": "Scintillation index",
    "sig_phi2": "Phase variance",
    "kp": "Amplitude variance",
}


def _floor(x: Array, y: Array) -> Array:
    """Give the height of a sloping floor with mounds, m."""
    mounds = sum(
        a * np.exp(-((x - px) ** 2 + (y - py) ** 2) / r**2)
        for px, py, r, a in ((-13.3, -0.8, 2.5, 3.0), (-9, 5, 2, 1.8), (-18, 9, 5, 1.2), (-14, -12, 3, 1.5))
    )
    return np.asarray(0.04 * x + 0.5 * np.sin(x / 5) * np.cos(y / 6) + mounds)


def diffuse_ashes(scale: float = 1, *, bathymetry: bool = True) -> xr.Dataset:
    """Diffuse, 2018+: seven maps, and the seafloor they were mapped on."""
    axes = _axes((-30, 30, -30, 30), 0.5 * scale)
    ds = _diffuse(xr.Dataset(), axes, 290, _DIFFUSE_2018, "")
    if bathymetry:
        attrs = {"units": "m", "long_name": "Height of the seafloor above COVIS base", "positive": "up"}
        ds = ds.assign_coords(bathymetry=(("y", "x"), _floor(*_mesh(axes)), attrs))
        ds.attrs["seafloor"] = "covis_bathy_2019a.mat"
    else:
        ds.attrs["seafloor"] = "flat seafloor assumed"
    return _finished(ds, "diffuse", 44)


def diffuse_endeavour(scale: float = 1) -> xr.Dataset:
    """Diffuse, 2010-15: three maps."""
    axes = _axes((-35, 5, -25, 5), 0.5 * scale)
    return _finished(_diffuse(xr.Dataset(), axes, 250, _DIFFUSE_2010, ""), "diffuse", 12)


def bathy(scale: float = 1) -> xr.Dataset:
    """Bathymetry of one sector."""
    axes = _axes((-30, 20, -30, 30), 0.5 * scale)
    x, y = _mesh(axes)
    scene = _Scene(xr.Dataset(), axes, _sector(x, y, 290, 54, 26))
    rough = 0.03 * scene.random.standard_normal(x.shape)
    scene.add("height", "v", _floor(x, y) + rough, "m", "Height of the seafloor above COVIS base")
    scene.weigh("weight", "w")
    return _finished(scene.ds, "bathy", 365)


def fullimaging(scale: float = 1) -> xr.Dataset:
    """Full-range: an imaging volume, and maps on axes of their own."""
    ds = imaging_ashes(scale)
    axes = _axes((-30, 30, -30, 30), 0.5 * scale)
    fields = dict(_DIFFUSE_2018) | {"intensity_filt": "Windowed intensity"}
    ds = _diffuse(ds, axes, 290, fields, "_fr")
    x, y = _mesh(axes)
    for name in ("bathy", "bathy_filt"):
        scene = _Scene(ds, axes, _sector(x, y, 290, 62, 28), "_fr")
        scene.add(f"{name}_fr", f"{name}_v", _floor(x, y), "m", "Height of the seafloor above COVIS base")
        scene.weigh(f"{name}_weight_fr", f"{name}_w")
        ds = scene.ds
    return _finished(ds, "fullimaging")


MODES: Mapping[str, tuple[Callable[[float], xr.Dataset], str]] = {
    "imaging 2018+": (imaging_ashes, ASHES["imaging"]),
    "imaging 2010-15": (imaging_endeavour, ENDEAVOUR["imaging"]),
    "doppler 2018+": (doppler_ashes, ASHES["doppler"]),
    "doppler 2010-15": (doppler_endeavour, ENDEAVOUR["doppler"]),
    "diffuse 2018+": (diffuse_ashes, ASHES["diffuse"]),
    "diffuse 2010-15": (diffuse_endeavour, ENDEAVOUR["diffuse"]),
    "bathymetry": (bathy, ASHES["bathy"]),
    "full-range": (fullimaging, ASHES["fullimaging"]),
}


def emptied(ds: xr.Dataset) -> xr.Dataset:
    """Take every value out of the grids: no sample reached any cell."""
    out = ds.copy(deep=True)
    for variable in out.data_vars.values():
        if variable.ndim >= 2:
            variable.values[...] = (
                0.0 if str(variable.attrs.get("original_name", "")).endswith("w") else np.nan
            )
    return out
