"""From gridded arrays to an xarray dataset: names, axes, units, attributes, the same for every mode.

A mode makes one `DatasetBuilder`, adds its grids and its small arrays, and asks for the dataset. What its
variables are called stands in its `ModeSpec`. Cells that no sample reached hold NaN, their weight 0 (Q41).
"""

import datetime as dt
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from covis_dask.modes._tally import PingTally
from covis_dask.modes.parameters import Parameters
from covis_dask.modes.registry import spec_for
from covis_dask.raw._ranges import is_clock
from covis_dask.raw.sweep import PingTable

if TYPE_CHECKING:  # whoever only reads products compiles no kernels
    from covis_dask.sonar.grid import GridAxes

__all__ = ["DatasetBuilder", "PingTally", "Swept", "Variable", "ping_use"]

_AXES = {
    "x": {"long_name": "distance east of the base of COVIS", "units": "m", "axis": "X"},
    "y": {"long_name": "distance north of the base of COVIS", "units": "m", "axis": "Y"},
    "z": {"long_name": "height above the base of COVIS", "units": "m", "axis": "Z", "positive": "up"},
}

_TABLE = (
    ("ping", "ping_number", "ping number", "1"),
    ("time", "ping_time", "time of the ping", "seconds since 1970-01-01T00:00:00Z"),
    ("pitch", "rotator_pitch", "rotator pitch reading", "degree"),
    ("roll", "rotator_roll", "rotator roll reading", "degree"),
    ("yaw", "rotator_yaw", "rotator yaw reading", "degree"),
    ("sensor_pitch", "sensor_pitch", "pitch of the sonar head", "degree"),
    ("sensor_roll", "sensor_roll", "roll of the sonar head", "degree"),
    ("sensor_heading", "sensor_heading", "magnetic heading of the sonar head", "degree"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Variable:
    """One variable of a product.

    Parameters
    ----------
    name : str
        Descriptive name in snake_case.
    original_name : str
        The original's name of it (docs/method.md#modes), as users of its products know it.
    long_name : str
        What it is, for axis labels and legends.
    units : str
        For udunits: ``m-1``, ``cm s-1``, ``1``.
    values : ndarray
        Shape of its grid, [Ny, Nx] or [Ny, Nx, Nz]; a complex field becomes two variables.
    """

    name: str
    original_name: str
    long_name: str
    units: str
    values: NDArray[Any]

    def parts(self) -> "list[Variable]":
        """Return the variable, or its real and imaginary parts: NetCDF has no complex numbers."""
        if not np.iscomplexobj(self.values):
            return [self]
        gap = np.isnan(self.values)
        return [
            replace(
                self,
                name=f"{self.name}_{word}",
                original_name=f"{self.original_name}_{word}",
                long_name=f"{self.long_name}, {full} part",
                values=np.where(gap, np.nan, part),
            )
            for word, full, part in (
                ("real", "real", self.values.real),
                ("imag", "imaginary", self.values.imag),
            )
        ]


class Swept(Protocol):
    """What a product repeats of the run: the ping table and sweep.json. A `RawSweep` is one."""

    @property
    def table(self) -> PingTable:
        """Rows of index.csv."""

    @property
    def sweep(self) -> Mapping[str, Any]:
        """sweep.json."""


class DatasetBuilder:
    """Collects what a mode has made, and turns it into a dataset.

    Parameters
    ----------
    sweep : Swept
    parameters : Parameters
    """

    def __init__(self, sweep: Swept, parameters: Parameters) -> None:
        self._sweep = sweep
        self._parameters = parameters
        self._spec = spec_for(parameters.site, parameters.family)
        self._coords: dict[str, xr.Variable] = {}
        self._variables: dict[str, xr.Variable] = {}

    def grid(
        self,
        axes: "GridAxes",
        values: Mapping[str, NDArray[Any]],
        prefix: str = "",
        suffix: str | None = None,
    ) -> None:
        """Add the variables of one grid, in the order of the mode's spec.

        Parameters
        ----------
        axes : GridAxes
        values : mapping of str to ndarray
            Of the grid's shape, by original name without the prefix, as a gridder gives them.
        prefix : str
            Of the grid in the spec.
        suffix : str, optional
            Ends the name of an axis that differs from one already there, as in ``x_fr``; the prefix when not
            given.

        Raises
        ------
        KeyError
            When the spec has no such variable.
        """
        start = f"{prefix}_" if prefix else ""
        by_name = {start + key: value for key, value in values.items()}
        for name in by_name:
            self._spec.described(name)
        named = {"y": axes.y, "x": axes.x} | ({} if axes.z is None else {"z": axes.z})
        ending = prefix or self._spec.family if suffix is None else suffix
        dims = tuple(self._axis(name, points, ending) for name, points in named.items())
        for name in self._spec.variables:
            if name in by_name:
                self._add_described(name, by_name[name], dims)

    def own(self, original_name: str, values: NDArray[Any]) -> None:
        """Add a small array of the mode's own, on no grid; its spec has the dimensions.

        Raises
        ------
        KeyError
            When the spec has no such variable.
        """
        self._add_described(original_name, values, self._spec.described(original_name).dims)

    def array(self, variable: Variable, dims: Sequence[str]) -> None:
        """Add a small array that is on no grid and that many modes have, such as one value per burst."""
        for part in variable.parts():
            self._add(part, tuple(dims))

    def pings(self, table: PingTable) -> None:
        """Add the ping table, one row per ping of index.csv (docs/method.md#contents-of-a-product)."""
        for source, name, long_name, units in _TABLE:
            values = np.asarray(getattr(table, source))
            if source == "time":
                # A time no calendar holds would keep readers from opening the file.
                values = np.where(is_clock(values), values, np.nan)
            self._add(Variable(name, name, long_name, units, values), ("ping",))

    def dataset(self, tally: PingTally, further_attributes: Mapping[str, Any]) -> xr.Dataset:
        """Return the dataset.

        Parameters
        ----------
        tally : PingTally
            Pings and bursts used and left out.
        further_attributes : mapping
            Further attributes: numbers, words, lists of numbers; mappings become JSON.
        """
        parameters = self._parameters
        if "ping_number" in self._variables and len(tally.used) == tally.pings_used:
            self._add(ping_use(self._sweep.table.ping, tally.used), ("ping",))
        attributes = {
            "mode": parameters.family,
            "preset": parameters.preset,
            "profile": parameters.profile,
            "unvisited_is_zero": 1,
            **_end(self._sweep.table.time),
            **tally.attributes(),
            **{key: _attribute(value) for key, value in further_attributes.items()},
            "sweep": json.dumps(dict(self._sweep.sweep), default=str),
        }
        return xr.Dataset(self._variables, self._coords, attributes)

    def _add_described(self, name: str, values: NDArray[Any], dims: tuple[str, ...]) -> None:
        """Add a variable of which the spec knows the name, what it is, and the units."""
        known = self._spec.described(name)
        for part in Variable(known.name, name, known.long_name, known.units, values).parts():
            self._add(part, dims)

    def _axis(self, name: str, values: NDArray[np.float64], suffix: str) -> str:
        """Return the name of an axis, made if it is new."""
        for candidate in (name, f"{name}_{suffix}"):
            if candidate not in self._coords:
                self._coords[candidate] = xr.Variable((candidate,), values, _AXES[name])
                return candidate
            if np.array_equal(self._coords[candidate].values, values):
                return candidate
        raise ValueError(f"axis {name}_{suffix} is there already, with other values")

    def _add(self, variable: Variable, dims: tuple[str, ...]) -> None:
        """Add one real variable."""
        if variable.name in self._variables:
            raise ValueError(f"variable {variable.name} is there already")
        attributes = {
            "original_name": variable.original_name,
            "long_name": variable.long_name,
            "units": variable.units,
        }
        self._variables[variable.name] = xr.Variable(dims, variable.values, attributes)


def ping_use(numbers: NDArray[Any], used: Collection[int]) -> Variable:
    """Return which pings of a table entered the result.

    Parameters
    ----------
    numbers : ndarray of int64, [pings]
        Of the table.
    used : collection of int
        Numbers of those that did.
    """
    entered = np.isin(numbers, np.fromiter(used, np.int64, len(used))).astype(np.int8)
    return Variable("ping_used", "ping_used", "whether the ping was used (1) or left out (0)", "1", entered)


def _end(times: NDArray[np.float64]) -> dict[str, str]:
    """Return the time of the last ping as an attribute, where the ping table tells."""
    known = times[is_clock(times)]
    if not known.size:
        return {}
    return {"time_coverage_end": dt.datetime.fromtimestamp(float(known.max()), dt.UTC).isoformat()}


def _attribute(value: Any) -> Any:
    """Return a value as NetCDF attributes can hold it."""
    return json.dumps(value) if isinstance(value, Mapping) else value
