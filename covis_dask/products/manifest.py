"""The documents of a product: the manifest that commits it, and the failures that explain its absence.

A manifest is written last, and what it names is the product (docs/architecture.md#a-product). Both are JSON;
reading checks every value, and tolerates keys of later versions.
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
from catalog.redaction import redact, redact_values
from covis_dask.errors import ProductDamaged
from covis_dask.products.formats import formats_in

__all__ = [
    "Bursts",
    "Failure",
    "FileEntry",
    "InputFile",
    "Level2",
    "MadeFrom",
    "Manifest",
    "Pings",
    "SkippedBurst",
    "checksum",
    "is_ours",
    "software_versions",
]

_SHA256 = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"(?:v|l2)/[^/]+/")
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

    def __post_init__(self) -> None:
        # The name may be the end of a URL, with its signature.
        object.__setattr__(self, "filename", redact(self.filename))


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a product: path below the run's folder, bytes, SHA-256 in hexadecimal."""

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

    @property
    def plain(self) -> str:
        """The name without the folder of its version, as a user knows it: ``<basename>.nc``."""
        return _VERSION.sub("", self.name, count=1) if _VERSION.match(self.name) else self.name

    def is_in(self, folder: str) -> bool:
        """Tell whether the file lies in a version's folder."""
        return self.name.startswith(f"{folder}/")

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Level2:
    """What was derived from a product, as the manifest names it.

    Parameters
    ----------
    folder : str
        Folder of this version below the run's: ``l2/...``.
    version, fingerprint : str
        What made it, and of what.
    level1 : str
        Fingerprint of the product it was derived from; it belongs to no other.
    files : tuple of FileEntry
    token : int
        Fencing token of the claim under which it was made.
    """

    folder: str
    version: str
    fingerprint: str
    level1: str
    files: tuple[FileEntry, ...]
    token: int = 0


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
class MadeFrom:
    """The older form of a product, from which it was carried over without its raw data.

    Parameters
    ----------
    files : tuple of FileEntry
        As they were.
    batch : str
        The batch that carried it over, and its program's version.
    version : str
    """

    files: tuple[FileEntry, ...]
    batch: str
    version: str


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
    token : int
        Fencing token of the claim under which it was made; 0 where there was no catalogue.
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
    token: int = 0
    started: Annotated[dt.datetime, msgspec.Meta(tz=True)]
    finished: Annotated[dt.datetime, msgspec.Meta(tz=True)]
    worker: str = ""
    timings: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_document(self) -> dict[str, Any]:
        """Return the plain document, `schema` first."""
        plain = to_plain(self)
        texts = {word: redact_values(plain[word]) for word in ("notes", "reason") if word in plain}
        return {"schema": self.schema_name, **plain, **texts, "worker": _label(self.worker)}

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
        Every file of the product but the manifest itself; a format that was added later may lie in the folder
        of another version than the rest.
    pings : Pings
        Ping statistics.
    bursts : Bursts
        Bursts used and skipped.
    folder : str
        Folder of this version below the run's, ``v/...``; empty in layout 1, whose files lie in the run's
        folder itself.
    level2 : Level2, optional
        What was derived from the product.
    product_schema : str
        Form of the data files (`covis_dask.products.schema.SCHEMA`); empty where the manifest is older than
        the word.
    made_from : MadeFrom, optional
        The older form that it was carried over from; whoever computed it is named by the other fields.
    """

    schema_name: ClassVar[str] = _FAMILY + "2"

    files: tuple[FileEntry, ...]
    pings: Pings
    bursts: Bursts = Bursts(0)
    folder: str = ""
    level2: Level2 | None = None
    product_schema: str = ""
    made_from: MadeFrom | None = None

    def __post_init__(self) -> None:
        """Refuse a version that lies elsewhere than versions do, and a name that leads out of its folder."""
        if not re.fullmatch(r"\w[\w.-]*", self.basename):
            raise ValueError(f"{self.basename!r} is not the name of a run")
        if self.folder and not re.fullmatch(r"v/[\w.-]+", self.folder):
            raise ValueError(f"{self.folder!r} is not the folder of a version")

    @property
    def formats(self) -> frozenset[str]:
        """The file formats the product has."""
        return formats_in(self.basename, [entry.plain for entry in self.files])

    @property
    def all_files(self) -> tuple[FileEntry, ...]:
        """Every file that must be there: the product's, and those of level 2."""
        return self.files + (self.level2.files if self.level2 else ())

    def file(self, plain: str) -> FileEntry | None:
        """Return the entry of a file by its plain name."""
        return next((entry for entry in self.files if entry.plain == plain), None)

    @classmethod
    def from_document(cls, document: Any) -> Self:
        """Read a manifest of any version; DocumentError as `_Document.from_document`."""
        if isinstance(document, Mapping) and document.get("schema") == _FAMILY + "1":
            document = {**document, "schema": cls.schema_name, "token": 0, "folder": "", "level2": None}
        return super(Manifest, cls).from_document(document)

    @classmethod
    def at(cls, path: str, document: Any) -> Self:
        """Read the manifest that lies in a run's folder.

        Raises
        ------
        ProductDamaged
            When it cannot be used: damaged, or of a later version; says where it lies and what to do.
        """
        try:
            return cls.from_document(document)
        except DocumentError as error:
            raise ProductDamaged(
                f"the manifest at {path} cannot be used ({error}); --force replaces the product"
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure(_Document):
    """Says why a try made no product; see `_Document` for the other fields.

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
