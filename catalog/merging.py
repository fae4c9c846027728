"""What adding runs means for stored documents: the part of `add_raw` that both stores share."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from catalog.hosts import one_per_host
from catalog.model import RawFile, Run
from catalog.names import UNKNOWN_MODE

__all__ = ["changes", "chunks", "is_on", "new_document", "raw_of"]


def chunks(runs: Iterable[Run], size: int) -> Iterator[list[Run]]:
    """Cut a long series of runs into lists, so that no store waits, or locks, for the whole of it."""
    source = iter(runs)
    while chunk := list(islice(source, size)):
        yield chunk


def new_document(run: Run) -> dict[str, Any]:
    """Return the document of a run that is not known yet; a product is never added this way."""
    document = run.to_document()
    document.pop("product", None)
    return {**document, "raw": [file.to_document() for file in one_per_host(run.raw)]}


def changes(document: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """Return the fields of a stored document that change when `run` is added to it.

    Parameters
    ----------
    document : mapping
        As stored; its `contents` matter only when `run` has some.
    run : Run
        What a listing or a walk says.

    Returns
    -------
    dict
        New values by field; empty when the document says all that already. Fields and hosts that `run`
        does not speak of stay as they are.
    """
    changed: dict[str, Any] = {}
    known = raw_of(document)
    raw = known
    for file in one_per_host(run.raw):
        raw = _with(raw, file)
    if raw is not known:
        changed["raw"] = raw
    if run.contents is not None:
        contents = [entry.to_document() for entry in run.contents]
        if contents != document.get("contents"):
            changed["contents"] = contents
    if document.get("mode") == UNKNOWN_MODE != run.mode:
        changed["mode"] = run.mode
    return changed


def _with(raw: Sequence[Mapping[str, Any]], file: RawFile) -> Sequence[Mapping[str, Any]]:
    """Put a file in its host's place, or return `raw` itself when it is there already."""
    same_host = [index for index, entry in enumerate(raw) if is_on(entry, file.host)]
    if any(_says(raw[index], file) for index in same_host):
        return raw
    kept = [entry for index, entry in enumerate(raw) if index not in same_host]
    index = same_host[0] if same_host else len(kept)
    return [*kept[:index], file.to_document(), *kept[index:]]


def raw_of(document: Mapping[str, Any]) -> Sequence[Any]:
    """Return the raw entries of a stored document, none where it has no list of them."""
    raw = document.get("raw")
    return raw if isinstance(raw, list) else []


def is_on(entry: Any, host: str) -> bool:
    """Say whether a raw entry is of a host; entries of other programs may be anything."""
    return isinstance(entry, Mapping) and str(entry.get("host")).upper() == host.upper()


def _says(entry: Mapping[str, Any], file: RawFile) -> bool:
    """Compare entries; a listing without sizes does not unsay a size that is known."""
    same_size = file.filesize is None or entry.get("filesize") == file.filesize
    return entry.get("filename") == file.filename and same_size
