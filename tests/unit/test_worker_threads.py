"""A worker uses one core: what a run may start in threads, as a real worker has it."""

import importlib
import pkgutil
from pathlib import Path
from typing import Any
from unittest.mock import patch

import dask.config
import numba
from distributed import Client, LocalCluster
from threadpoolctl import threadpool_info

import covis_dask.sonar
from tests._place import Place, diffuse

_MANY = {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}


def _threads() -> list[int]:
    return [int(library["num_threads"]) for library in threadpool_info()]


def _watched(archive: str, folder: str) -> dict[str, Any]:
    """Process a run, and look at the libraries before, while it computes, while it writes, and after."""
    from covis_dask.cli._process import run
    from covis_dask.cli.process import parser
    from covis_dask.engines.native import NativeEngine
    from covis_dask.products.writers import write_product
    from covis_dask.runs import execution

    found: dict[str, Any] = {"before": _threads()}
    process, write = NativeEngine.process, write_product

    def processed(*arguments: Any) -> Any:
        found["compute"] = _threads()
        return process(*arguments)

    def written(*arguments: Any, **words: Any) -> Any:
        found["write"] = _threads()
        return write(*arguments, **words)

    with patch.object(NativeEngine, "process", processed), patch.object(execution, "write_product", written):
        found["code"] = run(parser().parse_args([archive, "--output", folder]))
    found["numba"] = bool(numba.np.ufunc.parallel._is_initialized)
    return found


def test_a_run_has_one_thread_whatever_the_environment_says(tmp_path: Path) -> None:
    """Where the environment allows two, numerical libraries have one while a run is computed and written."""
    archive = Place(tmp_path).store(diffuse(1), extension=".tar")
    with (
        dask.config.set({"distributed.nanny.pre-spawn-environ": _MANY}),
        LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
    ):
        found = client.submit(_watched, str(archive), str(tmp_path / "out")).result()
    assert found["code"] == 0
    assert found["before"]
    assert set(found["compute"]) == set(found["write"]) == {1}
    assert not found["numba"], "kernels have started threads"


def test_no_kernel_asks_for_threads() -> None:
    """Compiled loops run in the thread that calls them."""
    kernels = [
        kernel
        for module in pkgutil.iter_modules(covis_dask.sonar.__path__)
        for kernel in vars(importlib.import_module(f"covis_dask.sonar.{module.name}")).values()
        if isinstance(kernel, numba.core.registry.CPUDispatcher)
    ]
    assert kernels
    assert not [kernel for kernel in kernels if kernel.targetoptions.get("parallel")]
