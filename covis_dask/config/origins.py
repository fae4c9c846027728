"""Where a setting was set: a file, a variable, or nowhere."""

import difflib
import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import dask.config
import msgspec

from covis_dask.config.reading import Fault, dotted, shown
from covis_dask.config.sections import CovisSection, Section

__all__ = ["flat", "misplaced", "origin_of", "origins"]

_ENDINGS = (".yaml", ".yml", ".json")
_VARIABLE = "DASK_COVIS__"


def flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield the settings of a section by their dotted names."""
    if isinstance(value, Mapping) and value:
        for key, entry in value.items():
            yield from flat(entry, f"{name}.{key}")
    else:
        yield name, value


def origins(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Find, for each setting that is set at all, the strongest place that sets it; see `origin_of`."""
    found: dict[str, str] = {}
    for path, document in _documents():
        for name, _ in flat(document.get("covis") or {}, "covis"):
            found[_canonical(name)] = path
    for variable in environ:
        if variable.startswith(_VARIABLE):
            name = variable[len("DASK_") :].replace("__", ".")
            found[_canonical(name)] = f"variable {variable}"
    return found


def origin_of(name: str, found: Mapping[str, str]) -> str | None:
    """Return where a setting, or anything in it, was set; None for one that is as shipped.

    Parameters
    ----------
    name : str
        Dotted.
    found : mapping
        What `origins` found.
    """
    wanted = _canonical(name)
    if wanted in found:
        return found[wanted]
    for key, origin in found.items():
        if key.startswith(f"{wanted}.") or wanted.startswith((f"{key}.", f"{key}[")):
            return origin
    return None


def misplaced(environ: Mapping[str, str] = os.environ) -> Iterator[Fault]:
    """Find what Dask loses without a word: a section that is no section, and names that miss ours."""
    for path, document in _documents():
        for key in document:
            if key != "covis" and difflib.get_close_matches(str(key).lower(), ["covis"], 1, 0.75):
                yield Fault(str(key), f"{path}: unknown section {key!r}; did you mean covis?")
    for variable in environ:
        if variable.startswith("DASK_COVIS") and not variable.startswith(_VARIABLE):
            near = f"{_VARIABLE}{variable.removeprefix('DASK_COVIS').strip('_') or 'KEY'}"
            yield Fault("covis", f"the variable {variable} sets nothing; did you mean {near}?")
    ours = {name: value for name, value in environ.items() if name.startswith(_VARIABLE)}
    said = [(f"variable {name}", dask.config.collect_env({name: value})) for name, value in ours.items()]
    for origin, document in (*_documents(), *said):
        for fault in _no_sections(CovisSection, document.get("covis"), "covis"):
            yield Fault(fault.key, f"{origin}: {fault.text}")


def _no_sections(kind: type[Section], said: Any, name: str) -> Iterator[Fault]:
    """Find text, lists and numbers where keys are meant: the defaults would take their place."""
    if said is None:
        return
    if not isinstance(said, Mapping):
        yield Fault(name, f"{name} must be keys and values, not {shown(said)}")
        return
    for field in msgspec.structs.fields(kind):
        here = said.get(field.encode_name, said.get(field.name))
        full = dotted(*name.split(".")[1:], field.encode_name)
        if isinstance(field.type, type) and issubclass(field.type, Section):
            yield from _no_sections(field.type, here, full)
        elif full in _TABLES and here is not None and not isinstance(here, Mapping):
            yield Fault(full, f"{full} must be keys and values, not {shown(here)}")


_TABLES = frozenset({"covis.hosts", "covis.cluster", "covis.matlab.knows"})


def _canonical(name: str) -> str:
    return name.lower().replace("_", "-")


def _documents() -> tuple[tuple[str, dict[str, Any]], ...]:
    """Return the files that Dask reads, weakest first."""
    files = []
    for place in map(Path, dask.config.paths):
        try:
            held = sorted(path for path in place.iterdir() if path.suffix.lower() in _ENDINGS)
        except NotADirectoryError:
            held = [place]
        except OSError:
            continue
        files += [(str(path), path.stat().st_mtime_ns) for path in held if path.is_file()]
    return _read(tuple(files))


@lru_cache(1)  # a worker loads its settings for every run
def _read(files: tuple[tuple[str, int], ...]) -> tuple[tuple[str, dict[str, Any]], ...]:
    found = dask.config.collect_yaml([path for path, _ in files], return_paths=True)
    return tuple((str(path), document) for path, document in found if document)
