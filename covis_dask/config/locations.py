"""Where files lie, and references to secrets that are looked up where they are used."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from catalog.redaction import holds_secret, is_secret_name
from catalog.settings import expand_references
from covis_dask.config.addresses import address_faults
from covis_dask.config.reading import Fault, dotted, faults_in, read_section
from covis_dask.config.sections import LocationSection
from covis_dask.errors import ConfigurationError

__all__ = ["Location", "expand", "expand_options", "location_faults", "web_address"]

_SECRET = re.compile(r"(?:[A-Za-z]+ )?(?:\$\{\w+\})+")  # also "Bearer ${NAME}"


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
        if isinstance(given, list | tuple):
            return [value(item) for item in given]
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
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_config(cls, name: str, section: object) -> "Location":
        """Read one entry of the configuration.

        Parameters
        ----------
        name : str
            Of the entry, below ``covis``.
        section : str or mapping
            A URL alone, or the keys of `covis_dask.config.sections.LocationSection`.

        Raises
        ------
        ConfigurationError
            Unknown keys or options, a missing URL, or one that nothing here can open, or a secret that stands
            in the configuration itself.
        """
        faults = list(location_faults(name, section))
        if faults:
            raise ConfigurationError("; ".join(fault.text for fault in faults))
        read = read_section(LocationSection, _with_url(section), name)
        endpoint = read.endpoint and web_address(read.endpoint)
        return cls(read.url, endpoint, read.key, read.secret, dict(read.options))


def web_address(text: str) -> str:
    """Complete an endpoint as the old worker's were: ``nas:9000`` is spoken to by plain HTTP."""
    return text if "://" in text or text.startswith("${") else f"http://{text}"


def location_faults(name: str, section: object) -> Iterator[Fault]:
    """Find what is wrong with an entry of the configuration; see `Location.from_config`."""
    where = dotted(name)
    if not section or (isinstance(section, Mapping) and not section.get("url")):
        yield Fault(where, f"{where}: give a url (a folder or an fsspec URL such as s3://bucket)")
        return
    faults = list(faults_in(LocationSection, _with_url(section), name))
    yield from faults
    if not faults:
        read = read_section(LocationSection, _with_url(section), name)
        yield from _secret_faults(read, where)
        yield from address_faults(read, where)


def _with_url(section: object) -> object:
    return {"url": section} if isinstance(section, str) else section


def _secret_faults(read: LocationSection, where: str) -> Iterator[Fault]:
    for word, value in [("key", read.key), ("secret", read.secret), *_secrets(read.options)]:
        if value is not None and not _SECRET.fullmatch(str(value)):
            yield Fault(
                f"{where}.{word}",
                f"{where}.{word} must name an environment variable, as in ${{NAS_SECRET_KEY}}: "
                "secrets do not belong in files",
            )
    for word, text in (("url", read.url), ("endpoint", read.endpoint)):
        if holds_secret(text or ""):
            yield Fault(
                f"{where}.{word}",
                f"{where}.{word} holds a secret: put that into the environment, and the name of "
                f"its variable into {where}.secret",
            )


def _secrets(options: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the options that are secrets, at any depth."""
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _secrets(value)
        elif is_secret_name(str(name)) or name == "key":
            yield f"options.{name}", value
