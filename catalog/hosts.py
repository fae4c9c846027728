"""Hosts of raw archives: their names, kinds, and which is asked first (docs/method.md#catalogue).

Only names live here; addresses and keys come from the configuration. Names are matched in any case and kept
in upper case; a name that is not listed here is as good as any, it only comes last.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import groupby

from catalog.model import RawFile
from catalog.names import ARCHIVE_KINDS, archive_kind

__all__ = ["DEFAULT_ORDER", "best_file", "host_kind", "normalise", "one_per_host", "preferred"]

DEFAULT_ORDER = ("COVIS-NAS", *(f"OLD-COVIS-NAS{n}" for n in range(1, 7)), "WASABI", "DMAS")
"""Hosts in order of preference."""

_NAME = re.compile(r"[A-Z0-9][A-Z0-9_.-]*", re.ASCII)
_OLD_NAS = re.compile(r"OLD-COVIS-NAS[1-6]", re.ASCII)


def normalise(name: str) -> str:
    """Return a host's name as the catalogue keeps it.

    Raises
    ------
    ValueError
        When it is no name: letters, digits, ``-``, ``_`` and ``.`` make one.
    """
    upper = name.strip().upper()
    if not _NAME.fullmatch(upper):
        raise ValueError(
            f"{name!r} is not a host name: use letters, digits, '-', '_' and '.', as in OLD-COVIS-NAS5"
        )
    return upper


def host_kind(name: str) -> str:
    """Return the kind of a host: ``nas``, ``old-nas``, ``wasabi``, ``dmas`` or ``other``."""
    upper = name.strip().upper()
    if _OLD_NAS.fullmatch(upper):
        return "old-nas"
    return {"COVIS-NAS": "nas", "WASABI": "wasabi", "DMAS": "dmas"}.get(upper, "other")


def preferred(raw: Iterable[RawFile], order: Sequence[str] | None = None) -> tuple[RawFile, ...]:
    """Sort the copies of a run: the one to try first comes first.

    Parameters
    ----------
    raw : iterable of RawFile
        Copies, on any hosts. Several on one host are tried as `best_file` would choose.
    order : sequence of str, optional
        Host names, any case, best first. Hosts it leaves out follow in `DEFAULT_ORDER`, others after
        them by name.
    """
    ranks = {
        host: rank for rank, host in reversed(list(enumerate((*map(str.upper, order or ()), *DEFAULT_ORDER))))
    }
    return tuple(
        sorted(
            raw,
            key=lambda file: (ranks.get(file.host.upper(), len(ranks) + 99), file.host.upper(), _rank(file)),
        )
    )


def best_file(files: Iterable[RawFile]) -> tuple[RawFile, tuple[RawFile, ...]]:
    """Choose which of several files of a run on one host becomes its entry.

    ``.tar.gz`` comes before ``.tar`` before ``.7z`` before the others (docs/method.md#catalogue); among
    equals the shorter path, then the first by name.

    Returns
    -------
    tuple of RawFile and tuple of RawFile
        The chosen one, and the others.
    """
    best, *others = sorted(files, key=_rank)
    return best, tuple(others)


def one_per_host(raw: Iterable[RawFile]) -> tuple[RawFile, ...]:
    """Reduce copies to one per host, as the catalogue keeps them, in order of preference."""
    return tuple(
        best_file(files)[0] for _, files in groupby(preferred(raw), key=lambda file: file.host.upper())
    )


def _rank(file: RawFile) -> tuple[int, int, str]:
    kind = archive_kind(file.filename)
    order = len(ARCHIVE_KINDS) if kind is None else ARCHIVE_KINDS.index(kind)
    return order, len(file.filename), file.filename
