"""Bounds and spacing of a product grid."""

import math
from dataclasses import dataclass

from covis_dask.modes.parameters._checks import require

__all__ = ["GridSpec", "grid_word", "map_grid", "volume_grid"]

MAX_GRID_CELLS = 500_000_000
"""More cells than any worker can hold; a slip in a spacing is caught here, not by the operating system."""


@dataclass(frozen=True, slots=True)
class GridSpec:
    """One product grid: its type in the original's words, bounds and spacing in m; no z for maps."""

    type: str
    xmin: float
    xmax: float
    ymin: float
    ymax: float
    dx: float
    dy: float
    zmin: float | None = None
    zmax: float | None = None
    dz: float | None = None

    def __post_init__(self) -> None:
        missing = [value is None for value in (self.zmin, self.zmax, self.dz)]
        require(
            all(missing) or not any(missing),
            f"grid {self.type!r} needs zmin, zmax and dz, or none of them.",
        )
        cells = 1.0
        for axis in "xyz"[: self.dimensions]:
            low, high, step = (getattr(self, name) for name in (f"{axis}min", f"{axis}max", f"d{axis}"))
            require(low < high, f"grid {self.type!r}: {axis}min {low:g} is not below {axis}max {high:g}.")
            require(step > 0, f"grid {self.type!r}: d{axis} must be positive, not {step:g}.")
            cells *= math.floor((high - low) / step) + 1
        require(
            cells <= MAX_GRID_CELLS,
            f"grid {self.type!r} would have {cells:.3g} cells: choose a wider spacing.",
        )

    @property
    def dimensions(self) -> int:
        """2 for a map, 3 for a volume."""
        return 2 if self.zmin is None else 3

    @property
    def name(self) -> str:
        """Type as a word: ``doppler velocity`` -> ``doppler_velocity``."""
        return self.type.replace(" ", "_").replace("-", "_")


def grid_word(text: str) -> str:
    """Return a grid's type as a word to compare."""
    return text.replace(" ", "_").replace("-", "_").lower()


def volume_grid(kind: str, *axes: float) -> GridSpec:
    """Make a cubic-celled volume from xmin xmax ymin ymax zmin zmax spacing, m."""
    xmin, xmax, ymin, ymax, zmin, zmax, step = map(float, axes)
    return GridSpec(kind, xmin, xmax, ymin, ymax, step, step, zmin, zmax, step)


def map_grid(kind: str, *axes: float) -> GridSpec:
    """Make a square-celled map from xmin xmax ymin ymax spacing, m."""
    xmin, xmax, ymin, ymax, step = map(float, axes)
    return GridSpec(kind, xmin, xmax, ymin, ymax, step, step)
