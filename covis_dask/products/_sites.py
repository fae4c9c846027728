"""What is known of the places where COVIS stood (science.md 1.2)."""

import math
from dataclasses import dataclass

__all__ = ["Site", "site"]

_METRES_PER_DEGREE = 111_320.0  # of longitude at the equator; good to 0.5 % for latitude too


@dataclass(frozen=True, slots=True)
class Site:
    """A place.

    Parameters
    ----------
    name : str
        As a reader knows it.
    position : tuple of float, optional
        Latitude and longitude of the tower, degrees; None where it is not known to the metre.
    depth : float
        Depth of the base, m.
    comment : str
        Comment of the original's parameter files.
    observatory : str
        Whose cable it is.
    """

    name: str
    position: tuple[float, float] | None
    depth: float
    comment: str
    observatory: str

    def bounds(
        self, x: tuple[float, float], y: tuple[float, float]
    ) -> tuple[float, float, float, float] | None:
        """Turn extents in metres east and north into latitude and longitude (south, north, west, east)."""
        if self.position is None:
            return None
        latitude, longitude = self.position
        east = _METRES_PER_DEGREE * math.cos(math.radians(latitude))
        south, north = (round(latitude + metres / _METRES_PER_DEGREE, 6) for metres in y)
        west, eastern = (round(longitude + metres / east, 6) for metres in x)
        return south, north, west, eastern


_SITES = {
    # UTM zone 9 N, 492669.0 E, 5310678.0 N (WGS 84).
    "Endeavour": Site(
        "Grotto vent, Main Endeavour Field, Juan de Fuca Ridge",
        (47.949374, -129.098181),
        2205.0,
        "main endeavour site",
        "Ocean Networks Canada NEPTUNE observatory",
    ),
    # The parameter files give no position, so none is claimed.
    "Ashes": Site(
        "ASHES vent field, Axial Seamount, Juan de Fuca Ridge",
        None,
        1500.0,
        "ASHES at Axial",
        "Ocean Observatories Initiative Regional Cabled Array",
    ),
}


def site(name: str) -> Site:
    """Return what is known of a site; an unknown one has its own name and no position."""
    return _SITES.get(name, Site(name or "unknown site", None, 0.0, name, "unknown observatory"))
