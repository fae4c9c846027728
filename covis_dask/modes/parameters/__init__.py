"""Parameters of the mode programs: groups of frozen values, changed by key, by file or on the command line.

Each value can be changed by its dotted key, such as ``filter.bw`` or ``grids.intensity.dx``. Which mode has
which defaults stands with its `covis_dask.modes.registry.ModeSpec`.
"""

from covis_dask.modes.parameters._files import load_overrides, parse_set
from covis_dask.modes.parameters._grid import GridSpec, map_grid, volume_grid
from covis_dask.modes.parameters._instrument import (
    Attitude,
    Beamformer,
    Calibrate,
    Header,
    Position,
    Water,
)
from covis_dask.modes.parameters._overrides import apply, valid_keys, values
from covis_dask.modes.parameters._processing import (
    Averaging,
    Bathy,
    Bounds,
    Bursts,
    Correlation,
    Filter,
    Noise,
    Oscfar,
    Phase,
    PingCombination,
    Seafloor,
    Span,
)
from covis_dask.modes.parameters._tree import Parameters

__all__ = [
    "Attitude",
    "Averaging",
    "Bathy",
    "Beamformer",
    "Bounds",
    "Bursts",
    "Calibrate",
    "Correlation",
    "Filter",
    "GridSpec",
    "Header",
    "Noise",
    "Oscfar",
    "Parameters",
    "Phase",
    "PingCombination",
    "Position",
    "Seafloor",
    "Span",
    "Water",
    "apply",
    "load_overrides",
    "map_grid",
    "parse_set",
    "valid_keys",
    "values",
    "volume_grid",
]
