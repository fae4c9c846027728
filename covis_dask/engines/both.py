"""Both engines on the same run: the tool for moving from the Matlab code to this package."""

from collections.abc import Mapping
from typing import Any

import xarray as xr

from catalog.model import Run
from covis_dask.engines.comparison import compare, table, to_json
from covis_dask.engines.matlab import MatlabEngine
from covis_dask.engines.native import NativeEngine
from covis_dask.engines.summary import COMPARISON
from covis_dask.modes.context import Context
from covis_dask.modes.parameters import Parameters
from covis_dask.raw.source import ArchiveSource

__all__ = ["BothEngines"]


class BothEngines:
    """Runs Matlab and native on a run, and says how their products differ, variable by variable.

    The product is the native one; beside it lie the Matlab code's ``.mat`` and ``comparison.json``, and the
    run's log holds the same as a table.

    Attributes
    ----------
    name, version : str
        Parts of the product prefix and of the fingerprint: those of both engines.
    resources : mapping
        As for the Matlab engine.
    """

    name = "both"
    resources: Mapping[str, float] = MatlabEngine.resources

    def __init__(self) -> None:
        self._native, self._matlab = NativeEngine(), MatlabEngine()
        self.version = f"{self._native.version}+{self._matlab.version}"

    def supports(self, run: Run) -> bool:
        """Say whether both have a program for this kind of run."""
        return self._native.supports(run) and self._matlab.supports(run)

    def check(self, parameters: Parameters) -> None:
        """Refuse what the Matlab engine refuses; see `MatlabEngine.check`."""
        self._matlab.check(parameters)

    def process(
        self, source: ArchiveSource, run: Run, parameters: Parameters, context: Context
    ) -> xr.Dataset:
        """Process a run twice and compare; errors as for the two engines, Matlab's first."""
        context.log("the Matlab engine:")
        theirs = self._matlab.process(source, run, parameters, context)
        context.log("the native engine:")
        ours = self._native.process(source, run, parameters, context)
        differences = compare(ours, theirs)
        for line in table(differences):
            context.log(line)
        differing = [item.variable for item in differences if not item.note and not item.agrees]
        context.log(
            f"the engines differ in {', '.join(differing)}"
            if differing
            else "the engines agree on everything they share"
        )
        if context.extra is not None:
            (context.extra / COMPARISON).write_text(to_json(differences), encoding="utf-8")
        summary: dict[str, Any] = {
            "engines_agree": int(not differing),
            "engines_differ_in": ", ".join(differing),
        }
        if "matlab_code" in theirs.attrs:
            summary["matlab_code"] = theirs.attrs["matlab_code"]
        return ours.assign_attrs(summary)
