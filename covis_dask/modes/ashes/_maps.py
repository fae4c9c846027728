"""Maps of the 2018+ diffuse and full-range modes: one gridding call and one weight for each."""

import numpy as np

from covis_dask.errors import ConfigurationError
from covis_dask.modes._scheme import scheme_of
from covis_dask.modes.ashes._product import axes_of
from covis_dask.modes.dataset import DatasetBuilder
from covis_dask.modes.parameters import Parameters
from covis_dask.modes.registry import spec_for
from covis_dask.sonar._types import Real
from covis_dask.sonar.grid import make_gridder

__all__ = ["MapGrids"]


class MapGrids:
    """The grids of a parameter set, by their lower-case names.

    Parameters
    ----------
    parameters : Parameters

    Raises
    ------
    ConfigurationError
        When the parameters ask for a grid the mode cannot make.
    """

    def __init__(self, parameters: Parameters) -> None:
        described = spec_for(parameters.site, parameters.family).grids
        known = [grid.prefix for grid in described if grid.prefix]
        kinds = [spec.name.lower() for spec in parameters.grids]
        unknown = [kind for kind in kinds if kind not in known]
        if unknown:
            raise ConfigurationError(
                f"{parameters.family} runs have no grid {unknown[0]!r}: they have {', '.join(known)}"
            )
        self._axes = {kind: axes_of(spec) for kind, spec in zip(kinds, parameters.grids, strict=True)}
        scheme = scheme_of(parameters)
        self._grids = {kind: make_gridder(axes, ["v"], scheme) for kind, axes in self._axes.items()}

    def add(self, kind: str, x: Real, y: Real, value: Real) -> None:
        """Add values at positions, [N, B] each; those that are not finite are left out.

        A grid that the parameters do not ask for takes nothing.
        """
        if kind in self._grids:
            self._grids[kind].add((x, y), {"v": value}, np.isfinite(value) & np.isfinite(x))

    def add_to(self, product: DatasetBuilder, suffix: str | None = None) -> None:
        """Add the finished maps to a product; `suffix` ends the names of axes of their own."""
        for kind, grid in self._grids.items():
            product.grid(self._axes[kind], grid.finish(), kind, suffix)
