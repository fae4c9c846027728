"""Listings of the archives, and walks over stores, as runs for the catalogue; and what was left out, and why.

Four kinds of listing are told apart by their first characters:

``ONC list``
    A JSON list of file names, as the archive of Ocean Networks Canada gives it (host DMAS). Only ``.tar``
    files are raw there; the list has no sizes.
``NAS listing``
    Lines of NAS number, size in bytes and path, tab separated. List n is of host ``OLD-COVIS-NAS<n>``.
``metadata report``
    The CSV report of an earlier catalogue: basename, datetime, site, mode, raw_size, gz_size, 7z_size. It
    says which runs there are, with date, site and mode, not where they lie: alone it makes runs without raw
    files. Given a host, it is taken at the word of who gives it: each run lies there at its usual path
    (``YYYY/MM/DD``) as ``.tar.gz`` of `gz_size` bytes, or else as ``.7z`` of `7z_size`.
``walk``
    All files below a folder of a store, sizes as the store lists them.

Only archives become runs: products, logs, loose files of unpacked runs and folders are counted and left out.
"""

import codecs
import csv
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from catalog.answers import Sense, answer_of, look_into
from catalog.errors import BadName, ListingError
from catalog.hosts import best_file, host_kind, normalise
from catalog.model import RawFile, Run, utc
from catalog.names import RunName, archive_kind, archive_path, basename_of, parse_basename

__all__ = ["ImportReport", "ListingError", "Skipped", "import_listing", "walk_store"]

_EXAMPLES = 3
_DIGITS = 19  # of numbers that a 64-bit integer holds
_RUN_FOLDER = re.compile(r"(?:APLUWCOVISMBSONAR001_|COVIS-)\d{8}T\d{6}", re.ASCII)
_NAS_LINE = re.compile(r"^\d+\t\d+\t\S", re.ASCII | re.MULTILINE)
_QUOTED = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_REPORT_HEADER = re.compile(r"#?\s*basename\s*,", re.ASCII)


@dataclass(frozen=True, slots=True)
class Skipped:
    """Entries of one sort: how many, and the first few."""

    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What a listing holds.

    Parameters
    ----------
    kind : str
        ``ONC list``, ``NAS listing``, ``metadata report`` or ``walk``.
    entries : int
        Names, lines or files read; each is in a run or counted in `skipped`.
    runs : tuple of Run
        By start time; one raw file each, or none (metadata report).
    skipped : mapping of str to Skipped
        What did not become a run's entry, by reason, most frequent first.
    faulty : mapping of str to Skipped
        Runs that were taken though their names are faulty (docs/method.md#names), by fault.
    """

    kind: str
    entries: int
    runs: tuple[Run, ...]
    skipped: Mapping[str, Skipped]
    faulty: Mapping[str, Skipped]


def import_listing(listing: Path | str, host: str | None = None) -> ImportReport:
    """Read a listing of raw archives.

    Parameters
    ----------
    listing : Path or str
        A file, or the text itself.
    host : str, optional
        Where the files lie, any case. An ONC list needs it; a NAS listing knows its own.

    Raises
    ------
    ListingError
        When it is unknown kind of listing, or contradicts `host`.
    """
    text = _read(listing) if isinstance(listing, Path) else listing
    try:
        host = None if host is None else normalise(host)
    except ValueError as error:
        raise ListingError(str(error)) from error
    beginning = text.lstrip("\ufeff \t\r\n")
    if beginning.startswith("["):
        return _onc_list(beginning, host)
    if _REPORT_HEADER.match(beginning):
        return _metadata_report(beginning, host)
    if _NAS_LINE.search(beginning):
        return _nas_listing(beginning, host)
    raise ListingError(
        "unknown kind of listing, known are: a JSON list of file names, lines of NAS number, size and path "
        "(tab separated), or a CSV report that begins with 'basename,'"
    )


def walk_store(fs: Any, root: str, host: str) -> ImportReport:
    """List all raw archives below a folder of a store.

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
        The store.
    root : str
        Folder or bucket on it; file names in the catalogue are relative to it.
    host : str
        Name of the host in the catalogue, any case.

    Raises
    ------
    ListingError
        When the folder does not exist or the store cannot be listed.
    """
    try:
        files = _Files(normalise(host))
        base = str(fs._strip_protocol(root)).rstrip("/") + "/"
        entries = fs.find(root, detail=True)
        if not entries:
            fs.ls(root)  # a search passes over what cannot be listed; this says why
            look_into(fs, str(fs._strip_protocol(root)))
    except Exception as error:  # each store has its own errors, few of them OSError
        answer = answer_of(error)
        if answer is None:
            raise ListingError(f"{root!r} cannot be walked: {error}") from error
        if answer.sense is Sense.ABSENT and not answer.service:
            raise ListingError(f"there is no {root!r} to walk") from error
        raise ListingError(f"{root!r} cannot be walked: the store {answer.sentence}") from error
    for path, info in sorted(entries.items()):
        files.offer(_below(fs, base, str(path)), info.get("size"), exact=True)
    return files.report("walk")


def _below(fs: Any, base: str, path: str) -> str:
    """Return a file's name below the root, as it is: keys may begin with a slash, addresses are quoted."""
    name = path.removeprefix(base)
    protocols = getattr(fs, "protocol", ())
    return unquote(name) if "http" in ((protocols,) if isinstance(protocols, str) else protocols) else name


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ListingError(f"{path} cannot be read: {error.strerror}") from error
    is_wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if is_wide else "utf-8", "replace")


