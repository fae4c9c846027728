"""The `covis:` section of dask.config, as one frozen value; defaults in covis.yaml.

Order of precedence: command-line flags, ``DASK_COVIS__...``, YAML files, the variables of the old worker
(``NAS_URL``, ``MONGODB_URL`` ...), defaults.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import dask.config
import yaml
from dask.utils import parse_bytes, parse_timedelta

from catalog.hosts import DEFAULT_ORDER
from catalog.settings import CatalogLocation, expand_references, locate
from covis_dask.errors import ConfigurationError
from covis_dask.raw.archive import Limits

__all__ = [
    "Location",
    "Settings",
    "expand",
    "expand_options",
    "is_secret",
    "legacy_variables",
    "load_settings",
    "merged_hosts",
]

_REFERENCE = re.compile(r"\$\{(\w+)\}")
_DEFAULTS: dict[str, Any] = yaml.safe_load((files("covis_dask") / "covis.yaml").read_text("utf-8"))
dask.config.update_defaults(_DEFAULTS)


def expand(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """Replace ``${NAME}`` by the environment's value (or the contents of the file that ``NAME_FILE`` names).

    Done at the point of use and nowhere before.

    Raises
    ------
    ConfigurationError
        When the variable is not set.
    """
    try:
        return expand_references(text, environ)
    except KeyError as error:
        raise ConfigurationError(
            f"the configuration refers to the environment variable {error.args[0]}, which is not set here"
        ) from None


def expand_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Replace the references in a file system's arguments, at any depth; see `expand`."""

    def value(given: Any) -> Any:
        if isinstance(given, Mapping):
            return expand_options(given)
        return expand(given) if isinstance(given, str) else given

    return {name: value(given) for name, given in options.items()}


@dataclass(frozen=True, slots=True)
class Location:
    """A place where files lie: a raw host, the product store, the ancillary data.

    Parameters
    ----------
    url : str
        fsspec URL or local folder.
    endpoint : str, optional
        Address of an S3 server that is not AWS.
    key, secret : str, optional
        References such as ``${NAS_SECRET_KEY}``; never the secret itself.
    options : mapping
        Further arguments of the file system; secrets among them are references too.
    """

    url: str
    endpoint: str | None = None
    key: str | None = None
    secret: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_config(cls, name: str, section: object) -> "Location":
        """Read one entry of the configuration.

        Raises
        ------
        ConfigurationError
            Unknown keys, a missing URL, or a secret that stands in the configuration itself.
        """
        if isinstance(section, str):
            section = {"url": section}
        if not isinstance(section, Mapping) or not section.get("url"):
            raise ConfigurationError(
                f"covis.{name}: give a url (a folder or an fsspec URL such as s3://bucket)"
            )
        unknown = set(section) - {"url", "endpoint", "key", "secret", "options"}
        if unknown:
            raise ConfigurationError(
                f"covis.{name}: unknown key {min(unknown)!r}; known are url, endpoint, key, secret, options"
            )
        options = section.get("options") or {}
        if not isinstance(options, Mapping):
            raise ConfigurationError(f"covis.{name}.options must be names and values")
        for word, value in [*((word, section.get(word)) for word in ("key", "secret")), *_secrets(options)]:
            if value is not None and not _REFERENCE.fullmatch(str(value)):
                raise ConfigurationError(
                    f"covis.{name}.{word} must name an environment variable, as in ${{NAS_SECRET_KEY}}: "
                    "secrets do not belong in files"
                )
        for word in ("url", "endpoint"):
            if _PASSWORD.search(str(section.get(word) or "")):
                raise ConfigurationError(
                    f"covis.{name}.{word} holds a password: put that into the environment, and the name of "
                    f"its variable into covis.{name}.secret"
                )
        return cls(
            url=str(section["url"]),
            endpoint=section.get("endpoint"),
            key=section.get("key"),
            secret=section.get("secret"),
            options=dict(options),
        )


_PASSWORD = re.compile(r"://[^/@]*:(?!\$\{)[^/@]+@")


def is_secret(name: str) -> bool:
    """Tell by its name that a setting holds a secret."""
    return bool(re.search(r"(?:pass(?:word|phrase)|secret|token|access_key|api_key)$", name.lower()))


def _secrets(options: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """List the options that are secrets, at any depth."""
    found: list[tuple[str, Any]] = []
    for name, value in options.items():
        if isinstance(value, Mapping):
            found += _secrets(value)
        elif is_secret(name):
            found.append((f"options.{name}", value))
    return found


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
    patience: float
    limits: Limits
    window: int
    claim: float


def _host_name(name: str) -> str:
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
    found = {name: variable for name, variable in known.items() if environ.get(variable)}
    for host, entry in _legacy_hosts(environ).items():
        if merged_hosts(environ)[host] == entry:
            stem = str(entry["key"])[2:-1].removesuffix("_ACCESS_KEY")
            found[f"covis.hosts.{host}"] = stem if stem == "DMAS_API_KEY" else f"{stem}_URL"
    return found


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
    defaults = _DEFAULTS["covis"]["hosts"]
    hosts: dict[str, Any] = {}
    for given, entry in dask.config.get("covis.hosts").items():
        name = _host_name(given)
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


def _seconds(name: str, value: Any) -> float:
    try:
        return float(parse_timedelta(value, default="s"))
    except (KeyError, TypeError, ValueError):
        raise ConfigurationError(
            f"covis.{name}: {value!r} is no length of time; write 30s, 10m, 4h"
        ) from None


def _count(name: str, value: object, lowest: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < lowest:
        raise ConfigurationError(f"covis.{name}: {value!r} must be a whole number, at least {lowest}")
    return value


def _bytes(name: str, value: Any) -> int:
    try:
        return int(parse_bytes(value))
    except (TypeError, ValueError):
        raise ConfigurationError(f"covis.{name}: {value!r} is no size; write 64 MiB, 16 GiB") from None


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
    section = dask.config.get("covis")
    hosts = merged_hosts(environ)
    limits = section["limits"]
    return Settings(
        catalog=locate(environ=environ),
        hosts={name: Location.from_config(f"hosts.{name}", entry) for name, entry in hosts.items() if entry},
        host_order=tuple(_host_name(name) for name in section["host-order"]),
        products=Location.from_config("products", section["products"]),
        ancillary=Location.from_config("ancillary", section["ancillary"]),
        prefix=section["prefix"] or environ.get("POSTPROC_PREFIX"),
        scratch=section["scratch"],
        timeout=_seconds("timeout", section["timeout"]),
        retries=_count("retries", section["retries"], 0),
        backoff=_seconds("backoff", section["backoff"]),
        patience=_seconds("patience", section["patience"]),
        limits=Limits(
            max_members=_count("limits.members", limits["members"], 1),
            max_member_bytes=_bytes("limits.member-bytes", limits["member-bytes"]),
            max_total_bytes=_bytes("limits.total-bytes", limits["total-bytes"]),
            max_spool_bytes=_bytes("limits.spool-bytes", limits["spool-bytes"]),
        ),
        window=_count("batch.window", section["batch"]["window"], 1),
        claim=_seconds("batch.claim", section["batch"]["claim"]),
    )
