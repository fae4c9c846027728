"""Selection words as texts, and what they mean as the fields of a `RunQuery` (see `RunQuery.from_text`).

What each word means: docs/method.md#selection-words.
"""

import datetime as dt
import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from catalog.errors import BadName, SelectionError
from catalog.model import utc
from catalog.names import UNKNOWN_MODE, basename_of, families, mode_family, parse_basename
from catalog.patterns import check_pattern
from catalog.vocabulary import Family, Site

__all__ = ["SELECTION_WORDS", "Texts", "fields_from_text"]

SELECTION_WORDS = (
    "year",
    "month",
    "from_",
    "to",
    "mode",
    "site",
    "basename",
    "regex",
    "sample",
    "limit",
)
"""The words of a selection, as Python spells them; ``from_`` is ``--from`` on a command line."""

Texts = Mapping[str, str | int | Iterable[str | int] | None]
"""Selection words to what was said: one text, several, or None."""

_LAST_MOMENT = dt.time(23, 59, 59, 999999)


def fields_from_text(texts: Texts, stdin: TextIO | None = None) -> dict[str, Any]:
    """Return the fields of the query that selection words make; see `RunQuery.from_text`.

    Raises
    ------
    SelectionError
        When a word is nonsense, or there is no such word.
    """
    said = {word: _several(text) for word, text in texts.items() if text is not None}
    for word in said:
        if word not in SELECTION_WORDS:
            near = difflib.get_close_matches(word, SELECTION_WORDS, 1, cutoff=0.0)[0]
            raise SelectionError(f"there is no selection word {word!r}; the nearest is {near!r}")
    start = _moment(_one(said, "from_"), "--from", dt.time.min)
    stop = _moment(_one(said, "to"), "--to", _LAST_MOMENT)
    if start is not None and stop is not None and start > stop:
        raise SelectionError(
            f"--from {_one(said, 'from_')} is later than --to {_one(said, 'to')}: no time lies between them"
        )
    modes = [word.lower() for word in _split(said, "mode")]
    for mode in modes:
        _check_mode(mode)
    sample, seed = _sample(_one(said, "sample"))
    return {
        "years": _numbers(said, "year", 1990, 2199),
        "months": _numbers(said, "month", 1, 12),
        "start": start,
        "stop": stop,
        "families": frozenset(
            Family.UNKNOWN if mode == UNKNOWN_MODE else mode for mode in modes if _is_family(mode)
        ),
        "modes": frozenset(mode for mode in modes if not _is_family(mode)),
        "sites": frozenset(_site(word) for word in _split(said, "site")),
        "basenames": _basenames(said.get("basename", ()), stdin),
        "regex": _regex(_one(said, "regex")),
        "sample": sample,
        "seed": seed,
        "limit": _count(_one(said, "limit"), "--limit"),
    }


def _several(text: str | int | Iterable[str | int]) -> list[str]:
    return [str(text)] if isinstance(text, str | int) else [str(one) for one in text]


def _one(said: Mapping[str, list[str]], word: str) -> str | None:
    texts = said.get(word, [])
    if len(texts) > 1:
        raise SelectionError(f"--{word.rstrip('_')} takes one value, not {' and '.join(texts)}")
    return texts[0] if texts else None


def _split(said: Mapping[str, list[str]], word: str) -> Iterator[str]:
    for text in said.get(word, ()):
        for part in text.split(","):
            if not part.strip():
                raise SelectionError(f"--{word} {text!r} has an empty value")
            yield part.strip()


def _numbers(said: Mapping[str, list[str]], word: str, low: int, high: int) -> frozenset[int]:
    numbers: set[int] = set()
    for part in _split(said, word):
        match = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", part, re.ASCII)
        if match is None:
            raise SelectionError(
                f"--{word} {part!r} is neither a number nor a range: write {low} or {low}-{low + 3}"
            )
        first, last = int(match[1]), int(match[2] or match[1])
        for number in (first, last):
            if not low <= number <= high:
                raise SelectionError(f"--{word} {number} is out of range: use {low} to {high}")
        if first > last:
            raise SelectionError(
                f"--{word} {part} runs backwards: write {last}-{first}, or list the values with commas"
            )
        numbers.update(range(first, last + 1))
    return frozenset(numbers)


def _moment(text: str | None, word: str, time_of_day: dt.time) -> dt.datetime | None:
    """Read a moment: a bare date means its first or last one, a time without a zone UTC."""
    if text is None:
        return None
    text = text.strip()
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}|\d{8}", text, re.ASCII):
            return dt.datetime.combine(dt.date.fromisoformat(text), time_of_day, dt.UTC)
        if re.match(r"\d{4}-?\d{2}-?\d{2}[T ]", text, re.ASCII):
            return utc(text)
        reason = ""
    except (ValueError, OverflowError) as error:
        reason = f" ({error})"
    raise SelectionError(
        f"{word} {text!r} is not a date or time{reason}: write 2014-03-01 or 2014-03-01T12:00 (UTC)"
    )


def _is_family(word: str) -> bool:
    return word in families() or word == UNKNOWN_MODE


def _check_mode(word: str) -> None:
    """Refuse a word that no site gives a family: it is a slip of the pen."""
    if not _is_family(word) and all(mode_family(word, site) == Family.UNKNOWN for site in Site):
        raise SelectionError(
            f"--mode {word!r} is not a mode: families are {', '.join(families())}; exact words diffuse3 ..."
        )


def _site(word: str) -> str:
    site = word.capitalize()
    if site not in set(Site):
        raise SelectionError(f"--site {word!r} is not a site: sites are {' and '.join(Site)}")
    return site


def _basenames(texts: Iterable[str], stdin: TextIO | None) -> frozenset[str]:
    names: set[str] = set()
    for text in texts:
        if text == "-":
            if stdin is None:
                raise SelectionError("--basename -: there is no standard input to read names from here")
            names |= _listed(stdin.read(), "on standard input")
        elif text.startswith("@"):
            try:
                names |= _listed(Path(text[1:]).read_text(encoding="utf-8"), f"in {text[1:]}")
            except (OSError, UnicodeDecodeError) as error:
                reason = error.strerror if isinstance(error, OSError) else "it is not text"
                raise SelectionError(f"--basename {text}: the file cannot be read: {reason}") from error
        else:
            names.add(_basename(text))
    return frozenset(names)


def _listed(text: str, where: str) -> set[str]:
    """Read a list of names; an empty one must not come to mean every run."""
    lines = [line.strip() for line in text.splitlines()]
    names = {_basename(line) for line in lines if line and not line.startswith("#")}
    if not names:
        raise SelectionError(f"--basename: no names {where}")
    return names


def _basename(text: str) -> str:
    name = basename_of(text.strip().rstrip("/"))
    try:
        return parse_basename(name).basename
    except BadName as error:
        raise SelectionError(f"--basename: {error}") from error


def _regex(text: str | None) -> str | None:
    if text is not None:
        check_pattern(text)
    return text


def _sample(text: str | None) -> tuple[int | None, int]:
    if text is None:
        return None, 0
    number, colon, seed = text.partition(":")
    if colon and not re.fullmatch(r"-?\d+", seed, re.ASCII):
        raise SelectionError(f"--sample {text!r}: the seed after ':' is a whole number, as in 100:7")
    return _count(number, "--sample"), int(seed or 0)


def _count(text: str | None, word: str) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"\d+", text, re.ASCII) or int(text) == 0:
        raise SelectionError(f"{word} {text!r} is not a number of runs: write 1 or more")
    return int(text)
