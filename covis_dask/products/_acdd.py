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

__all__ = ["global_attributes", "plain_attributes"]

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
    extents = {head: _extent(ds, head) for head in "xyz"}
    attributes["geospatial_frame"] = _FRAME
    for head, extent in extents.items():
        if extent is not None:
            attributes |= {f"local_{head}_min": extent[0], f"local_{head}_max": extent[1]}
    if extents["z"] is not None:
        low, high = extents["z"]
        attributes |= {
            "geospatial_vertical_min": low,
            "geospatial_vertical_max": high,
            "geospatial_vertical_units": "m",
            "geospatial_vertical_positive": "up",
        }
    if site.depth:
        attributes["depth_of_base"] = site.depth
    box = site.bounds(extents["x"], extents["y"]) if extents["x"] and extents["y"] else None
    if box is None or site.position is None:
        attributes["geospatial_comment"] = f"{site.title}: only local coordinates are given."
        return attributes
    south, north, west, east = box
    corners = ((south, west), (south, east), (north, east), (north, west), (south, west))
    return attributes | {
        "geospatial_bounds": f"POLYGON (({', '.join(f'{lat} {lon}' for lat, lon in corners)}))",
        "geospatial_bounds_crs": "EPSG:4326",
        "geospatial_lat_min": south,
        "geospatial_lat_max": north,
        "geospatial_lat_units": "degrees_north",
        "geospatial_lon_min": west,
        "geospatial_lon_max": east,
        "geospatial_lon_units": "degrees_east",
        "geospatial_comment": f"COVIS stood at {site.position[0]} N, {-site.position[1]} W (WGS 84).",
    }


def _extent(ds: xr.Dataset, head: str) -> tuple[float, float] | None:
    """Return the least and greatest value over all axes of one kind."""
    axes = [axis.values for name, axis in ds.coords.items() if str(name).split("_")[0] == head and axis.size]
    return (min(float(a.min()) for a in axes), max(float(a.max()) for a in axes)) if axes else None


def _moment(text: Any) -> dt.datetime | None:
    if not isinstance(text, str):
        return None
    moment = dt.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _iso(moment: dt.datetime) -> str:
    """Write a time as ACDD wants it, to the millisecond only where there are any."""
    utc = moment.astimezone(dt.UTC)
    return utc.isoformat(timespec="milliseconds" if utc.microsecond else "seconds").replace("+00:00", "Z")
