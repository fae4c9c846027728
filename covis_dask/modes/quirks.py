"""The quirks of the original programs, Q1 to Q68: what each of them does, and what mends it.

They stand in ``quirks.toml`` beside this module; `page` is docs/quirks.md.
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

__all__ = ["CLASSES", "Quirk", "page", "quirks"]

Class = Literal["R", "F", "N"]

CLASSES: Mapping[Class, str] = MappingProxyType(
    {
        "R": "reproduced in profile matlab, mended in profile corrected",
        "F": "mended in every profile: the original fails, or its result is undefined",
        "N": "a note: without effect on the numbers, or a choice that the original leaves open",
    }
)
"""What is done about a quirk."""


@dataclass(frozen=True, slots=True)
class Quirk:
    """One quirk.

    Attributes
    ----------
    id : str
        Such as ``Q11``.
    kind : {"R", "F", "N"}
        See `CLASSES`.
    where : str
        The step, and the modes in which it is taken.
    original, fix : str
        What the original does; what mends it.
    switch : str
        Name of the field of `Fixes` that mends it; empty where it has no switch.
    science : str
        Name of the field of `ScienceFixes` that mends it, where it is one of the second level.
    touches : tuple of str
        Runs whose numbers the switch changes: site, family, and presets where not all of them.
    tests : tuple of str
        Functions that test what we do, where there is no switch.
    level : int
        2 for what is made from products (`covis_dask.science`).
    """

    id: str
    kind: Class
    where: str
    original: str
    fix: str
    switch: str = ""
    science: str = ""
    touches: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    level: int = 1

    def applies_to(self, family: str, site: str, preset: str) -> bool:
        """Say whether the switch changes the numbers of such runs."""
        for touched in (text.split() for text in self.touches):
            if touched[:2] == [site, family] and (len(touched) == 2 or preset in touched[2:]):
                return True
        return False


@cache
def quirks() -> Mapping[str, Quirk]:
    """Return all quirks by id, in the order of their numbers."""
    text = files("covis_dask.modes").joinpath("quirks.toml").read_text(encoding="utf-8")
    return MappingProxyType({key: _quirk(key, table) for key, table in tomllib.loads(text).items()})


def _quirk(key: str, table: Mapping[str, Any]) -> Quirk:
    fields: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in table.items()
    }
    return Quirk(id=key, kind=fields.pop("class"), **fields)


_HEAD = """\
# Quirks of the original programs

The original Matlab programs contain oddities that change numbers. Profile `matlab` (the default) gives the
originals' numbers, quirks included; profile `corrected` mends all of class R. One of them alone is mended
with `--fix`, which may be repeated:

    python -m covis_dask.batch --year 2014 --fix Q11

Such products lie under a prefix of their own (`native-matlab+Q11`) and say in their attributes and in the
manifest what was mended. A fix that does not touch a kind of run leaves its numbers, and its fingerprint, as
they are; the plan says so.

| class | meaning |
|---|---|
{classes}

This page is written from `covis_dask/modes/quirks.toml`, by `python -m tests.quirks > docs/quirks.md`.
"""


_SECOND = """\
The second level ([science.md](science.md)) has a profile of its own, `covis.science.profile`, which is
`corrected` unless the configuration says otherwise; `covis.science.fixes` mends single ones in `matlab`.
"""


def page() -> str:
    """Return docs/quirks.md."""
    head = _HEAD.format(classes="\n".join(f"| {kind} | {meaning} |" for kind, meaning in CLASSES.items()))
    first, second = ([one for one in quirks().values() if one.level == level] for level in (1, 2))
    parts = [head, "## From raw run to gridded product\n", *_sections(first)]
    parts += ["## From products onwards\n", _SECOND]
    return "\n".join([*parts, *_sections(second)]).rstrip() + "\n"


def _sections(some: Iterable[Quirk]) -> Iterable[str]:
    for one in some:
        how = f"`--fix {one.id}`" if one.level == 1 else f"`covis.science.fixes: [{one.id}]`"
        switch = f", {how}" if one.switch or one.science else ""
        lines = [
            f"### {one.id}\n",
            f"{one.where[0].upper()}{one.where[1:]}. Class {one.kind}{switch}.\n",
            f"**Original.** {one.original}\n",
            f"**Fix.** {one.fix}\n" if one.kind != "N" else f"**Here.** {one.fix}\n",
        ]
        if one.touches:
            lines.append(f"Touches: {', '.join(one.touches)}.\n")
        yield "\n".join(lines)