def _onc_list(text: str, host: str | None) -> ImportReport:
    if host is None:
        raise ListingError(
            "a JSON list does not say where its files lie: give --host (DMAS for a list from ONC)"
        )
    files = _Files(host)
    try:
        names = json.loads(text)
    except (ValueError, RecursionError) as error:
        names = _names_left(text, files)
        if not names:
            raise ListingError(f"the JSON list is damaged: {error}") from error
    for name in names:
        if isinstance(name, str):
            files.offer(name, None)
        else:
            files.skip("entries that are not file names", json.dumps(name))
    return files.report("ONC list")


def _names_left(text: str, files: "_Files") -> list[str]:
    """Return the names that a damaged JSON list still holds; what stands between them is told."""
    names = []
    for line in text.splitlines():
        found = _QUOTED.findall(line)
        for quoted in found:
            try:
                names.append(str(json.loads(quoted)))
            except ValueError:
                files.skip("names that cannot be read", quoted)
        if _QUOTED.sub("", line).strip(" \t\r\0,[]"):
            files.skip("lines that are not a file name in quotes", line)
    return names


def _nas_listing(text: str, host: str | None) -> ImportReport:
    lines = [line.split("\t") for line in text.splitlines() if line.strip(" \t\0")]
    sound = [len(columns) == 3 and _is_number(columns[0]) and _is_number(columns[1]) for columns in lines]
    numbers = Counter(columns[0] for columns, good in zip(lines, sound, strict=True) if good)
    if not numbers:
        raise ListingError("no line of the listing is NAS number, size and path (tab separated)")
    ((number, _),) = numbers.most_common(1)
    own = f"OLD-COVIS-NAS{number}"
    if host is not None and host_kind(host) == "old-nas" and host != own:
        raise ListingError(f"this is the listing of NAS {number}, so its host is {own}, not {host}")
    files = _Files(host or own)
    for columns, good in zip(lines, sound, strict=True):
        if not good:
            files.skip("lines that are not NAS number, size and path", "\t".join(columns))
        elif columns[0] != number:
            files.skip(f"lines of another NAS than {number}", "\t".join(columns))
        else:
            files.offer(columns[2], int(columns[1]))
    return files.report("NAS listing")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < _DIGITS


