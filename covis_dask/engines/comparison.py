"""How two engines' products of the same run differ, variable by variable (docs/method.md#known-answers)."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

__all__ = ["Difference", "compare", "table", "to_json"]

_RELATIVE = 1e-9
_OF_LARGEST = 1e-10


@dataclass(frozen=True, slots=True)
class Difference:
    """One variable of both products.

    Parameters
    ----------
    variable : str
    cells : int
        Cells that either product fills.
    different : int
        Cells that differ by more than 1e-9 of the value and 1e-10 of the largest; an empty cell counts as 0.
    only_native, only_matlab : int
        Cells that only one of them fills.
    largest : float
        Largest difference, in the variable's units.
    largest_relative : float
        The same, divided by the largest value.
    units : str
    note : str
        What cannot be compared, and why.
    """

    variable: str
    cells: int = 0
    different: int = 0
    only_native: int = 0
    only_matlab: int = 0
    largest: float = 0.0
    largest_relative: float = 0.0
    units: str = "1"
    note: str = ""

    @property
    def agrees(self) -> bool:
        """Whether no cell differs; at most one in 100,000, and one more, may.

        See docs/method.md#known-answers.
        """
        return not self.note and self.different <= 1e-5 * self.cells + 1


def compare(native: xr.Dataset, matlab: xr.Dataset) -> list[Difference]:
    """Compare every numeric variable of two products, in the order of the first.

    Parameters
    ----------
    native, matlab : Dataset
        Of the same run; see `Engine.process`.
    """
    differences = []
    for name, variable in native.data_vars.items():
        if name not in matlab.data_vars:
            differences.append(Difference(str(name), note="the Matlab product does not store it"))
            continue
        differences.append(_compare(str(name), variable, matlab[name]))
    differences += [
        Difference(str(name), note="the native product has no such variable")
        for name in matlab.data_vars
        if name not in native.data_vars
    ]
    return differences


def _compare(name: str, ours: xr.DataArray, theirs: xr.DataArray) -> Difference:
    units = str(ours.attrs.get("units", "1"))
    if ours.shape != theirs.shape:
        return Difference(name, units=units, note=f"shapes {ours.shape} and {theirs.shape}")
    if ours.attrs.get("units") != theirs.attrs.get("units"):
        return Difference(name, units=units, note=f"units {units} and {theirs.attrs.get('units')}")
    a, b = (np.asarray(v.values, dtype=np.float64) for v in (ours, theirs))
    filled_a, filled_b = np.isfinite(a), np.isfinite(b)
    a, b = np.where(filled_a, a, 0), np.where(filled_b, b, 0)
    distance: NDArray[np.float64] = np.abs(a - b)
    most = float(np.max(np.abs(b), initial=0.0))
    largest = float(np.max(distance, initial=0.0))
    return Difference(
        name,
        cells=int((filled_a | filled_b).sum()),
        different=int((distance > _RELATIVE * np.abs(b) + _OF_LARGEST * most).sum()),
        only_native=int((filled_a & ~filled_b).sum()),
        only_matlab=int((filled_b & ~filled_a).sum()),
        largest=largest,
        largest_relative=largest / most if most else float(largest > 0),
        units=units,
    )


def table(differences: Sequence[Difference]) -> list[str]:
    """Return the differences as lines of text, one per variable."""
    lines = [f"{'variable':<36}{'cells':>10}{'different':>11}  largest difference"]
    for difference in differences:
        if difference.note:
            lines.append(f"{difference.variable:<36}{'':>21}  not compared: {difference.note}")
            continue
        lines.append(
            f"{difference.variable:<36}{difference.cells:>10}{difference.different:>11}  "
            f"{difference.largest:.3g} {difference.units}"
            f" ({difference.largest_relative:.1e} of the largest value)"
        )
    return lines


def to_json(differences: Sequence[Difference]) -> str:
    """Return the differences as a JSON document."""
    rows: list[dict[str, Any]] = [
        {**asdict(difference), "agrees": difference.agrees} for difference in differences
    ]
    return json.dumps({"schema": "covis-dask/comparison/1", "variables": rows}, indent=1)
