"""What Matlab saved, as plain Python: structures as mappings, cell arrays and structure arrays as lists."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from covis_dask.errors import EngineError

__all__ = ["numbers", "read_structures", "scalar", "structures"]

Structure = Mapping[str, Any]


def read_structures(path: Path) -> dict[str, Structure]:
    """Read the structures of a .mat file, by the names of their variables.

    Raises
    ------
    EngineError
        When there is no such file, or nothing in it that can be read.
    """
    if not path.is_file():
        raise EngineError(
            f"the Matlab code ended without an error, but made no {path.name}; the log may say why"
        )
    try:
        content = loadmat(path, simplify_cells=True)
    except NotImplementedError as error:
        raise EngineError(
            f"{path.name} is of version 7.3 (HDF5), which this program does not read"
        ) from error
    except Exception as error:  # whatever SciPy makes of damaged bytes
        raise EngineError(
            f"the {path.name} that the Matlab code made cannot be read: {type(error).__name__}: {error}"
        ) from error
    by_variable = {name: value for name, value in content.items() if isinstance(value, Mapping)}
    if not by_variable:
        raise EngineError(f"the {path.name} that the Matlab code made holds no structure")
    return by_variable


def structures(value: Any) -> list[Structure]:
    """Return a structure, a structure array or a cell array of structures as a list."""
    if isinstance(value, Mapping):
        return [value]
    if isinstance(value, list | np.ndarray):
        return [item for part in value for item in structures(part)]
    return []


def numbers(rows: list[Structure], name: str) -> NDArray[np.float64]:
    """Return a field of every row, NaN where a row has none; [rows]."""
    return np.array([scalar(row.get(name), np.nan) for row in rows], dtype=np.float64)


def scalar(value: Any, default: float) -> float:
    """Return the first number of what may be a number, an array, or nothing."""
    try:
        flat = np.ravel(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError):
        return default
    return float(flat[0]) if flat.size else default
