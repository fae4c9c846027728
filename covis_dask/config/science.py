"""What the configuration says of vents, regions and the second level's parameters: ``covis.science``."""

import datetime as dt
from typing import Annotated, Literal

from msgspec import Meta, field

from covis_dask.config._section import Section

__all__ = ["DiffuseSection", "PlumeSection", "Region", "ScienceSection", "Shadow", "Vent"]

Positive = Annotated[float, Meta(gt=0)]
Range = Annotated[tuple[float, float], Meta(description="lowest and highest, m")]
Point = tuple[float, float]


class Entry(Section, frozen=True, forbid_unknown_fields=True):
    """Something at a site, by its name, with the days on which it holds; both days belong to it."""

    site: str
    valid_from: Annotated[dt.date | None, Meta(description="first day; null: from ever")] = None
    valid_to: Annotated[dt.date | None, Meta(description="last day; null: for ever")] = None

    def holds(self, site: str, day: dt.date | None) -> bool:
        """Say whether it belongs to a site and a day; without a day, whatever its dates."""
        if site != self.site or day is None:
            return site == self.site
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_to is None or day <= self.valid_to
        )


class Vent(Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A source of a plume; lengths in metres, in the frame of the products (east, north, above the base)."""

    x: Annotated[float | None, Meta(description="east; null: where the lowest backscatter is strongest")] = (
        None
    )
    y: Annotated[float | None, Meta(description="north; null with x")] = None
    z: Annotated[float, Meta(description="height of the source")]
    search_radius: Annotated[float, Meta(gt=0, description="how far the centre may move between levels")]
    domain_radius: Annotated[float, Meta(gt=0, description="half width of what is looked at")]
    levels: Range
    heat_levels: Annotated[tuple[float, float] | None, Meta(description="null: all levels")] = None
    entrainment: Annotated[float, Meta(gt=0, description="of the plume model, held for single runs")] = 0.1
    entrainment_error: Annotated[float, Meta(ge=0, description="1-sigma")] = 0.02


class Region(Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An area of the seafloor over which diffuse flow is summed."""

    polygon: Annotated[tuple[Point, ...], Meta(min_length=3, description="corners [east, north], m")]
    active: Annotated[bool, Meta(description="known to have diffuse flow: no reference for its absence")] = (
        True
    )


class Shadow(Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a structure hides from COVIS: a sector beyond a distance, left out of areas and sums."""

    azimuths: Annotated[
        tuple[float, float], Meta(description="from and to, clockwise from north, degrees, -180 to 180")
    ]
    beyond: Annotated[float, Meta(ge=0, description="horizontal distance, m")]


class PlumeSection(Section, frozen=True):
    """How plumes are measured."""

    least_vertical: Annotated[
        float, Meta(gt=0, lt=1, description="share of a vertical velocity that the sonar must see")
    ] = 0.25
    extent_levels: Annotated[
        dict[str, list[float]], Meta(description="thresholds of backscatter by site, dB re 1/m")
    ] = field(default_factory=dict)
    resolution_correction: Annotated[
        bool, Meta(description="take the width of cell, pulse and beam out of radii")
    ] = False
    spectrum: Annotated[
        Literal["kolmogorov", "batchelor"], Meta(description="of temperature fluctuations")
    ] = "kolmogorov"
    calibration: Annotated[float, Meta(gt=0, description="factor on temperature fluctuations")] = 1.0


class DiffuseSection(Section, frozen=True):
    """How maps of diffuse flow are read."""

    thresholds: Annotated[
        dict[str, list[float]], Meta(description="of active areas, by map: decorrelation, phase-variance ...")
    ] = field(default_factory=dict)
    active: Annotated[
        dict[str, float], Meta(description="decorrelation that counts as active flow, by site")
    ] = field(default_factory=dict)
    least_range: Annotated[float, Meta(ge=0, description="nearest cell used, m")] = 4.0
    layer_height: Annotated[float, Meta(gt=0, description="of the warm water, m")] = 0.5
    integral_length: Annotated[float, Meta(gt=0, description="of its temperature, m")] = 0.1
    heat_flux_density: Annotated[bool, Meta(description="make the uncalibrated proxy")] = False
    heat_flux_calibration: Annotated[float, Meta(gt=0, description="factor on it")] = 1.0


class ScienceSection(Section, frozen=True):
    """Second-level quantities: plumes, heat flux, diffuse flow, change of the seafloor."""

    profile: Annotated[
        Literal["corrected", "matlab"], Meta(description="mended, or as the originals' programs")
    ] = "corrected"
    fixes: Annotated[list[str], Meta(description="quirks mended one by one in profile matlab")] = field(
        default_factory=list
    )
    vents: Annotated[dict[str, Vent | None], Meta(description="by name; null leaves one out")] = field(
        default_factory=dict
    )
    regions: Annotated[dict[str, Region | None], Meta(description="by name; null leaves one out")] = field(
        default_factory=dict
    )
    shadows: Annotated[dict[str, Shadow | None], Meta(description="by name; null leaves one out")] = field(
        default_factory=dict
    )
    plume: PlumeSection = PlumeSection()
    diffuse: DiffuseSection = DiffuseSection()
