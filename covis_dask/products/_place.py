"""Where a product lies on Earth: local metres about the tower, as a map projection with its origin there."""

import math
from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from catalog.vocabulary import SiteDescription

__all__ = ["CRS", "degrees_of", "place"]

CRS: Final = "crs"
"""The variable that describes the projection."""

# WGS 84
_SEMI_MAJOR: Final = 6_378_137.0
_INVERSE_FLATTENING: Final = 298.257223563

Real = NDArray[np.float64]


def degrees_of(origin: tuple[float, float], x: Real, y: Real) -> tuple[Real, Real]:
    """Return longitudes of eastings and latitudes of northings, degrees.

    Parameters
    ----------
    origin : tuple of float
        Latitude and longitude of the tower, degrees.
    x, y : ndarray of float64
        Metres east and north of it. Each alone decides its degree: within 100 m of the tower that is right
        to a millimetre.
    """
    latitude, longitude = origin
    flattening = 1 / _INVERSE_FLATTENING
    squared = flattening * (2 - flattening)
    curve = 1 - squared * math.sin(math.radians(latitude)) ** 2
    along, across = _SEMI_MAJOR * (1 - squared) / curve**1.5, _SEMI_MAJOR / math.sqrt(curve)
    east = across * math.cos(math.radians(latitude))
    return longitude + np.rad2deg(x / east), latitude + np.rad2deg(y / along)


def place(ds: xr.Dataset, site: SiteDescription) -> xr.Dataset:
    """Add projection, longitude and latitude to every pair of axes; nothing where no origin is known."""
    if site.position is None:
        return ds
    projection = _projection(site.position, site.position_comment)
    placed = ds.assign_coords({CRS: ((), np.int32(0), projection)})
    for name in [str(name) for name in ds.coords]:
        head, _, suffix = name.partition("_")
        if head not in ("x", "y") or ds[name].dims != (name,):
            continue
        values = np.asarray(ds[name].values, dtype=np.float64)
        longitude, latitude = degrees_of(site.position, values, values)
        word, degrees, unit = (
            ("longitude", longitude, "degrees_east")
            if head == "x"
            else ("latitude", latitude, "degrees_north")
        )
        attributes = {
            "long_name": word.capitalize(),
            "standard_name": word,
            "units": unit,
            "coverage_content_type": "coordinate",
        }
        placed = placed.assign_coords({f"{word}_{suffix}" if suffix else word: (name, degrees, attributes)})
        placed[name].attrs["axis"] = head.upper()
        if not suffix:  # of one name only, says CF
            placed[name].attrs["standard_name"] = f"projection_{head}_coordinate"
    return placed


def _projection(origin: tuple[float, float], comment: str) -> dict[str, object]:
    """Describe the projection in the words of CF, appendix F."""
    latitude, longitude = origin
    attributes: dict[str, object] = {
        "long_name": "Map projection of the local axes, with its origin at the foot of the COVIS tower",
        "grid_mapping_name": "azimuthal_equidistant",
        "latitude_of_projection_origin": latitude,
        "longitude_of_projection_origin": longitude,
        "false_easting": 0.0,
        "false_northing": 0.0,
        "semi_major_axis": _SEMI_MAJOR,
        "inverse_flattening": _INVERSE_FLATTENING,
        "longitude_of_prime_meridian": 0.0,
        "horizontal_datum_name": "World Geodetic System 1984",
        "reference_ellipsoid_name": "WGS 84",
        "prime_meridian_name": "Greenwich",
        "geographic_crs_name": "WGS 84",
        "coverage_content_type": "referenceInformation",
    }
    return attributes | ({"comment": comment} if comment else {})
