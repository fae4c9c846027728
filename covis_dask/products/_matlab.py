"""Python values as Matlab would have them: names, numbers, structures, cell arrays."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["field_name", "plain", "struct_array"]


def field_name(name: str) -> str:
    """Make a valid Matlab name, by the original's rule: ``_id`` becomes ``alpha__id``.

    See docs/method.md#contents-of-a-product.
    """
    safe = re.sub(r"[^0-9A-Za-z]", "_", name)
    return safe if safe[:1].isalpha() else f"alpha_{safe}"


def plain(value: Any) -> Any:
    """Turn a JSON-like value into what `scipy.io.savemat` writes as Matlab would have it.

    Numbers become double, lists of numbers vectors, other lists cell arrays, null an empty array.
    """
    if isinstance(value, Mapping):
        return {field_name(str(name)): plain(item) for name, item in value.items()}
    if value is None:
        return np.empty((0, 0))
    if isinstance(value, bool | int | float):
        return float(value)
    if isinstance(value, list):
        if all(isinstance(item, int | float) for item in value):
            return np.array(value, dtype=np.float64)
        cells = np.empty((1, len(value)), dtype=object)
        cells[0, :] = [plain(item) for item in value]
        return cells
    return value


def struct_array(columns: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Make a 1 x n structure array, one element per row of columns of equal length."""
    if not columns:
        return np.empty((0, 0))
    length = len(next(iter(columns.values())))
    rows = np.empty((1, length), dtype=[(name, object) for name in columns])
    for name, column in columns.items():
        rows[name][0, :] = [float(item) for item in column]
    return rows
