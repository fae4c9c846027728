"""Where tasks run: a local cluster made for the batch, or any scheduler by its address."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import dask.config
from dask.system import CPU_COUNT
from distributed import Client, LocalCluster

from covis_dask.errors import ConfigurationError

__all__ = ["open_client"]

_ARRIVAL = 60.0


@contextmanager
def open_client(address: str, workers: int | None = None, *, dashboard: str = ":8787") -> Iterator[Client]:
    """Connect to a cluster, and leave it as it was.

    Parameters
    ----------
    address : str
        ``local`` for one process per core (or `workers`) on this machine, else ``tcp://host:8786``.
    workers : int, optional
        Number of local workers.
    dashboard : str
        Where a local cluster serves its dashboard.

    Raises
    ------
    ConfigurationError
        When no scheduler answers, or it has no workers.
    """
    if address == "local":
        # One run per process with one thread each beats threads (docs/performance.md). A run that kills its
        # worker is ours to judge, so the scheduler must not try it again by itself.
        with (
            dask.config.set({"distributed.scheduler.allowed-failures": 0}),
            LocalCluster(
                n_workers=workers or CPU_COUNT,
                threads_per_worker=1,
                dashboard_address=dashboard,
                silence_logs=logging.CRITICAL,
            ) as cluster,
            Client(cluster) as client,
        ):
            yield client
        return
    try:
        client = Client(address, timeout="15s")
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigurationError(
            f"no Dask scheduler answers at {address} ({error}); start one, or use --scheduler local"
        ) from error
    with client:
        try:
            client.wait_for_workers(1, timeout=_ARRIVAL)
        except TimeoutError as error:
            raise ConfigurationError(f"the scheduler at {address} has no workers; start some") from error
        yield client
