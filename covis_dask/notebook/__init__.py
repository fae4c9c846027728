"""COVIS in a notebook: choose runs, see what there is, process, watch, open.

>>> from covis_dask import notebook as covis
>>> covis.runs(year=2014, mode="diffuse")               # a DataFrame
>>> covis.coverage(year=2014)                           # a picture of it
>>> batch = covis.submit(year=2014, mode="diffuse")     # returns at once; shows itself, and keeps up to date
>>> batch.failures()
>>> batch.open(batch.table().run[0]).plot               # an xarray.Dataset
"""

from covis_dask.api.keywords import Options as Words
from covis_dask.api.keywords import Selection
from covis_dask.monitor.coverage import Coverage
from covis_dask.notebook.api import attach, batches, coverage, demo, plan, runs, submit
from covis_dask.notebook.view import BatchView

__all__ = [
    "BatchView",
    "Coverage",
    "Selection",
    "Words",
    "attach",
    "batches",
    "coverage",
    "demo",
    "plan",
    "runs",
    "submit",
]
