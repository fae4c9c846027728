"""Plain versions of the sonar steps, as docs/method.md says them: the fast ones are tested against these."""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RegularGridInterpolator
from scipy.signal import filtfilt

from covis_dask.sonar.geometry import HeadAttitude, receiver_to_world
from covis_dask.sonar.grid import GridAxes, GridScheme
from covis_dask.sonar.seafloor import Seafloor

Array = NDArray[Any]

FS = 34482.758
TAU = 0.0005
SOUND_SPEED = 1484.4770262845132


@dataclass(frozen=True)
class FilterParameters:
    """A filter as a parameter file describes it."""

    status: str = "on"
    type: str = "butterworth"
    bw: float = 2.0
    order: int = 4
    zero_phase: bool = True


def noise(seed: int, *shape: int) -> NDArray[np.complex128]:
    """Independent complex Gaussian samples of unit power per part."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape) + 1j * rng.normal(size=shape)


def plain_zero_phase(b: Array, a: Array, x: Array, padlen: int = 12) -> Array:
    """Filter forwards and backwards as SciPy does."""
    filtered: Array = filtfilt(b, a, x, axis=0, padtype="odd", padlen=padlen)
    return filtered


def plain_beams(x: Array, freq: float, c: float, angles: Array, aperture: float = 0.408) -> Array:
    """Sum over the elements with Hamming weights and phase shifts (3.5)."""
    count = x.shape[1]
    e = np.arange(count)
    weight = 0.54 - 0.46 * np.cos(2 * np.pi * e / (count - 1))
    position = aperture / 2 * (-1 + 2 * e / (count - 1))
    beams: Array = x @ (
        weight[:, None] * np.exp(1j * 2 * np.pi * freq / c * position[:, None] * np.sin(angles)[None, :])
    )
    return beams


def scheme_of(*, flattened: bool, mended: Collection[str] = ()) -> GridScheme:
    """Return the scheme of an era, with some of its quirks mended."""
    return GridScheme(
        flattened=flattened,
        product_weights="Q1" in mended,
        matched_corners="Q2" in mended,
        axis_coordinates="Q3" in mended,
        every_sample="Q4" in mended,
    )


SCHEMES = {
    "ashes": scheme_of(flattened=False),
    "endeavour": scheme_of(flattened=True),
    "mended": scheme_of(flattened=True, mended=("Q1", "Q2", "Q3", "Q4")),
}


class PlainGridder:
    """The gridding of the originals, pass by pass over all samples (3.11)."""

    def __init__(self, axes: GridAxes, scheme: GridScheme) -> None:
        self.axes = axes
        self.scheme = scheme
        self.total: dict[str, Array] = {}
        self.weight = np.zeros(axes.shape)

    def call(self, coords: tuple[Array, ...], values: dict[str, Array], select: Array) -> None:
        """Make one gridding call; arrays of any shape, taken in column-major order."""
        flat = [np.ravel(c, order="F") for c in coords]
        chosen = np.ravel(select, order="F").copy()
        for place, axis in zip(flat, self.axes.axes, strict=True):
            chosen &= (place >= axis[0]) & (place <= axis[-1])
        flat = [place[chosen] for place in flat]
        data = {name: np.ravel(value, order="F")[chosen] for name, value in values.items()}
        for name, value in data.items():
            self.total.setdefault(name, np.zeros(self.axes.shape, value.dtype))
        nodes = []
        for place, axis in zip(flat, self.axes.axes, strict=True):
            steps = (place - axis[0]) / (axis[1] - axis[0])
            lower, upper = np.floor(steps).astype(int), np.ceil(steps).astype(int)
            if self.scheme.product_weights:  # a sample on a node gives the next one nothing
                lower = np.minimum(lower, len(axis) - 2)
                upper = lower + 1
            nodes.append((lower, upper))
        for corner in product((0, 1), repeat=len(flat)):
            parts = []
            for d, (place, axis) in enumerate(zip(flat, self.axes.axes, strict=True)):
                at = self._looked_up(d, nodes[d][corner[d]])
                parts.append(1 - np.abs(axis[at] - place) / (axis[1] - axis[0]))
            weight = (
                np.prod(parts, axis=0) if self.scheme.product_weights else np.sqrt(np.square(parts).sum(0))
            )
            if len(corner) == 2:
                n, m = corner[::-1] if self.scheme.matched_corners else corner
                cell: tuple[Array, ...] = (nodes[1][n], nodes[0][m])
            else:
                n, m, k = corner
                cell = (nodes[1][m], nodes[0][n], nodes[2][k])
            for total, share in (
                *((self.total[name], weight * value) for name, value in data.items()),
                (self.weight, weight),
            ):
                if self.scheme.every_sample:
                    np.add.at(total, cell, share)
                else:
                    total[cell] = total[cell] + share

    def _looked_up(self, dimension: int, node: Array) -> Array:
        """Where the coordinate of a node is read: in 2010-15 in the flattened array of all nodes."""
        if not self.scheme.flattened or self.scheme.axis_coordinates:
            return node
        shape = self.axes.shape
        flat = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
        along = flat[(1, 0, 2)[dimension]].ravel(order="F")
        result: Array = along[node]
        return result

    def grids(self) -> dict[str, Array]:
        """Totals divided by the weight; NaN where there is none."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return {name: total / self.weight for name, total in self.total.items()} | {"w": self.weight}


def plain_seafloor(
    ranges: Array,
    wanted: Array,
    angles: Array,
    attitude: HeadAttitude,
    floor: Seafloor,
    half_width: float,
) -> tuple[Array, Array]:
    """Positions on the seafloor by looking at every point for every range (4.3 step 11)."""
    lookup = RegularGridInterpolator(
        (floor.y, floor.x), floor.height - 4.2, bounds_error=False, fill_value=np.nan
    )
    vertical = np.arange(-40, 40.5, 0.5) * np.pi / 180
    x = np.full((len(wanted), len(angles)), np.nan)
    y = x.copy()
    for beam, a in enumerate(angles):
        r, v = ranges[:, None], vertical[None, :]
        xr, yr, zr = r * np.cos(v) * np.sin(a), r * np.cos(v) * np.cos(a), r * np.sin(v)
        xw, yw, zw = receiver_to_world(xr, yr, zr, attitude)
        zb = lookup(np.stack([yw, xw], axis=-1))
        kept = np.abs(zw - zb) < 0.1
        distance = np.sqrt(xw[kept] ** 2 + yw[kept] ** 2 + zb[kept] ** 2)
        for n, want in enumerate(wanted):
            near = np.abs(distance - want) < half_width
            if near.any():
                x[n, beam], y[n, beam] = xw[kept][near].mean(), yw[kept][near].mean()
    return x, y
