"""The closed vocabulary of COVIS: sites, families of modes, states of a run, kinds of error.

The lowest module of all: it imports nothing of this package, and everything else may import it. Members are
strings, so they travel through JSON, SQL, BSON and pickles as the words they stand for, and compare equal to
words read from there.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

__all__ = [
    "COMPLETE",
    "HEAD_HEIGHT",
    "SITES",
    "Family",
    "Kind",
    "RunState",
    "Site",
    "SiteDescription",
    "describe_site",
]


class Site(StrEnum):
    """Where COVIS has stood, as the catalogue spells it; `SITES` describes each."""

    ENDEAVOUR = "Endeavour"
    ASHES = "Ashes"


class Family(StrEnum):
    """Families of modes that this program knows by itself.

    Programs for further modes may be added from outside (entry points), so functions that take a family take
    any `str`, which a member equals; `catalog.names.families` lists those that are installed, too.
    """

    IMAGING = "imaging"
    DIFFUSE = "diffuse"
    DOPPLER = "doppler"
    BATHY = "bathy"
    FULLIMAGING = "fullimaging"
    SURVEY = "survey"
    TARGET = "target"
    PANO = "pano"
    UNKNOWN = "unknown"


class RunState(StrEnum):
    """How a run can end; every selected run of a batch is counted under exactly one of these."""

    DONE = "done"
    """The product has been committed now."""
    ALREADY = "already"
    """It was committed before, with the same fingerprint."""
    FAILED = "failed"
    """Worth another try: the next batch takes the run again."""
    QUARANTINED = "quarantined"
    """The data are at fault: left alone until the raw file changes."""
    UNSUPPORTED = "unsupported"
    """The engine has no program for runs of this mode."""
    NOT_RUN = "not-run"
    """The batch was interrupted or stopped, or another batch holds the run."""


COMPLETE = frozenset({RunState.DONE, RunState.ALREADY})
"""States of runs whose product is there, and up to date."""


class Kind(StrEnum):
    """Why something went wrong, in a word that stays the same for ever.

    Catalogues, manifests and reports of past years hold these words: append new ones, never rename or remove
    one. The tree of errors in `covis_dask.errors` shows which error has which kind.
    """

    ERROR = "error"
    CONFIGURATION = "configuration"
    STORAGE_REFUSED = "storage-refused"
    TRANSIENT = "transient"
    STORAGE_UNAVAILABLE = "storage-unavailable"
    WORKER_LOST = "worker-lost"
    RAW_MISSING = "raw-missing"
    ENGINE_ERROR = "engine-error"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out-of-memory"
    CANCELLED = "cancelled"
    BAD_INPUT = "bad-input"
    ARCHIVE_TRUNCATED = "archive-truncated"
    ARCHIVE_UNREADABLE = "archive-unreadable"
    ARCHIVE_UNSAFE = "archive-unsafe"
    SWEEP_INCOMPLETE = "sweep-incomplete"
    NO_VALID_PINGS = "no-valid-pings"
    MODE_UNSUPPORTED = "mode-unsupported"
    BUG = "bug"
    LEGACY_PRODUCT = "legacy-product"
    CATALOG_ERROR = "catalog-error"
    CATALOG_UNAVAILABLE = "catalog-unavailable"
    BAD_SELECTION = "bad-selection"
    BAD_NAME = "bad-name"
    BAD_LISTING = "bad-listing"
    BAD_DOCUMENT = "bad-document"
    PRODUCT_DAMAGED = "product-damaged"
    UNREADABLE = "unreadable"
    ENGINE_CRASHED = "engine-crashed"


HEAD_HEIGHT = 4.2
"""Height of the sonar head above the base of the tower, m: the same tower stood at both sites."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteDescription:
    """What is known of a site, each fact once.

    Parameters
    ----------
    title : str
        Name for a reader.
    observatory : str
        The cabled observatory that COVIS was connected to.
    catalogued_from : date
        Runs from this day on (UTC) belong to this site, up to the next one's.
    deployed : tuple of date
        First and last day with runs in the archive; None while there may be more.
    position : tuple of float, optional
        Latitude and longitude of the tower, degrees (WGS 84); None where no source gives it.
    position_comment : str
        How well it is known, for the reader of a product.
    easting, northing : float
        UTM coordinates of the tower in the original's parameter files, m; nought where they give none.
    depth : float
        Depth of the base in the original's parameter files, m.
    head_height : float
        Height of the sonar head above the base, m.
    declination : float
        Magnetic declination that the original programs use, degrees east.
    headings : mapping of int to float
        Magnetic heading of the centred head by year, degrees; key 0 holds for every other year.
    limits_heading : float
        Lower and upper limit of the heading in the original's parameter files of 2010-15, degrees. They
        differ from the heading there by some degrees; neither is read by a program, both are recorded.
    latitude, longitude : float
        Of the field, degrees, as rounded as the properties of sea water need them; default of a run's
        parameters.
    water_latitude : float
        Latitude to the degree, as the original of 2018+ states it for the sound speed; at Endeavour, whose
        programs compute no sound speed, that of the field rounded likewise, for simulated water.
    water_temperature : float
        Temperature for the properties of sea water, degrees C, as the original programs state it.
    water_salinity : float
        Practical salinity, likewise.
    water_ph : float
        pH, likewise.
    water_depth : float
        Depth, m, likewise; not that of the base.
    comment : str
        Comment in the original's parameter files.
    """

    title: str
    observatory: str
    catalogued_from: dt.date
    deployed: tuple[dt.date, dt.date | None]
    position: tuple[float, float] | None = None
    position_comment: str = ""
    easting: float = 0.0
    northing: float = 0.0
    depth: float = 0.0
    head_height: float = HEAD_HEIGHT
    declination: float = 0.0
    headings: Mapping[int, float] = field(default_factory=dict)
    limits_heading: float = 0.0
    latitude: float = 0.0
    longitude: float = 0.0
    water_latitude: float = 0.0
    water_temperature: float = 0.0
    water_salinity: float = 0.0
    water_ph: float = 0.0
    water_depth: float = 0.0
    comment: str = ""

    def heading(self, year: int = 0) -> float:
        """Return the magnetic heading of the centred head, degrees: in a year, or in those not listed."""
        return self.headings.get(year, self.headings.get(0, 0.0))


