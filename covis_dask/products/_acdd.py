"""Global attributes of a product: CF-1.10, ACDD-1.3, and our own provenance."""

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from catalog.documents import to_plain
from catalog.vocabulary import HEAD_HEIGHT, SiteDescription, describe_site
from covis_dask.modes import ModeSpec
from covis_dask.modes.fixes import profile_name
from covis_dask.products._facts import Attribution, ProductFacts
from covis_dask.products.schema import ATTRIBUTE, SCHEMA

__all__ = ["global_attributes", "place_attributes", "plain_attributes"]

_REFERENCES = (
    "Bemis et al. (2015), The path to COVIS: A review of acoustic imaging of hydrothermal flow regimes, "
    "Deep-Sea Research II 121, https://doi.org/10.1016/j.dsr2.2015.06.002; "
    "Xu et al. (2021), Acoustic and in-situ observations of deep seafloor hydrothermal discharge: an OOI "
    "Cabled Array ASHES vent field case study, Earth and Space Science"
)
_FRAME = (
    "Local Cartesian frame: x east, y north, z up, in metres; origin at the foot of the COVIS tower, "
    f"sonar head at (0, 0, {HEAD_HEIGHT:g})"
)


def plain_attributes(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what NetCDF and Zarr can both hold: text, numbers, lists of numbers; the rest as JSON text."""
    plain: dict[str, Any] = {}
    for name, value in attrs.items():
        if value is None:
            continue
        if isinstance(value, bool | np.bool_):
            plain[name] = np.int32(value)
        elif isinstance(value, str | int | float | np.number):
            plain[name] = value
        elif isinstance(value, list | tuple | np.ndarray) and np.asarray(value).dtype.kind in "iuf":
            numbers = np.asarray(value)
            # An empty list is of kind float, and what is listed here (pings, bursts) is whole.
            whole = numbers.dtype.kind in "iu" or not numbers.size
            plain[name] = numbers.astype(np.int32 if whole else np.float64).ravel()
        else:
            plain[name] = json.dumps(to_plain(value), sort_keys=True)
    return plain


def global_attributes(ds: xr.Dataset, provenance: ProductFacts, spec: ModeSpec) -> dict[str, Any]:
    """Gather the global attributes, those that tell nothing left out."""
    site = describe_site(provenance.site)
    who = provenance.attribution
    raw = provenance.input
    created = _iso(provenance.created)
    notes = _notes(ds, provenance, spec)
    fixes = provenance.parameters.get("fixes", ())
    profile = profile_name(provenance.profile, fixes)
    attributes = {
        "Conventions": "CF-1.10, ACDD-1.3",
        "title": f"COVIS {provenance.mode}, {site.title}, "
        f"{provenance.start.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC",
        "summary": _summary(spec.summary, site, provenance),
        "keywords": ", ".join(spec.keywords),
        "keywords_vocabulary": "GCMD Science Keywords",
        "standard_name_vocabulary": "CF-StandardNameTable-93",
        "id": provenance.basename,
        "naming_authority": who.naming_authority,
        "source": "acoustic backscatter recorded by COVIS, a modified Reson SeaBat 7125 multibeam sonar",
        "platform": "COVIS tower on the seafloor",
        "instrument": "Reson SeaBat 7125 multibeam sonar",
        "processing_level": "gridded, calibrated, one run",
        **_creators(who),
        "license": who.license,
        "acknowledgment": who.acknowledgment or f"Raw data recorded over the {site.observatory}",
        "references": _REFERENCES,
        "comment": ". ".join((_FRAME, *notes)),
        "history": f"{created} covis-dask {provenance.software}: {provenance.engine} engine "
        f"{provenance.version}, preset {provenance.preset}, profile {profile}, "
        f"from {raw.filename.rsplit('/', 1)[-1]} ({raw.host})",
        "date_created": created,
        "date_modified": created,
        "date_issued": created,
        "date_metadata_modified": created,
        ATTRIBUTE: SCHEMA,
        "product_version": provenance.version,
        "cdm_data_type": "Grid",
        "site": provenance.site,
        "site_name": site.title,
        **_coverage(ds, provenance, site),
        "basename": provenance.basename,
        "mode": provenance.mode,
        "mode_family": str(spec.family),
        "engine": provenance.engine,
        "engine_version": provenance.version,
        "software_version": provenance.software,
        "preset": provenance.preset,
        "profile": provenance.profile,
        "fixes": " ".join(fixes),
        "fingerprint": provenance.fingerprint,
        "parameters": json.dumps(to_plain(provenance.parameters), sort_keys=True),
        "input_host": raw.host,
        "input_name": raw.filename,
        "input_size": raw.size,
        "input_etag": raw.etag,
        "notes": "; ".join(notes),
    }
    return {name: value for name, value in attributes.items() if value is not None and value != ""}


def _creators(who: Attribution) -> dict[str, Any]:
    return {
        "institution": who.institution,
        "creator_name": who.creator_name,
        "creator_type": "group",
        "creator_email": who.creator_email,
        "creator_url": who.creator_url,
        "creator_institution": who.institution,
        "publisher_name": who.publisher_name,
        "publisher_email": who.publisher_email,
        "publisher_url": who.publisher_url,
        "project": who.project,
    }


def _notes(ds: xr.Dataset, provenance: ProductFacts, spec: ModeSpec) -> tuple[str, ...]:
    """Repeat what a user must not overlook: seafloor assumed, calibration that does not hold, odd data."""
    floor = str(ds.attrs.get("seafloor", ""))
    notes = [*spec.notes]
    if floor:
        notes.append(floor if "assumed" in floor else f"seafloor {floor}")
    if ds.attrs.get("calibration_valid", 1) == 0:
        fault = ds.attrs.get("calibration_fault")
        notes.append(f"calibration not valid: {fault}" if fault else "calibration not valid")
    if odd := ds.attrs.get("raw_notes"):
        notes.append(f"odd raw data: {odd}")
    return tuple(dict.fromkeys((*provenance.notes, *notes)))


def _summary(what: str, site: SiteDescription, provenance: ProductFacts) -> str:
    return (
        f"{what[0].upper()}{what[1:]}. One run of mode {provenance.mode} by the Cabled Observatory Vent "
        f"Imaging Sonar (COVIS) at {site.title}, connected to the {site.observatory}. Cells reached by no "
        "sample are missing values; gridding weights are included."
    )


def _coverage(ds: xr.Dataset, provenance: ProductFacts, site: SiteDescription) -> dict[str, Any]:
    """Say when and where."""
    start = provenance.start.astimezone(dt.UTC)
    attributes: dict[str, Any] = {"time_coverage_start": _iso(start)}
    end = provenance.end or _moment(ds.attrs.get("time_coverage_end"))
    if end is not None and end >= start:
        duration = (end - start).total_seconds()
        attributes |= {"time_coverage_end": _iso(end), "time_coverage_duration": f"PT{duration:.3f}S"}
        attributes["time_coverage_resolution"] = attributes["time_coverage_duration"]
    return attributes | place_attributes(ds, site)


def place_attributes(ds: xr.Dataset, site: SiteDescription) -> dict[str, Any]:
    """Say where: at which observatory, in metres from the tower, on Earth as far as that is known."""
    attributes = {
        "program": site.observatory,
        "contributor_name": site.observatory,
        "contributor_role": "operates the cable that COVIS is connected to",
        "geospatial_frame": _FRAME,
        **_extents(ds),
        **_geography(ds, site),
    }
    return attributes | ({"depth_of_base": site.depth} if site.depth else {})


def _extents(ds: xr.Dataset) -> dict[str, Any]:
    """Say how far the axes reach, in metres from the tower."""
    attributes: dict[str, Any] = {}
    for head in "xyz":
        axis = _axis(ds, head)
        if axis is not None:
            attributes |= {f"local_{head}_min": axis[0], f"local_{head}_max": axis[1]}
    height = _axis(ds, "z") or _heights(ds)
    if height is None:
        return attributes
    return attributes | {
        "geospatial_vertical_min": height[0],
        "geospatial_vertical_max": height[1],
        "geospatial_vertical_units": "m",
        "geospatial_vertical_positive": "up",
        "geospatial_vertical_resolution": f"{height[2]:g} m" if height[2] else "one level",
    }


def _heights(ds: xr.Dataset) -> tuple[float, float, float] | None:
    """Return between which heights a map lies: those of the seafloor that comes with it."""
    maps = [v.values for name, v in ds.variables.items() if v.attrs.get("units") == "m" and "time" in v.dims]
    known = [values[np.isfinite(values)] for values in maps]
    found = [values for values in known if values.size]
    if not found:
        return None
    return min(float(values.min()) for values in found), max(float(values.max()) for values in found), 0.0


def _geography(ds: xr.Dataset, site: SiteDescription) -> dict[str, Any]:
    """Say where on Earth, as far as it is known."""
    north, east = _axis(ds, "latitude"), _axis(ds, "longitude")
    if north is None or east is None or site.position is None:
        return {"geospatial_comment": f"{site.title}: only local coordinates are given."}
    corners = ((0, 0), (0, 1), (1, 1), (1, 0), (0, 0))
    ring = ", ".join(f"{north[a]:.7f} {east[b]:.7f}" for a, b in corners)
    return {
        "geospatial_bounds": f"POLYGON (({ring}))",
        "geospatial_bounds_crs": "EPSG:4326",
        "geospatial_lat_min": north[0],
        "geospatial_lat_max": north[1],
        "geospatial_lat_units": "degrees_north",
        "geospatial_lat_resolution": f"{north[2]:.3g} degrees",
        "geospatial_lon_min": east[0],
        "geospatial_lon_max": east[1],
        "geospatial_lon_units": "degrees_east",
        "geospatial_lon_resolution": f"{east[2]:.3g} degrees",
        "geospatial_comment": site.position_comment,
    }


def _axis(ds: xr.Dataset, head: str) -> tuple[float, float, float] | None:
    """Return least and greatest value and finest step over all axes of one kind."""
    axes = [
        axis.values for name, axis in ds.coords.items() if str(name).partition("_")[0] == head and axis.size
    ]
    if not axes:
        return None
    steps = [float(np.abs(np.diff(axis)).min()) for axis in axes if axis.size > 1]
    return min(float(a.min()) for a in axes), max(float(a.max()) for a in axes), min(steps, default=0.0)


def _moment(text: Any) -> dt.datetime | None:
    if not isinstance(text, str):
        return None
    moment = dt.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _iso(moment: dt.datetime) -> str:
    """Write a time as ACDD wants it, to the millisecond only where there are any."""
    utc = moment.astimezone(dt.UTC)
    return utc.isoformat(timespec="milliseconds" if utc.microsecond else "seconds").replace("+00:00", "Z")
