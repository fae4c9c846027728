"""Run documents as other programs, other times and other hands have written them.

What a document says in another way is read (dates and numbers as text, a site in lower case; no date, site
or mode where the name tells; raw entries beside sound ones). What it does not say leaves a run that is
`unreadable`, under the document's own ``_id``: it is selected, counted and named, and nothing is done to it.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any, Final

from catalog.documents import decode
from catalog.errors import BadName, DocumentError
from catalog.model import Content, ProductRecord, RawFile, Run, utc
from catalog.names import UNKNOWN_MODE, RunName, basename_of, parse_basename, site_of
from catalog.vocabulary import Site

__all__ = ["NEVER", "read_run"]

NEVER: Final = dt.datetime.min.replace(tzinfo=dt.UTC)
"""Date of an unreadable run without one."""

_SITES: Final = {str(site).lower(): str(site) for site in Site}
_MILLISECONDS: Final = 1e11  # Unix times above are not in seconds


def read_run(document: Any, identity: object) -> Run:
    """Read a run document, as far as it goes.

    Parameters
    ----------
    document : any
        As the store has it.
    identity : object
        What the store calls it, such as its ``_id``; for a document that cannot be read.

    Returns
    -------
    Run
        Where `fault` is set, it is an unreadable one.
    """
    if not isinstance(document, Mapping):
        return _unreadable({}, identity, "it is not an object")
    try:
        run = Run.from_document(document)
    except (DocumentError, OverflowError):
        return _as_far_as_it_goes(document, identity)
    sound = run.mode and run.site in _SITES.values() and all((file.filesize or 0) >= 0 for file in run.raw)
    return run if sound and _is_name(run.basename) else _as_far_as_it_goes(document, identity)


def _as_far_as_it_goes(document: Mapping[str, Any], identity: object) -> Run:
    raw = tuple(_raw(document.get("raw")))
    basename = document.get("basename")
    if not isinstance(basename, str) or not _is_name(basename):
        of_files = f"; its raw files are those of {name}" if (name := _of_files(raw)) else ""
        return _unreadable(document, identity, f"it has no basename{of_files}")
    stated = _name(basename)
    when = _moment(document.get("datetime")) or (stated.datetime if stated else None)
    if when is None:
        return _unreadable(document, identity, "it has no datetime, and its basename has none")
    site = _text(document.get("site")) or str(site_of(when))
    return Run(
        basename=basename,
        datetime=when,
        mode=_text(document.get("mode")) or (stated.mode if stated else UNKNOWN_MODE),
        site=_SITES.get(site.lower(), site),
        raw=raw,
        contents=_quietly(tuple[Content, ...], document.get("contents")),
        product=_quietly(ProductRecord, document.get("product")),
    )


def _unreadable(document: Mapping[str, Any], identity: object, why: str) -> Run:
    basename = _text(document.get("basename"))
    when = _moment(document.get("datetime"))
    site = _text(document.get("site")) or ("" if when is None else str(site_of(when)))
    return Run(
        basename=basename or f"unreadable-{identity}",
        datetime=when or NEVER,
        mode=_text(document.get("mode")) or UNKNOWN_MODE,
        site=_SITES.get(site.lower(), site),
        fault=f"the document with _id {identity} in the catalogue cannot be read: {why}; mend or remove it",
    )


def _is_name(basename: str) -> bool:
    """Say whether a run can be claimed and recorded under a name: as it stands, without blanks around it."""
    return bool(basename) and basename == basename.strip()


def _text(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None


def _name(basename: str) -> RunName | None:
    try:
        return parse_basename(basename)
    except BadName:
        return None


def _of_files(raw: tuple[RawFile, ...]) -> str | None:
    """Return the name that all files of a run have, None where they have none or differ."""
    names = {basename_of(file.filename) for file in raw}
    name = names.pop() if len(names) == 1 else ""
    return name if _name(name) is not None else None


def _moment(value: object) -> dt.datetime | None:
    """Read a time: a datetime, ISO text, Unix seconds or milliseconds, the ``$date`` of a dump."""
    if isinstance(value, Mapping):
        value = value.get("$date", value.get("$numberLong"))
        return _moment(value)
    try:
        if isinstance(value, str):
            text = value.strip()
            return _moment(float(text)) if text.replace(".", "", 1).isdigit() else utc(text)
        if isinstance(value, dt.datetime):
            return utc(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = value / 1000 if abs(value) > _MILLISECONDS else value
            return dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def _raw(value: object) -> Iterator[RawFile]:
    """Yield the files that have host and name; others, and what is no list of them, are passed over."""
    for entry in [value] if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ():
        if not isinstance(entry, Mapping):
            continue
        host, filename = _text(entry.get("host")), _text(entry.get("filename"))
        if host and filename:
            yield RawFile(host, filename, _size(entry.get("filesize")))


def _size(value: object) -> int | None:
    if isinstance(value, Mapping):
        value = value.get("$numberLong", value.get("$numberInt"))
    try:
        size = int(float(value)) if isinstance(value, str | int | float) else -1
    except (ValueError, OverflowError):
        return None
    return size if size >= 0 else None


def _quietly(kind: Any, value: object) -> Any:
    """Read a part of a document; another program's leaves nothing behind."""
    if value is None:
        return None
    try:
        return decode(kind, value, "part", strict=False)
    except (DocumentError, ValueError, TypeError, OverflowError):
        return None