# Sources. Both: head height and declination from the programs' code and parameter files, in the public
# repositories named below; days of the first and last runs from the archive listings.
SITES: Mapping[str, SiteDescription] = MappingProxyType(
    {
        # github.com/amarburg/covis-postprocessing: parameter files of 2010-15 (UTM zone 9 N, WGS 84, depth,
        # heading of the imaging mode), and the conditions its code states beside the absorption constants.
        # The position is that easting and northing in degrees.
        # Field: Bemis et al. (2015), Deep-Sea Research II 121, https://doi.org/10.1016/j.dsr2.2015.06.002
        Site.ENDEAVOUR: SiteDescription(
            title="Grotto vent, Main Endeavour Field, Juan de Fuca Ridge",
            observatory="Ocean Networks Canada NEPTUNE observatory",
            catalogued_from=dt.date.min,
            deployed=(dt.date(2010, 9, 30), dt.date(2015, 12, 31)),
            position=(47.949374, -129.098181),
            position_comment="COVIS stood at 47.949374 N, 129.098181 W (WGS 84), known to the metre.",
            easting=492669.0,
            northing=5310678.0,
            depth=2205.0,
            declination=18.0,
            headings=MappingProxyType({0: 230.4}),
            limits_heading=235.0,
            latitude=47.95,
            longitude=-129.1,
            water_latitude=48.0,
            water_temperature=2.0,
            water_salinity=35.0,
            water_ph=7.0,
            water_depth=2500.0,
            comment="main endeavour site",
        ),
        # github.com/COVIS-Sonar/postprocessing: parameter files and code of release 3.2; latitude, longitude
        # and the properties of the water are those of the sound speed. The files give no position of the
        # tower; that of the field is 45 56.0167 N, 130 0.8333 W (https://novae.ocean.washington.edu/file/Ashes).
        # Field: Xu et al. (2021), Earth and Space Science
        Site.ASHES: SiteDescription(
            title="ASHES vent field, Axial Seamount, Juan de Fuca Ridge",
            observatory="Ocean Observatories Initiative Regional Cabled Array",
            catalogued_from=dt.date(2016, 1, 1),
            deployed=(dt.date(2018, 7, 29), None),
            position=(45.933612, -130.013888),
            position_comment="The position of the tower is not published: 45.933612 N, 130.013888 W (WGS 84) "
            "is that of the ASHES vent field, so longitude and latitude are good to some 50 m, all of a "
            "deployment shifted alike; x and y are not affected.",
            depth=1500.0,
            declination=16.0,
            headings=MappingProxyType({2018: 289.0, 0: 279.0}),
            latitude=46.0,
            longitude=-130.0,
            water_latitude=46.0,
            water_temperature=2.41,
            water_salinity=34.53,
            water_ph=7.0,
            water_depth=1544.0,
            comment="ASHES at Axial",
        ),
    }
)
"""The sites, in the order in which COVIS stood there."""


def describe_site(name: str) -> SiteDescription:
    """Return what is known of a site; one that is not in `SITES` has its own name and no facts."""
    known = SITES.get(name)
    if known is not None:
        return known
    return SiteDescription(
        title=name or "unknown site",
        observatory="unknown observatory",
        catalogued_from=dt.date.max,
        deployed=(dt.date.max, None),
        comment=name,
    )
