"""What a product says of itself besides its numbers."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from covis_dask.products.manifest import InputFile, software_versions

__all__ = ["Attribution", "ProductFacts"]


@dataclass(frozen=True, slots=True)
class Attribution:
    """Who stands behind the product; defaults to the team that built COVIS. All texts may be changed."""

    institution: str = "Applied Physics Laboratory, University of Washington; Rutgers University"
    creator_name: str = "COVIS science team"
    creator_email: str = ""
    creator_url: str = "https://github.com/COVIS-Sonar"
    project: str = "COVIS: Cabled Observatory Vent Imaging Sonar"
    publisher_name: str = ""
    publisher_email: str = ""
    publisher_url: str = ""
    naming_authority: str = "com.github.covis-sonar"
    license: str = "none stated by the producer"
    acknowledgment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductFacts:
    """What a product says of itself besides its numbers.

    Parameters
    ----------
    basename, mode, site : str
        Of the run; `mode` as in its name.
    start : datetime
        Start of the run, UTC.
    end : datetime, optional
        Time of the last ping, UTC; the dataset's own attribute `time_coverage_end` when not given.
    engine, version : str
        Engine and its version.
    preset, profile : str
    parameters : mapping
        All parameters, nested, JSON-like.
    input : InputFile
        The raw archive.
    fingerprint : str
    created : datetime
        The only wall-clock time in the file. Give all attempts of a task the same one, and they write
        the same bytes.
    software : str
        Version of this package.
    notes : tuple of str
        What a user should know, such as a flat seafloor.
    attribution : Attribution
    """

    basename: str
    mode: str
    site: str
    start: dt.datetime
    end: dt.datetime | None = None
    engine: str
    version: str
    preset: str
    profile: str
    parameters: Mapping[str, Any]
    input: InputFile
    fingerprint: str
    created: dt.datetime
    software: str = field(default_factory=lambda: software_versions()["covis-dask"])
    notes: tuple[str, ...] = ()
    attribution: Attribution = Attribution()
