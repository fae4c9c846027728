"""The settings in force, as one frozen value."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import dask.config

from catalog.settings import CatalogLocation, locate
from covis_dask.config.legacy import host_name, merged_hosts
from covis_dask.config.locations import Location
from covis_dask.config.sections import CovisSection, read_section
from covis_dask.raw.archive import Limits

__all__ = ["Settings", "load_settings"]


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the program can be told; see covis.yaml for what each means."""

    catalog: CatalogLocation
    hosts: Mapping[str, Location]
    host_order: tuple[str, ...]
    products: Location
    ancillary: Location
    prefix: str | None
    scratch: str | None
    timeout: float
    retries: int
    backoff: float
    max_outage: float
    limits: Limits
    window: int
    heartbeat: float


def load_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings in force.

    Parameters
    ----------
    environ : mapping
        Environment, for the old worker's variables.

    Raises
    ------
    ConfigurationError
        With the key and what it may be.
    """
    hosts = merged_hosts(environ)
    # Locations are read one by one below, so that each is named in what is said of it.
    apart = {"hosts": {}, "products": "", "ancillary": ""}
    section = read_section(CovisSection, {**dask.config.get("covis"), **apart}, "")
    limits = section.limits
    return Settings(
        catalog=locate(environ=environ),
        hosts={name: Location.from_config(f"hosts.{name}", entry) for name, entry in hosts.items() if entry},
        host_order=tuple(host_name(name) for name in section.host_order),
        products=_location("products"),
        ancillary=_location("ancillary"),
        prefix=section.prefix or environ.get("POSTPROC_PREFIX"),
        scratch=section.scratch,
        timeout=float(section.timeout),
        retries=section.retries,
        backoff=float(section.backoff),
        max_outage=float(section.max_outage if section.patience is None else section.patience),
        limits=Limits(
            max_members=limits.members,
            max_member_bytes=int(limits.member_bytes),
            max_total_bytes=int(limits.total_bytes),
            max_spool_bytes=int(limits.spool_bytes),
        ),
        window=section.batch.window,
        heartbeat=float(section.batch.heartbeat),
    )


def _location(name: str) -> Location:
    return Location.from_config(name, dask.config.get(f"covis.{name}"))
