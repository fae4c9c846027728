"""Runs and what is known of them: frozen values, and their documents.

See docs/method.md#catalogue, docs/architecture.md#how-a-run-can-end.

A document is a dict of plain values; times in it are `datetime` objects, or, where it went through JSON, ISO
texts (`to_json`). Stores keep times to the millisecond. Unknown fields of a document are left alone.
"""

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from catalog.documents import decode, encode

__all__ = ["Batch", "Content", "ProductRecord", "RawFile", "Run", "iso", "to_json", "utc"]


def utc(moment: dt.datetime | str) -> dt.datetime:
    """Return a time as an aware one in UTC: stores hand back naive or aware times or ISO texts."""
    if isinstance(moment, str):
        moment = dt.datetime.fromisoformat(moment)
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


def iso(moment: dt.datetime) -> str:
    """Return a time as ``2014-01-01T00:00:43.076Z``: UTC, milliseconds, sorts as the times do."""
    return utc(moment).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def to_json(document: Mapping[str, Any]) -> str:
    """Return a document as one line of JSON, times by `iso`."""
    return json.dumps(document, default=_as_text, ensure_ascii=False, separators=(",", ":"))


def _as_text(value: object) -> str:
    if isinstance(value, dt.datetime):
        return iso(value)
    raise TypeError(f"a document cannot hold a {type(value).__name__}")


def _document(value: Any) -> dict[str, Any]:
    """Leave out what is not known: users' documents have no nulls."""
    document: dict[str, Any] = encode(value)
    return document


@dataclass(frozen=True, slots=True)
class RawFile:
    """One copy of a run's raw archive on one host.

    Parameters
    ----------
    host : str
        Name of the host, such as ``COVIS-NAS``; kept in upper case.
    filename : str
        Path of the archive on that host, POSIX style.
    filesize : int, optional
        Bytes.
    """

    host: str
    filename: str
    filesize: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "host", self.host.upper())

    def to_document(self) -> dict[str, Any]:
        """Return the entry of the `raw` list."""
        return _document(self)


@dataclass(frozen=True, slots=True)
class Content:
    """One regular member of a raw archive: name, size in bytes, SHA-1."""

    name: str
    size: int
    sha1: str | None = None

    def to_document(self) -> dict[str, Any]:
        """Return the entry of the `contents` list."""
        return _document(self)


@dataclass(frozen=True, slots=True)
class ProductRecord:
    """What became of a run under one prefix: the catalogue's copy of manifest or failure.

    Parameters
    ----------
    state : str
        ``done``, ``failed``, ``quarantined`` or ``unsupported``.
    engine, version, fingerprint : str
        What made it, and the fingerprint of engine, parameters and input (docs/method.md#fingerprints).
    path : str
        Product folder below the product store.
    attempts : int
        How often it was tried.
    batch : str
        Identifier of the batch that recorded this.
    at : datetime
        When it was recorded, UTC.
    kind, reason : str, optional
        For anything but ``done``: the stable word and the sentence.
    inputs : str, optional
        Identity of the raw file (name, size) at the time; a quarantined run is released when it changes.
    formats : tuple of str
        Formats the product holds, such as ``nc``.
    token : int
        Fencing token of the claim under which it was made; 0 where there was none.
    """

    state: str
    engine: str
    version: str
    fingerprint: str
    path: str
    attempts: int
    batch: str
    at: dt.datetime
    kind: str | None = None
    reason: str | None = None
    inputs: str | None = None
    formats: tuple[str, ...] = ()
    token: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "at", utc(self.at))

    def to_document(self) -> dict[str, Any]:
        """Return the `product` sub-document."""
        document = _document(self)
        if not self.formats:
            del document["formats"]
        if not self.token:
            del document["token"]
        first = {name: document[name] for name in ("state", "kind", "reason") if name in document}
        return first | document


@dataclass(frozen=True, slots=True)
class Run:
    """One complete acquisition in one mode (docs/method.md#terms).

    Parameters
    ----------
    basename : str
        Unique name.
    datetime : datetime
        Start, UTC.
    mode : str
        As in the name: upper case for Endeavour, a word for Ashes.
    site : str
        ``Endeavour`` or ``Ashes``.
    raw : tuple of RawFile
        Where the raw archive lies, one entry per host.
    contents : tuple of Content, optional
        Members of the archive, when they have been listed.
    product : ProductRecord, optional
        The newest outcome. Products under other prefixes are found, and adopted, by their manifests.
    fault : str, optional
        Why this run's document cannot be read (`catalog.reading`); nothing can be done to such a run. It is
        never written.
    """

    basename: str
    datetime: dt.datetime
    mode: str
    site: str
    raw: tuple[RawFile, ...] = ()
    contents: tuple[Content, ...] | None = None
    product: ProductRecord | None = None
    fault: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "datetime", utc(self.datetime))

    def to_document(self) -> dict[str, Any]:
        """Return the run document."""
        document = _document(self)
        document.pop("fault", None)
        if self.product is not None:
            document["product"] = self.product.to_document()
        return document

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read a run document; one of another program may hold further fields, and nulls.

        Raises
        ------
        DocumentError
            Says which run, which field, and what is wrong.
        """
        known = {name: value for name, value in document.items() if value is not None and name != "fault"}
        return decode(cls, known, f"the document of run {document.get('basename')}", strict=False)


@dataclass(frozen=True, slots=True)
class Batch:
    """One call of the batch command: what was asked, with what, and how it ended.

    Parameters
    ----------
    id : str
        ``YYYYMMDDThhmmss-xxxxxx``.
    selection, settings, versions : mapping
        JSON-like documents; `settings` never holds a secret.
    counts : mapping of str to int
        Runs by state; their sum is the number selected, unless the batch was abandoned.
    start, end : datetime
        UTC; `end` is missing while the batch runs.
    report : str, optional
        Path of the report below the product store.
    ending : str, optional
        ``finished``, ``stopped``, or ``abandoned`` when another batch found its driver dead; missing while
        the batch runs, and in documents of earlier releases.
    """

    id: str
    selection: Mapping[str, Any]
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    counts: Mapping[str, int]
    start: dt.datetime
    end: dt.datetime | None = None
    report: str | None = None
    ending: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", utc(self.start))
        if self.end is not None:
            object.__setattr__(self, "end", utc(self.end))

    def to_document(self) -> dict[str, Any]:
        """Return the batch document."""
        return _document(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Read a batch document.

        Raises
        ------
        DocumentError
            Says which batch, which field, and what is wrong.
        """
        return decode(cls, document, f"the document of batch {document.get('id')}", strict=False)
