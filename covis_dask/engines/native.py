"""The engine of this package: Python from the archive's bytes to the dataset."""

import traceback
from collections.abc import Callable, Collection, Mapping
from typing import Any

import xarray as xr
from threadpoolctl import threadpool_limits

from catalog.model import Run
from catalog.names import mode_family
from catalog.vocabulary import Site
from covis_dask.errors import CovisError, EngineError, InputError, ModeUnsupported, OutOfMemory
from covis_dask.modes import Program, find_spec, program, with_family
from covis_dask.modes.context import Context
from covis_dask.modes.parameters import Parameters
from covis_dask.raw.ping import ATTITUDE
from covis_dask.raw.source import ArchiveSource
from covis_dask.raw.sweep import RawSweep, with_sweep

__all__ = ["VERSION", "NativeEngine"]

VERSION = "2"
"""Changes whenever a number in a product may change: it is part of the fingerprint."""


_ATTITUDE: Mapping[str, Collection[str]] = {
    Site.ENDEAVOUR: ("sensor_pitch", "sensor_roll", "sensor_heading"),
    Site.ASHES: ("pitch", "yaw", "sensor_pitch", "sensor_roll"),
}
"""Readings by which the programs of a site place a ping (docs/method.md#ping-table)."""


class _OtherFamily(Exception):
    """The run's own sweep.json names a mode of another family."""

    def __init__(self, family: str, mode: str) -> None:
        super().__init__(family, mode)
        self.family = family
        self.mode = mode


class NativeEngine:
    """Engine that needs nothing but this package (docs/architecture.md#engines).

    Attributes
    ----------
    name, version : str
        Parts of the product prefix and of the fingerprint.
    resources : mapping
        None: any worker will do.
    """

    name = "native"
    version = VERSION
    resources: Mapping[str, float] = {}

    def supports(self, run: Run) -> bool:
        """Say whether there is a program for this kind of run."""
        return find_spec(run.site, mode_family(run.mode, run.site)) is not None

    def check(self, parameters: Parameters) -> None:
        """Accept all parameters that there are."""

    def process(
        self, source: ArchiveSource, run: Run, parameters: Parameters, context: Context
    ) -> xr.Dataset:
        """Compute the product of one run.

        At Endeavour the mode in sweep.json decides which program it is, as in the original
        (docs/method.md#dispatch); a run whose name says otherwise is processed with that mode's parameters,
        the changed ones kept.

        Parameters
        ----------
        source : ArchiveSource
        run : Run
        parameters : Parameters
            For the family of the run's mode.
        context : Context

        Returns
        -------
        xarray.Dataset

        Raises
        ------
        InputError
            When the data are at fault.
        ModeUnsupported
            When there is no program for this kind of run.
        OutOfMemory
            When the memory does not suffice.
        EngineError
            When anything else goes wrong; the log has the traceback.
        """
        try:
            # One run per process: BLAS threads would only get in each other's way.
            with threadpool_limits(1, user_api="blas"):
                return self._process(source, run, parameters, context)
        except CovisError:
            raise
        except MemoryError as error:
            context.log(traceback.format_exc())
            raise OutOfMemory("There was not enough memory.") from error
        except Exception as error:
            context.log(traceback.format_exc())
            raise EngineError(
                f"The engine failed ({type(error).__name__}: {error}); the log has the traceback."
            ) from error

    def _process(
        self, source: ArchiveSource, run: Run, parameters: Parameters, context: Context
    ) -> xr.Dataset:
        """Process a run as its name has it, or else as its sweep.json does."""
        try:
            return self._attempt(source, run, parameters, context)
        except _OtherFamily as other:
            context.log(f"sweep.json says mode {other.mode!r}: processing as {other.family}")
            if program(other.family, run.site, parameters.preset) is None:
                raise ModeUnsupported(
                    f"sweep.json says mode {other.mode!r}: there is no program for such runs of {run.site}."
                ) from None
            return self._attempt(source, run, with_family(parameters, other.family), context)

    def _attempt(
        self, source: ArchiveSource, run: Run, parameters: Parameters, context: Context
    ) -> xr.Dataset:
        """Run one program over the archive."""
        mode_program = program(parameters.family, run.site, parameters.preset)
        if mode_program is None:
            raise ModeUnsupported(
                f"The native engine has no program for {run.site} runs of mode {run.mode} "
                f"with preset {parameters.preset}."
            )
        return with_sweep(
            source,
            run.basename,
            _consumer(mode_program, run.site, parameters, context),
            limits=context.limits,
            scratch=context.scratch,
            log=context.log,
        )


def _consumer(
    mode_program: Program, site: str, parameters: Parameters, context: Context
) -> Callable[[RawSweep], xr.Dataset]:
    """Return what is done with a sweep: the program, and a look at the mode in sweep.json."""

    def consume(sweep: RawSweep) -> xr.Dataset:
        sweep.attitude = _ATTITUDE.get(site, tuple(ATTITUDE))
        try:
            product = mode_program(sweep, parameters, context)
        except InputError:
            # The wrong program may well find the data at fault; sweep.json is known at the end only.
            sweep.finish()
            _check_family(sweep.sweep, site, parameters)
            raise
        _check_family(sweep.sweep, site, parameters)
        sweep.finish()
        if sweep.oddities:
            product.attrs["raw_notes"] = "; ".join(sweep.oddities)
        return product

    return consume


def _check_family(document: Mapping[str, Any], site: str, parameters: Parameters) -> None:
    """Hold the mode in sweep.json, where there is one, against the program (Endeavour only)."""
    mode = document.get("mode")
    if site != Site.ENDEAVOUR or not isinstance(mode, str) or not mode:
        return
    family = mode_family(mode, site)
    if family != parameters.family:
        raise _OtherFamily(family, mode)