def _metadata_report(text: str, host: str | None) -> ImportReport:
    files = _Files(host or "")
    header, *lines = text.removeprefix("#").lstrip().splitlines()
    names = [name.strip() for name in _cells(header) or ()]
    for line in filter(str.strip, lines):
        cells = _cells(line)
        if cells is None:
            files.skip("rows that cannot be read", line)
            continue
        row = dict(zip(names, cells, strict=False))
        basename = row.get("basename") or ""
        try:
            name = parse_basename(basename)
            start = utc(row["datetime"])
            sizes = {ext: int(row[column]) for ext, column in _SIZES.items() if row.get(column)}
        except BadName:
            files.skip("names that are not of a COVIS run", basename)
        except (KeyError, OverflowError, ValueError):
            files.skip("rows that cannot be read", line)
        else:
            said = RunName(
                basename, start, row.get("mode") or name.mode, row.get("site") or name.site, name.fault
            )
            extension = next(iter(sizes), ".tar.gz")
            files.take(
                said, RawFile(host, archive_path(basename, extension), sizes.get(extension)) if host else None
            )
    return files.report("metadata report")


def _cells(line: str) -> list[str] | None:
    """Split a row; each by itself, so that a lone quote does not swallow the rows behind it."""
    try:
        (cells,) = csv.reader([line], strict=True)
    except (csv.Error, ValueError):
        return None
    return cells


_SIZES = {".tar.gz": "gz_size", ".7z": "7z_size"}


@dataclass(slots=True)
class _Files:
    """Sorts the files of one host into runs and what is none."""

    host: str
    entries: int = 0
    _names: dict[str, RunName] = field(default_factory=dict)
    _raw: dict[str, dict[str, RawFile]] = field(default_factory=dict)
    _skipped: dict[str, list[str]] = field(default_factory=dict)

    def offer(self, path: str, size: int | None, *, exact: bool = False) -> None:
        """Take a file if it is a raw archive; a listing may begin paths as its maker liked."""
        if not exact:
            path = path.removeprefix("./").lstrip("/")
        reason = self._no_archive(path)
        if reason is None:
            try:
                name = parse_basename(basename_of(path))
            except BadName:
                reason = "archives whose name is not that of a COVIS run"
            else:
                self.take(name, RawFile(self.host, path, size))
                return
        self.skip(reason, path)

    def take(self, name: RunName, file: RawFile | None) -> None:
        """Take a run, with a raw file if there is one."""
        raw = self._raw.setdefault(name.basename, {})
        if name.basename in self._names and (file is None or file.filename in raw):
            self.skip("entries listed twice", name.basename if file is None else file.filename)
            return
        self.entries += 1
        self._names.setdefault(name.basename, name)
        if file is not None:
            raw[file.filename] = file

    def skip(self, reason: str, example: str) -> None:
        """Count an entry that is no run's."""
        self.entries += 1
        self._skipped.setdefault(reason, []).append(example)

    def _no_archive(self, path: str) -> str | None:
        folder, _, name = path.rpartition("/")
        kind = archive_kind(name)
        if kind is not None:
            is_raw = host_kind(self.host) != "dmas" or kind == "tar"
            return None if is_raw else "archives other than .tar, the raw kind of DMAS"
        if any(_RUN_FOLDER.match(part) for part in folder.split("/")):
            return "loose files in the folder of a run"
        extension = name.removeprefix(basename_of(name))
        if extension in (".mat", ".pdf", ".png"):
            return "products (.mat, .pdf, .png)"
        if extension == ".txt":
            return "logs (.txt)"
        return "other files" if extension else "folders, and files without an extension"

    def report(self, kind: str) -> ImportReport:
        """Choose one file per run, and sum up."""
        runs = []
        faulty: dict[str, list[str]] = {}
        for name in sorted(self._names.values(), key=lambda name: (name.datetime, name.basename)):
            chosen: tuple[RawFile, ...] = ()
            if self._raw[name.basename]:
                best, others = best_file(self._raw[name.basename].values())
                chosen = (best,)
                for file in others:
                    self._skipped.setdefault("further files of a run that has a better one here", []).append(
                        file.filename
                    )
            if name.fault is not None:
                faulty.setdefault(name.fault, []).append(name.basename)
            runs.append(Run(name.basename, name.datetime, name.mode, name.site, chosen))
        return ImportReport(kind, self.entries, tuple(runs), _summed(self._skipped), _summed(faulty))


def _summed(by_reason: Mapping[str, list[str]]) -> dict[str, Skipped]:
    ordered = sorted(by_reason.items(), key=lambda item: -len(item[1]))
    return {reason: Skipped(len(examples), tuple(examples[:_EXAMPLES])) for reason, examples in ordered}
