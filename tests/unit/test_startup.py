"""Commands answer at once: what is heavy is imported when it is needed."""

import subprocess
import sys

import pytest

from covis_dask.batches.clusters import KINDS
from covis_dask.batches.request import CLUSTER_KINDS

_HEAVY = ("numba", "numpy", "scipy", "xarray", "dask", "distributed", "matplotlib", "netCDF4")


def _imported(statement: str) -> set[str]:
    """Tell which of the heavy packages a statement imports."""
    code = f"import sys; {statement}; print(*(name for name in {_HEAVY} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["covis_dask", "covis_dask.batch", "covis_dask.process", "covis_dask.cli"])
def test_command_lines_import_nothing_heavy(module: str) -> None:
    """Words are read, and help is given, without numerics, plotting or Dask."""
    assert _imported(f"import {module}") == set()


def test_the_driver_compiles_nothing() -> None:
    """Kernels belong to workers: what plans and drives a batch does without numba."""
    assert "numba" not in _imported(
        "import covis_dask.batches.service; from covis_dask.engines import engine_named;"
        "engine_named('native')"
    )


def test_cluster_words_are_those_that_can_be_started() -> None:
    """``--cluster`` offers what `covis_dask.batches.clusters` can start."""
    assert set(CLUSTER_KINDS) == set(KINDS)
