"""The settings in force, as one frozen value."""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import dask.config

from catalog.redaction import redact, register, register_options, register_url
from catalog.settings import CatalogLocation, expand_references, locate
from covis_dask.config.legacy import host_name, merged_hosts
from covis_dask.config.locations import Location, location_faults
from covis_dask.config.origins import flat, misplaced, origin_of, origins
from covis_dask.config.reading import Fault, faults_in, read_section, shown
from covis_dask.config.science import ScienceSection
from covis_dask.config.sections import CovisSection
from covis_dask.errors import ConfigurationError
from covis_dask.raw.archive import Limits

__all__ = ["Settings", "load_settings", "settings_faults"]

_REFERENCE = re.compile(r"\$\{\w+\}")
_APART = {"hosts": {}, "products": "", "ancillary": ""}
"""Locations are read one by one, so that each is named in what is said of it."""


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
    memory: int | None
    recycle: int
    window: int
    heartbeat: float
    science: ScienceSection


def load_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings in force.

    Parameters
    ----------
    environ : mapping
        Environment, for the old worker's variables.

    Raises
    ------
    ConfigurationError
        Every setting that cannot be used: its key, where it was set, and what it may be.
    """
    faults = settings_faults(environ)
    if faults:
        raise ConfigurationError("; ".join(faults))
    hosts = merged_hosts(environ)
    section = read_section(CovisSection, {**dask.config.get("covis"), **_APART}, "")
    limits = section.limits
    return Settings(
        catalog=locate(environ=environ),
        hosts={
            name: Location.from_config(f"hosts.{name}", entry)
            for name, entry in hosts.items()
            if entry is not None
        },
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
        memory=None if limits.memory is None else int(limits.memory),
        recycle=section.recycle,
        window=section.batch.window,
        heartbeat=float(section.batch.heartbeat),
        science=section.science,
    )


def settings_faults(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Check every setting in force.

    Parameters
    ----------
    environ : mapping
        Environment.

    Returns
    -------
    list of str
        A sentence for each that cannot be used, with the file or variable that says it.
    """
    lost = list(misplaced(environ))
    section = dask.config.get("covis")
    if not isinstance(section, Mapping):
        section = {}
    faults = list(faults_in(CovisSection, {**section, **_APART}, ""))
    faults += _prefix_faults(section.get("prefix"))
    hosts = section.get("hosts")
    if hosts is not None and not isinstance(hosts, Mapping):
        text = f"covis.hosts must be keys and values, not {shown(hosts)}"
        faults.append(Fault("covis.hosts", text))
    for name, entry in merged_hosts(environ).items():
        if entry is not None:
            faults += location_faults(f"hosts.{name}", entry)
    for name in ("products", "ancillary"):
        faults += location_faults(name, section.get(name))
    _learn_secrets(section, merged_hosts(environ), environ)
    said = origins(environ)
    known = [(fault, origin_of(fault.key, said)) for fault in faults]
    sentences = [f"{origin}: {fault.text}" if origin else fault.text for fault, origin in known]
    return [redact(text) for text in dict.fromkeys([fault.text for fault in lost] + sentences)]


def _learn_secrets(section: Mapping[str, Any], hosts: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Take note of what is referred to, and of what stands where a secret may: nothing shows it then."""
    for _, value in flat({**section, "hosts": hosts}, "covis"):
        for reference in _REFERENCE.findall(str(value)):
            with suppress(KeyError):  # it is said where it is used
                expand_references(reference, environ)
    for entry in (*hosts.values(), section.get("products"), section.get("ancillary")):
        place = entry if isinstance(entry, Mapping) else {"url": entry or ""}
        for word in ("url", "endpoint"):
            register_url(str(place.get(word) or ""))
        for word in ("key", "secret"):
            register(str(place.get(word) or ""))
        _learn_options(place.get("options"))
    clusters, dashboard = section.get("cluster"), section.get("dashboard")
    for arguments in clusters.values() if isinstance(clusters, Mapping) else ():
        _learn_options(arguments)
    if isinstance(dashboard, Mapping):
        register(str(dashboard.get("token") or ""))


def _learn_options(options: object) -> None:
    if isinstance(options, Mapping):
        register_options(options)


def _prefix_faults(prefix: object) -> list[Fault]:
    if not isinstance(prefix, str) or all(part not in ("", ".", "..") for part in prefix.split("/")):
        return []
    text = f"covis.prefix: give a folder below the products, such as trials/a, not {prefix!r}"
    return [] if prefix == "" else [Fault("covis.prefix", text)]


def _location(name: str) -> Location:
    return Location.from_config(name, dask.config.get(f"covis.{name}"))
