"""Where catalogue, manifest and bytes disagree about a product: one set of checks for all who ask.

The bytes are compared with the manifest (`lost_bytes`), the catalogue's record with the manifest
(`disagreements`), and `truth` says what the record would be if the catalogue had seen what the store holds.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from catalog.model import ProductRecord
from catalog.vocabulary import Kind, RunState
from covis_dask.errors import ProductDamaged, RunError
from covis_dask.products.manifest import FileEntry, Manifest
from covis_dask.products.paths import ProductPaths
from covis_dask.storage import ProductStore

__all__ = ["Disagreement", "Word", "disagreements", "lost_bytes", "truth"]


class Word(StrEnum):
    """What is wrong; these words stay the same for ever."""

    PRODUCT_DAMAGED = str(Kind.PRODUCT_DAMAGED)
    """The manifest cannot be used."""
    LEGACY_PRODUCT = str(Kind.LEGACY_PRODUCT)
    """Another program's product lies where the catalogue has one of ours."""
    UNREADABLE = str(Kind.UNREADABLE)
    """The run's document in the catalogue cannot be read."""
    FILE_MISSING = "file-missing"
    FILE_SIZE = "file-size"
    FILE_CHECKSUM = "file-checksum"
    MANIFEST_MISSING = "manifest-missing"
    """Recorded as done, but nothing is committed."""
    NOT_RECORDED = "not-recorded"
    """Committed, but the catalogue does not know it, or says that it failed."""
    FINGERPRINT = "fingerprint-differs"
    FORMATS = "formats-differ"
    TOKEN = "token-behind"  # noqa: S105  # a fencing token
    """Committed under a newer claim than the one that was recorded."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """One thing that is wrong, and one sentence that says what."""

    word: Word
    text: str


def lost_bytes(
    store: ProductStore, run: str, manifest: Manifest, *, deep: bool = False
) -> tuple[Disagreement, ...]:
    """Compare the files that a manifest names with those in the store.

    Parameters
    ----------
    store : ProductStore
    run : str
        The run's folder below the store.
    manifest : Manifest
    deep : bool
        Read every file, and compare its SHA-256 as well.

    Raises
    ------
    StorageUnavailable
        When the store does not answer.
    """
    held = store.sizes(run)
    return tuple(_wrong_files(store, run, manifest.all_files, held, deep=deep))


def _wrong_files(
    store: ProductStore, run: str, entries: Sequence[FileEntry], held: dict[str, int], *, deep: bool
) -> Iterator[Disagreement]:
    for entry in entries:
        path = ProductPaths.file(run, entry.name)
        size = held.get(path)
        if size is None:
            yield Disagreement(Word.FILE_MISSING, f"{entry.name} is not in the store")
        elif size != entry.size:
            yield Disagreement(Word.FILE_SIZE, f"{entry.name} has {size} bytes, not {entry.size}")
        elif deep:
            try:
                right = _sha256(store, path) == entry.sha256
            except ProductDamaged as fault:
                yield Disagreement(Word.FILE_MISSING, f"{entry.name}: {fault}")
                continue
            if not right:
                yield Disagreement(Word.FILE_CHECKSUM, f"{entry.name} holds other bytes (SHA-256 differs)")


def _sha256(store: ProductStore, path: str) -> str:
    digest = hashlib.sha256()
    for piece in store.pieces(path):
        digest.update(piece)
    return digest.hexdigest()


def disagreements(
    record: ProductRecord | None, manifest: Manifest | None, fault: RunError | None = None
) -> tuple[Disagreement, ...]:
    """Compare what the catalogue has of a run with what lies in the folder that it names.

    Parameters
    ----------
    record : ProductRecord, optional
    manifest : Manifest, optional
    fault : RunError, optional
        Why what lies there cannot be used.
    """
    done = record is not None and record.state == RunState.DONE
    if fault is not None:
        legacy = fault.kind == Kind.LEGACY_PRODUCT
        if legacy and not done:
            return ()  # a run of another program's, which we have not made
        return (Disagreement(Word.LEGACY_PRODUCT if legacy else Word.PRODUCT_DAMAGED, str(fault)),)
    if manifest is None:
        text = "recorded as done, but its manifest is not in the store"
        return (Disagreement(Word.MANIFEST_MISSING, text),) if done else ()
    return tuple(_unlike(record, manifest))


def _unlike(record: ProductRecord | None, manifest: Manifest) -> Iterator[Disagreement]:
    made = f"a product of {manifest.engine} {manifest.version}, fingerprint {manifest.fingerprint[:8]},"
    if record is None:
        yield Disagreement(Word.NOT_RECORDED, f"{made} is committed, but not recorded")
    elif record.state != RunState.DONE:
        # What failed was another product, if its fingerprint is: then the older one stands beside the record.
        if record.fingerprint == manifest.fingerprint and record.token <= manifest.token:
            yield Disagreement(Word.NOT_RECORDED, f"{made} is committed, but recorded as {record.state}")
    elif record.fingerprint != manifest.fingerprint:
        yield Disagreement(Word.FINGERPRINT, f"{made} is committed; recorded is {record.fingerprint[:8]}")
    else:
        if set(record.formats) - manifest.formats or (not record.formats and manifest.formats):
            held, said = (", ".join(sorted(some)) or "none" for some in (manifest.formats, record.formats))
            yield Disagreement(Word.FORMATS, f"the product has the formats {held}; recorded are {said}")
        if record.token < manifest.token:
            text = f"committed under token {manifest.token}, recorded under {record.token}"
            yield Disagreement(Word.TOKEN, text)


def truth(
    record: ProductRecord | None, path: str, manifest: Manifest | None, found: Sequence[Disagreement]
) -> ProductRecord | None:
    """Return what the catalogue should have of a run; None where it is not for the store to say.

    Parameters
    ----------
    record : ProductRecord, optional
        What it has.
    path : str
        The run's folder below the store.
    manifest : Manifest, optional
    found : sequence of Disagreement
        All that is wrong.
    """
    damage = next((one for one in found if one.word in _DAMAGE), None)
    if manifest is not None and damage is None:
        return _of_manifest(manifest, path)
    if damage is None:
        return None
    base = _of_manifest(manifest, path) if manifest is not None else record
    if base is None:
        return None
    kind = Kind.LEGACY_PRODUCT if damage.word == Word.LEGACY_PRODUCT else Kind.PRODUCT_DAMAGED
    return replace(base, state=RunState.FAILED, kind=kind, reason=damage.text, formats=())


_DAMAGE = frozenset(
    {
        Word.PRODUCT_DAMAGED,
        Word.LEGACY_PRODUCT,
        Word.FILE_MISSING,
        Word.FILE_SIZE,
        Word.FILE_CHECKSUM,
        Word.MANIFEST_MISSING,
    }
)


def _of_manifest(manifest: Manifest, path: str) -> ProductRecord:
    source = manifest.input
    inputs = {"file": source.filename.rsplit("/", 1)[-1], "size": source.size} if source else {}
    return ProductRecord(
        state=RunState.DONE,
        engine=manifest.engine,
        version=manifest.version,
        fingerprint=manifest.fingerprint,
        path=path,
        attempts=manifest.attempt,
        batch=manifest.batch,
        at=manifest.finished,
        inputs=json.dumps(inputs, sort_keys=True) if inputs else None,
        formats=tuple(sorted(manifest.formats)),
        token=manifest.token,
    )
