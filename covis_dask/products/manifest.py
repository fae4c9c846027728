"""What lies beside a product: the manifest that commits it, or the failure that explains its absence.

A manifest is written last, so its presence means that the product is whole (docs/architecture.md#a-product).
Both are JSON; reading checks every value, and tolerates keys of later versions.
"""

import datetime as dt
import hashlib
import json
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, ClassVar, Self

import msgspec

from catalog.documents import decode, to_plain
from catalog.errors import DocumentError

__all__ = [
    "Bursts",
    "Failure",
    "FileEntry",
    "InputFile",
    "Manifest",
    "Pings",
    "SkippedBurst",
    "checksum",
    "is_ours",
    "software_versions",
]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_FAMILY = "covis-dask/manifest/"


@dataclass(frozen=True, slots=True)
class InputFile:
    """The raw archive a product was made from.

    Parameters
    ----------
    host : str
        Name of the host, such as ``WASABI``; never an address.
    filename : str
        Path on that host.
    size : int, optional
        Bytes.
    etag : str, optional
        What the store calls this version of the file.
    """

    host: str
    filename: str
    size: int | None = None
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a product: path below the product folder, bytes, SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str

    def __post_init__(self) -> None:
        """Refuse names that would lead out of the product folder."""
        path = PurePosixPath(self.name)
        if not self.name or path.is_absolute() or ".." in path.parts or "\\" in self.name:
            raise ValueError(f"{self.name!r} is not a file name inside a product")
        if self.size < 0 or not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"the size or sha256 of {self.name} is invalid")

    @classmethod
    def of(cls, path: Path, name: str | None = None) -> Self:
        """Describe a file on disk, under its own name or another."""
        return cls(name or path.name, path.stat().st_size, checksum(path))


@dataclass(frozen=True, slots=True)
class Pings:
    """Pings in the table, used, bad (unreadable), and missing (no file)."""

    total: int
    used: int
    bad: int = 0
    missing: int = 0


@dataclass(frozen=True, slots=True)
class SkippedBurst:
    """A burst that did not reach the grid: its number from 0, and why."""

    burst: int
    reason: str


@dataclass(frozen=True, slots=True)
class Bursts:
    """Bursts used, and those skipped."""

    used: int
    skipped: tuple[SkippedBurst, ...] = ()


def is_ours(document: Any) -> bool:
    """Tell a manifest of this system (any version) from the old worker's ``metadata.json``."""
    return isinstance(document, Mapping) and str(document.get("schema")).startswith(_FAMILY)


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def software_versions() -> dict[str, str]:
    """Return the versions of what takes part in the numbers."""
    versions = {"python": platform.python_version()}
    for name in ("covis-dask", "numpy", "scipy", "xarray"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # run from a checkout that is not installed
            versions[name] = "unknown"
    return versions


def _label(worker: str) -> str:
    """Name a worker without saying where it listens: Dask names workers by address unless told otherwise."""
    if "://" not in worker:
        return worker
    return f"worker-{hashlib.sha256(worker.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    """What manifest and failure share.

    Parameters
    ----------
    basename, engine, version, fingerprint, preset, profile : str
        What was made of which run, and how.
    parameters : mapping
        All parameters, nested, JSON-like.
    input : InputFile, optional
        The raw archive; None when no host had it.
    software : mapping of str to str
        Versions (see `software_versions`).
    batch : str
        Identifier of the batch.
    attempt : int
        Which try this was, from 1.
    started, finished : datetime
        With time zone; kept in UTC.
    worker : str
        Name of the worker. An address is replaced by a short name before it is written.
    timings : mapping of str to float
        Seconds per stage.
    notes : tuple of str
        What a user should know, such as a flat seafloor.
    """

    schema_name: ClassVar[str]

    basename: str
    engine: str
    version: str
    fingerprint: str
    preset: str
    profile: str
    parameters: Mapping[str, Any]
    input: InputFile | None = None
    software: Mapping[str, str] = field(default_factory=software_versions)
    batch: str
    attempt: int
    started: Annotated[dt.datetime, msgspec.Meta(tz=True)]
    finished: Annotated[dt.datetime, msgspec.Meta(tz=True)]
    worker: str = ""
    timings: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_document(self) -> dict[str, Any]:
        """Return the plain document, `schema` first."""
        return {"schema": self.schema_name, **to_plain(self), "worker": _label(self.worker)}

    def to_json(self) -> str:
        """Return the document as JSON text for people and programs."""
        return json.dumps(self.to_document(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_document(cls, document: Any) -> Self:
        """Read a document.

        Raises
        ------
        DocumentError
            When it is of another kind or version, or a value is missing or wrong; says which.
        """
        schema = document.get("schema") if isinstance(document, Mapping) else None
        if schema != cls.schema_name:
            raise DocumentError(f"this is not a {cls.schema_name} document: its schema is {schema!r}")
        return decode(cls, document, cls.schema_name.split("/")[1])

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read JSON text; DocumentError as `from_document`."""
        try:
            document = json.loads(text)
        except ValueError as error:
            raise DocumentError(f"this is not a JSON document: {error}") from None
        return cls.from_document(document)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest(_Document):
    """Commits a product; see `_Document` for the other fields.

    Parameters
    ----------
    files : tuple of FileEntry
        Every file of the product but the manifest itself.
    pings : Pings
        Ping statistics.
    bursts : Bursts
        Bursts used and skipped.
    """

    schema_name: ClassVar[str] = _FAMILY + "1"

    files: tuple[FileEntry, ...]
    pings: Pings
    bursts: Bursts = Bursts(0)

    @classmethod
    def at(cls, path: str, document: Any) -> Self:
        """Read the manifest that lies in a product folder.

        Raises
        ------
        DocumentError
            When it cannot be used: damaged, or of a later version; says where it lies and what to do.
        """
        try:
            return cls.from_document(document)
        except DocumentError as error:
            raise DocumentError(
                f"the manifest at {path} cannot be used ({error}); --force replaces the product"
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure(_Document):
    """Says why there is no product; see `_Document` for the other fields.

    Parameters
    ----------
    state : str
        ``failed``, ``quarantined`` or ``unsupported``.
    kind : str
        The stable word (see `covis_dask.errors`).
    reason : str
        The sentence.
    traceback : str, optional
        For bugs only.
    """

    schema_name: ClassVar[str] = "covis-dask/failure/1"

    state: str
    kind: str
    reason: str
    traceback: str | None = None
