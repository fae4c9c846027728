"""Raw COVIS runs of known physics, in the instrument's own format (docs/method.md#raw-data)."""

from covis_dask.simulate.instrument import Instrument, instrument
from covis_dask.simulate.pack import write_archive
from covis_dask.simulate.run import RunSpec, simulate
from covis_dask.simulate.scene import INDEPENDENT, FilledVolume, Plume, PointScatterers, Scene
from covis_dask.simulate.seafloor import FlowPatch, Seafloor, Step

__all__ = [
    "INDEPENDENT",
    "FilledVolume",
    "FlowPatch",
    "Instrument",
    "Plume",
    "PointScatterers",
    "RunSpec",
    "Scene",
    "Seafloor",
    "Step",
    "instrument",
    "simulate",
    "write_archive",
]
