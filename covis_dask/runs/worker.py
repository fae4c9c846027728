"""One run, from raw archive to committed product, on whatever worker has room.

Nothing here talks to the catalogue, and no error leaves `process_run`: what went wrong is in the outcome.
"""

import os
import signal
import socket
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from threadpoolctl import threadpool_limits

from covis_dask.config import Location, Settings, load_settings
from covis_dask.engines import engine_named
from covis_dask.errors import (
    Bug,
    ConfigurationError,
    CovisError,
    EngineError,
    LegacyProduct,
    OutOfMemory,
    ProductDamaged,
)
from covis_dask.products.garbage import KEPT_TRIES
from covis_dask.products.manifest import Failure
from covis_dask.products.paths import LOG, ProductPaths, draw_try
from covis_dask.raw.leftovers import scratch_folder
from covis_dask.raw.scratch import scratch_fault
from covis_dask.runs._calls import SAID
from covis_dask.runs.events import Reporter
from covis_dask.runs.execution import RunExecution
from covis_dask.runs.memory import reused_memory
from covis_dask.runs.outcome import RunOutcome
from covis_dask.runs.provenance import provenance
from covis_dask.runs.record import RunLog, Stages
from covis_dask.runs.task import RunTask
from covis_dask.runs.versions import require
from covis_dask.storage import ProductStore

__all__ = ["StoreTask", "keep_remains", "named_fault", "open_store", "process_run"]

_LAST_LINES = 50
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS")


def process_run(task: RunTask, settings: Settings | None = None) -> RunOutcome:
    """Make the product of one run and commit it.

    Parameters
    ----------
    task : RunTask
        What to do.
    settings : Settings, optional
        Where things lie; the worker's own configuration when not given.

    Returns
    -------
    RunOutcome
        Also when anything fails: no exception leaves this function.
    """
    reporter = Reporter(task)
    with _turn, _one_thread(), reused_memory():
        outcome = _process(task, settings, Stages(reporter))
    reporter.ended(outcome)
    return outcome


_turn = threading.Lock()
"""Held by the run that a process is at. HDF5 ends a process in which two threads use it, so workers that were
started with several threads do one run after the other."""


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let numerical libraries use one thread, whatever the environment says: a worker has one core.

    Those that are loaded are told; those that a run loads will find it in the environment.
    """
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        with threadpool_limits(1):
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _process(task: RunTask, settings: Settings | None, stages: Stages) -> RunOutcome:
    scratch_root: str | None = None
    try:
        require(task.versions, socket.gethostname())
        settings = settings or load_settings()
        scratch_root = settings.scratch
        store = open_store(task, settings.products)
        with scratch_folder(settings.scratch) as scratch:
            execution = RunExecution(task, settings, store, scratch, RunLog(scratch / LOG), stages)
            try:
                return execution.run()
            except BaseException as error:
                if _is_users(error):
                    raise
                return _failed(execution, error)
    except BaseException as error:
        if _is_users(error):
            raise
        return RunOutcome.of_error(task, named_fault(error, scratch_root), **stages.known())


def _is_users(error: BaseException) -> bool:
    """Tell Ctrl-C from what engines raise: where nobody can press it, it is theirs."""
    return (
        isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )


def _failed(execution: RunExecution, error: BaseException) -> RunOutcome:
    """Say in log and store what went wrong."""
    fault = named_fault(error, execution.settings.scratch)
    with suppress(OSError):  # the log lies in scratch, which may be what is full
        execution.log(f"{fault.state}: {fault}")
        if fault is not error:
            execution.log("".join(traceback.format_exception(error)))
    # Where a run is left alone for what lies in its place, nothing is put beside that either.
    left_alone = isinstance(fault, (ConfigurationError, LegacyProduct, ProductDamaged))
    log = None if left_alone else _leave_failure(execution, fault)
    return RunOutcome.of_error(execution.task, fault, log=log, **execution.stages.known())


def named_fault(error: BaseException, scratch: str | None) -> CovisError:
    """Give every exception a place in the tree of errors; scratch without room makes many of them."""
    if isinstance(error, CovisError):
        return error
    if (fault := scratch_fault(error, scratch)) is not None:
        return fault
    if isinstance(error, MemoryError):
        return OutOfMemory("the worker ran out of memory; give each worker more, or run fewer per machine")
    if not isinstance(error, Exception):
        return EngineError(
            f"it asked for the end of the program ({type(error).__name__}: {error}); see {LOG}"
        )
    return Bug(f"{type(error).__name__}: {error}; this is a bug, and the traceback is in {LOG}")


class StoreTask(Protocol):
    """What a task says of the product store."""

    @property
    def store(self) -> str:
        """Its URL."""

    @property
    def store_id(self) -> str | None:
        """Its identity."""


_stores: dict[tuple[str, str | None], ProductStore] = {}
"""Stores this process has found to take writes."""


def open_store(task: StoreTask, location: Location) -> ProductStore:
    """Open the product store; make sure each time that it is the right one, and once that it takes writes."""
    if location.url != task.store:
        raise ConfigurationError(
            f"this worker ({socket.gethostname()}) writes products to {location.url}, but the batch means "
            f"{task.store}: give the worker the same covis.products.url"
        )
    key = (location.url, location.endpoint)
    if key in _stores:
        return _stores[key].expecting(task.store_id)
    store = ProductStore.open(location).expecting(task.store_id).probed()
    _stores[key] = store
    return store


def _leave_failure(execution: RunExecution, fault: CovisError) -> str | None:
    """Leave log and reason of a try that failed, beside what is committed; return where the log lies."""
    task, store = execution.task, execution.store
    name = draw_try(task.token, task.attempt)
    folder = ProductPaths.tries(task.path, name)
    try:
        failure = Failure(
            **provenance(task, engine_named(task.engine), execution.started),
            state=fault.state,
            kind=fault.kind,
            reason=str(fault),
        )
        store.put_file(execution.log.path, ProductPaths.log(folder))
        store.put_bytes(ProductPaths.failure(folder), failure.to_json().encode())
        older = [one for one in store.folders(ProductPaths.tries(task.path)) if one != name]
        for old in older[: max(0, len(older) + 1 - KEPT_TRIES)]:
            store.remove_folder(ProductPaths.tries(task.path, old))
    except (CovisError, OSError) as error:
        with suppress(OSError):
            execution.log(f"the failure itself could not be stored: {error}")
        return None
    return ProductPaths.log(folder)


def keep_remains(task: RunTask, fault: CovisError, folder: Path) -> str | None:
    """Leave the log of a run whose process was ended, and what it printed last, as any failed run's.

    Parameters
    ----------
    task : RunTask
    fault : CovisError
        Why it ended.
    folder : Path
        Where its process had its temporary files.

    Returns
    -------
    str or None
        Where the log lies below the store.

    Raises
    ------
    CovisError
        When this worker cannot reach the store.
    """
    settings = load_settings()
    store = open_store(task, settings.products)
    log = RunLog(next(folder.glob(f"*/{LOG}"), folder / LOG))
    execution = RunExecution(task, settings, store, log.path.parent, log, Stages(Reporter(task)))
    with suppress(OSError):
        for line in (folder / SAID).read_text("utf-8", errors="replace").splitlines()[-_LAST_LINES:]:
            log(f"said| {line}")
    log(f"{fault.state}: {fault}")
    return _leave_failure(execution, fault)
