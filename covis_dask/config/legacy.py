"""Raw hosts as the configuration has them, and as the variables of the old worker describe them."""

import os
from collections.abc import Mapping
from typing import Any

import dask.config

from catalog.hosts import DEFAULT_ORDER
from covis_dask.config.defaults import DEFAULTS

__all__ = ["host_name", "legacy_variables", "merged_hosts"]


def host_name(name: str) -> str:
    """Bring a host name to the catalogue's form; the environment can only say lower case and underscores."""
    upper = str(name).upper()
    dashed = upper.replace("_", "-")
    return dashed if dashed in DEFAULT_ORDER else upper


def _legacy_hosts(environ: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Read the hosts that the old worker's variables describe."""
    known = {"COVIS-NAS": ("NAS", "raw"), "WASABI": ("WASABI", environ.get("WASABI_BUCKET", "covis-raw"))}
    known |= {f"OLD-COVIS-NAS{n}": (f"OLD_NAS{n}", "raw") for n in range(1, 7)}
    hosts: dict[str, dict[str, Any]] = {}
    if environ.get("DMAS_API_KEY") or environ.get("DMAS_API_KEY_FILE"):
        hosts["DMAS"] = {"url": "onc://data.oceannetworks.ca", "key": "${DMAS_API_KEY}"}
    for host, (stem, bucket) in known.items():
        address = environ.get(f"{stem}_URL")
        if address:
            hosts[host] = {
                "url": f"s3://{bucket}",
                "endpoint": address if "://" in address else f"http://{address}",
                "key": f"${{{stem}_ACCESS_KEY}}",
                "secret": f"${{{stem}_SECRET_KEY}}",
            }
    return hosts


def legacy_variables(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return which variables of the old worker have a say here.

    Returns
    -------
    dict
        Dotted name of the setting (for a host, of its section) -> name of the variable.
    """
    known = {
        "covis.catalog.url": "MONGODB_URL",
        "covis.catalog.database": "MONGODB_DB",
        "covis.catalog.collection": "MONGODB_RUNS_TABLE",
        "covis.prefix": "POSTPROC_PREFIX",
    }
    variables = {name: variable for name, variable in known.items() if environ.get(variable)}
    for host, entry in _legacy_hosts(environ).items():
        if merged_hosts(environ)[host] == entry:
            stem = str(entry["key"])[2:-1].removesuffix("_ACCESS_KEY")
            variables[f"covis.hosts.{host}"] = stem if stem == "DMAS_API_KEY" else f"{stem}_URL"
    return variables


def merged_hosts(environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Bring together what configuration and the old worker's variables say of raw hosts.

    Parameters
    ----------
    environ : mapping
        Environment, for the old worker's variables. They are weaker than our own settings, stronger than
        the defaults.

    Returns
    -------
    dict
        Entries as `Location.from_config` takes them, by the catalogue's names.
    """
    defaults = DEFAULTS["hosts"]
    hosts: dict[str, Any] = {}
    said = dask.config.get("covis.hosts", None)
    for given, entry in said.items() if isinstance(said, Mapping) else ():
        name = host_name(given)
        before = hosts.get(name)
        if isinstance(before, Mapping) and isinstance(entry, Mapping):
            hosts[name] = {**before, **entry}
        else:
            hosts[name] = entry
    for name, entry in _legacy_hosts(environ).items():
        if hosts.get(name) in (None, defaults.get(name)):
            hosts[name] = entry
    for name in list(hosts):
        # A host of the user's own, whose name the environment cannot spell.
        hosts.setdefault(name.replace("_", "-"), hosts[name])
    return hosts
