"""The engine that drives the original's compiled Matlab code (docs/architecture.md#engines).

The R2020a runtime speaks only to the Pythons of its day, so it lives in a child process (`MatlabRunner`).
"""

import atexit
import os
import shutil
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

import dask.utils
import xarray as xr
from fsspec.implementations.local import LocalFileSystem

from catalog.model import Run
from catalog.names import mode_family
from covis_dask.engines._conversion import RunFacts, convert
from covis_dask.engines._mat_reader import Structure, read_structures
from covis_dask.engines._runner import MatlabRunner
from covis_dask.engines._settings import MatlabSettings
from covis_dask.engines._unpack import unpack_run
from covis_dask.errors import ConfigurationError, EngineError, ModeUnsupported
from covis_dask.modes import parameters_for
from covis_dask.modes.context import Context
from covis_dask.modes.parameters import Parameters
from covis_dask.raw.source import ArchiveSource
from covis_dask.raw.sweep import with_sweep

__all__ = ["VERSION", "MatlabEngine"]

VERSION = "1"
"""Changes whenever what we make of the Matlab code's results may change."""

_UNRECOGNISED = ("unrecognised data type", "unrecognized data type")


class MatlabEngine:
    """Engine that needs a worker made from the Matlab image; one run at a time in each worker process.

    Attributes
    ----------
    name, version : str
        Parts of the product prefix and of the fingerprint; the version holds ``covis.matlab.release``.
    resources : mapping
        Dask sends its runs only to workers that offer ``MATLAB=1``.
    """

    name = "matlab"
    resources: Mapping[str, float] = {"MATLAB": 1}

    def __init__(self) -> None:
        self._settings = MatlabSettings.load()
        release = self._settings.release
        self.version = VERSION if release is None else f"{VERSION}-{release}"
        self._lock = threading.Lock()
        self._runner: MatlabRunner | None = None
        atexit.register(self.close)

    def supports(self, run: Run) -> bool:
        """Say whether the image's code knows this kind of run (``covis.matlab.knows``)."""
        return mode_family(run.mode, run.site) in self._settings.supported_modes.get(run.site, frozenset())

    def check(self, parameters: Parameters) -> None:
        """Refuse settings that the compiled code cannot take: its parameters are inside.

        Raises
        ------
        ConfigurationError
            For another profile, a fix, or any changed parameter.
        """
        if parameters.profile != "matlab":
            raise ConfigurationError(
                f"--engine matlab has no profile {parameters.profile}: the compiled code corrects nothing"
            )
        if parameters.fixed:
            raise ConfigurationError(
                f"--engine matlab cannot fix {', '.join(parameters.fixed)}: the compiled code has no fixes"
            )
        known = parameters_for(parameters.family, parameters.site, preset=parameters.preset)
        if parameters.to_dict() != known.to_dict():
            raise ConfigurationError(
                "--engine matlab takes no changed parameters: the compiled code has its own; "
                "use --engine native"
            )

    def process(
        self, source: ArchiveSource, run: Run, parameters: Parameters, context: Context
    ) -> xr.Dataset:
        """Unpack the run, have it processed, and read what came out; the .mat goes with the product.

        Parameters
        ----------
        source : ArchiveSource
        run : Run
        parameters : Parameters
            Those of the preset, unchanged: the compiled code has its own inside.
        context : Context
            The time limit is heeded: the runner's process group is killed when `progress` raises.

        Raises
        ------
        InputError
            When the archive or its sweep.json or index.csv are at fault.
        ModeUnsupported
            When the image's code does not know this kind of run.
        EngineError
            When Matlab raises, ends early, or leaves no .mat that can be read.
        OutOfMemory
            When the runner was killed.
        ConfigurationError
            When this worker has no Matlab code, or another release of it than configured.
        """
        if not self.supports(run):
            raise ModeUnsupported(
                f"the Matlab code of this image has no program for {run.site} runs of mode {run.mode} "
                "(covis.matlab.knows)"
            )
        self.check(parameters)
        with self._lock, tempfile.TemporaryDirectory(prefix="covis-run-", dir=context.scratch) as folder:
            scratch = Path(folder)

            def tick() -> None:
                context.progress(0, 0)

            home = unpack_run(source, run.basename, scratch, context.limits, tick)
            recording = with_sweep(
                ArchiveSource(LocalFileSystem(), os.fspath(home)),
                run.basename,
                lambda sweep: RunFacts.of(sweep, home),
                limits=context.limits,
                scratch=scratch,
                log=context.log,
            )
            made = self._compute(run, parameters, home, scratch, context)
            dataset = convert(made, recording, parameters, run.site, context.log)
            if self._runner is not None:
                dataset.attrs["matlab_code"] = dict(self._runner.metadata)
            return dataset

    def _compute(
        self, run: Run, parameters: Parameters, home: Path, scratch: Path, context: Context
    ) -> Mapping[str, Structure]:
        """Have the Matlab code make its files, keep them, and read them."""
        full = parameters.family == "fullimaging"
        # The original derives the second name of a full-range run from the first (docs/method.md#catalogue).
        stem = run.basename.replace("fullimaging1", "imaging1") if full else run.basename
        out = scratch / "out"
        out.mkdir()
        mat = out / f"{stem}.mat"
        runner = self._ready(context)
        try:
            runner.process(
                "process_fullimaging" if full else "process",
                home,
                mat,
                context.log,
                lambda: context.progress(0, 0),
            )
        except EngineError as error:
            if any(message in str(error).lower() for message in _UNRECOGNISED):
                raise ModeUnsupported(f"the Matlab code does not know such runs: {error}") from error
            raise
        paths = [mat, out / f"{stem.replace('imaging1', 'diffuse_fr1')}.mat"] if full else [mat]
        content: dict[str, Structure] = {}
        for path in paths:
            content |= read_structures(path)
            context.log(f"{path.name}: {dask.utils.format_bytes(path.stat().st_size)}")
            if context.extra is not None:
                shutil.copyfile(path, context.extra / path.name)
        return content

    def _ready(self, context: Context) -> MatlabRunner:
        """Return a runner that can take a run: the one there is, or a new one."""
        settings, runner = self._settings, self._runner
        if runner is not None and runner.alive and runner.runs < settings.recycle:
            return runner
        if runner is not None:
            runner.kill()
        self._runner = MatlabRunner(settings.python, settings.scratch, settings.start_timeout)
        context.log(f"opening the Matlab runtime with {settings.python}")
        self._runner.start(context.log, lambda: context.progress(0, 0))
        metadata = self._runner.metadata
        context.log(f"Matlab code: {', '.join(f'{key} {value}' for key, value in metadata.items())}")
        said = str(metadata.get("verstr", ""))
        if settings.release is not None and said != settings.release:
            self._runner.kill()
            raise ConfigurationError(
                f"this worker's Matlab code is release {said or 'unknown'}, but covis.matlab.release says "
                f"{settings.release}: correct the setting, or use that image"
            )
        return self._runner

    def close(self) -> None:
        """End the runner, if there is one."""
        if self._runner is not None:
            self._runner.kill()
            self._runner = None
