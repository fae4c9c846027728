"""How the samples of a run are spread over its grids."""

from covis_dask.modes.parameters import Parameters
from covis_dask.sonar.grid import GridScheme

__all__ = ["scheme_of"]


def scheme_of(parameters: Parameters) -> GridScheme:
    """Return the gridding scheme of the era, with what is mended of it (Q1 to Q4)."""
    fixes = parameters.fixes
    return GridScheme(
        flattened=parameters.era == "END",
        product_weights=fixes.product_weights,
        matched_corners=fixes.matched_corners,
        axis_coordinates=fixes.axis_coordinates,
        every_sample=fixes.every_sample,
    )
