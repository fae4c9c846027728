"""The configuration as typed sections: what covis.yaml may say, checked when it is read.

`covis-schema.yaml` is made from these types, for editors (`covis_dask.config.schema`).
"""

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from dask.utils import parse_bytes, parse_timedelta
from msgspec import Meta

from covis_dask.errors import ConfigurationError

__all__ = [
    "BatchSection",
    "CatalogSection",
    "CovisSection",
    "LimitsSection",
    "LocationSection",
    "MatlabSection",
    "Seconds",
    "Size",
    "read_section",
]

S = TypeVar("S", bound="Section")


class Seconds(float):
    """A length of time, s; written as ``30s``, ``10 minutes``, ``4h`` or a number."""


class Size(int):
    """A number of bytes; written as ``64 MiB``, ``16 GiB`` or a number."""


Count = Annotated[int, Meta(ge=1)]
Amount = Annotated[int, Meta(ge=0)]


class Section(msgspec.Struct, frozen=True, rename=lambda name: name.replace("_", "-")):
    """Part of the configuration; its keys have dashes."""


class LocationSection(Section, frozen=True):
    """Where files lie."""

    url: Annotated[str, Meta(description="fsspec URL or local folder")]
    endpoint: Annotated[str | None, Meta(description="address of an S3 server that is not AWS")] = None
    key: Annotated[str | None, Meta(description="reference to the account, such as ${NAS_ACCESS_KEY}")] = None
    secret: Annotated[
        str | None, Meta(description="reference to the secret, such as ${NAS_SECRET_KEY}; never the secret")
    ] = None
    options: Annotated[dict[str, Any], Meta(description="further arguments of the file system")] = {}


class CatalogSection(Section, frozen=True):
    """Where the catalogue is."""

    url: Annotated[str | None, Meta(description="sqlite:///FILE or mongodb://HOST:PORT")] = None
    database: Annotated[str | None, Meta(description="MongoDB only")] = None
    collection: Annotated[str | None, Meta(description="MongoDB only")] = None


class LimitsSection(Section, frozen=True):
    """What a raw archive may hold."""

    members: Count
    member_bytes: Size
    total_bytes: Size
    spool_bytes: Size


class BatchSection(Section, frozen=True):
    """How runs are submitted."""

    window: Annotated[int, Meta(ge=1, description="runs submitted ahead, per worker thread")]
    heartbeat: Annotated[
        Seconds, Meta(description="how often a batch says that it lives; after two without, others take over")
    ]
    claim: Annotated[Seconds | None, Meta(description="of earlier releases; has no effect")] = None


class MatlabSection(Section, frozen=True):
    """The Matlab engine, on workers that offer the Dask resource MATLAB=1."""

    python: Annotated[str, Meta(description="the Python of the Matlab image, which has pycovis")]
    knows: Annotated[
        dict[str, list[str]], Meta(description="modes, by site, that the image's code has programs for")
    ]
    recycle: Annotated[int, Meta(ge=1, description="runs after which the runtime is opened anew")]
    start_timeout: Annotated[Seconds, Meta(description="longest time it may take to open")]
    release: Annotated[str | int | float | None, Meta(description="release of the code, such as 2.1.2")] = (
        None
    )


Host = LocationSection | str | None


class CovisSection(Section, frozen=True):
    """Everything the program can be told."""

    catalog: CatalogSection
    hosts: Annotated[dict[str, Host], Meta(description="raw hosts, by the names of the catalogue")]
    host_order: Annotated[list[str], Meta(description="which host is asked first")]
    products: LocationSection | str
    ancillary: LocationSection | str
    timeout: Annotated[Seconds, Meta(description="longest time one run may take")]
    retries: Annotated[int, Meta(ge=0, description="further tries of a run after a transient fault")]
    backoff: Annotated[Seconds, Meta(description="pause before the first of them; doubles up to a minute")]
    max_outage: Annotated[
        Seconds, Meta(description="how long to wait for a store or catalogue that has gone away")
    ]
    limits: LimitsSection
    batch: BatchSection
    cluster: Annotated[
        dict[str, dict[str, Any] | None], Meta(description="arguments of the class that starts each kind")
    ]
    matlab: MatlabSection
    prefix: Annotated[str | None, Meta(description="folder below products")] = None
    scratch: Annotated[str | None, Meta(description="folder for temporary files")] = None
    patience: Annotated[Seconds | None, Meta(description="former name of max-outage")] = None


def read_section(kind: type[S], section: object, name: str) -> S:
    """Read a section.

    Parameters
    ----------
    kind : type
        One of the sections here.
    section : object
        What the configuration has; keys may have dashes or, as the environment spells them, underscores.
    name : str
        Its dotted name below ``covis``; empty for the whole.

    Raises
    ------
    ConfigurationError
        With the key, the value and what it may be; a misspelt key with the nearest there is.
    """
    try:
        return msgspec.convert(_with_dashes(kind, section, name), kind, dec_hook=_read)
    except msgspec.ValidationError as error:
        fault, _, path = str(error).partition(" - at `$")
        key = path.strip("`")
        value = "" if kind is LocationSection else _value(section, key)  # a secret may stand there by mistake
        raise ConfigurationError(f"{_dotted(name, key)}: {_sentence(fault)}{value}") from None


def _with_dashes(kind: type[Section], section: object, name: str) -> dict[str, Any]:
    if not isinstance(section, Mapping):
        raise ConfigurationError(f"{_dotted(name)} must be keys and values, not {section!r}")
    known = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    read: dict[str, Any] = {}
    for key, value in section.items():
        dashed = str(key).replace("_", "-")
        if dashed not in known:
            raise ConfigurationError(_unknown(_dotted(name), dashed, tuple(known)))
        inner = known[dashed]
        if isinstance(inner, type) and issubclass(inner, Section):
            value = _with_dashes(inner, value, f"{name}.{dashed}" if name else dashed)
        read[dashed] = value
    return read


def _unknown(where: str, key: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(key, known, 1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
    return f"{where}: unknown key {key!r}; {hint}"


def _value(section: Any, path: str) -> str:
    """Say what stands at a path, if that is short."""
    for key in path.strip(".").split("."):
        section = (
            section.get(key, section.get(key.replace("-", "_"))) if isinstance(section, Mapping) else None
        )
    return f", not {section!r}" if isinstance(section, int | float | str) else ""


def _dotted(name: str, path: str = "") -> str:
    return ".".join(part for part in ("covis", name, path.strip(".")) if part)


def _read(kind: type, value: Any) -> Any:
    """Read the types that YAML does not have."""
    if kind is Seconds:
        try:
            return Seconds(parse_timedelta(value, default="s"))
        except (KeyError, TypeError, ValueError):
            raise ValueError("No length of time; write 30s, 10m, 4h") from None
    try:
        return Size(parse_bytes(value))
    except (TypeError, ValueError):
        raise ValueError("No size; write 64 MiB, 16 GiB") from None


def _sentence(fault: str) -> str:
    """Say what msgspec found without its quotation marks for code."""
    return f"{fault[0].lower()}{fault[1:]}".replace("`", "")
