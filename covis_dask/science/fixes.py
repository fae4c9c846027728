"""Which quirks of the originals' second-level programs are mended: all, none, or some by name."""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any

from covis_dask.errors import ConfigurationError

__all__ = ["ScienceFixes", "science_fixes"]


def _mends(quirk: str) -> Any:
    """Declare a switch, off by default, and the quirk that it mends."""
    return field(default=False, metadata={"quirk": quirk})


@dataclass(frozen=True, slots=True, kw_only=True)
class ScienceFixes:
    """A switch for every quirk of the second level; `covis_dask.modes.quirks` tells what each does."""

    elevation_from_head: bool = _mends("Q28")
    radii_in_order: bool = _mends("Q34")
    offset_subtracted: bool = _mends("Q36")
    peak_alone: bool = _mends("Q50")
    propagated_error: bool = _mends("Q58")
    fitted_velocity: bool = _mends("Q59")
    signed_sum: bool = _mends("Q60")
    steep_sight: bool = _mends("Q61")
    no_floor: bool = _mends("Q62")
    own_water: bool = _mends("Q64")
    pooled_coherence: bool = _mends("Q65")


@cache
def _switches() -> dict[str, str]:
    return {one.metadata["quirk"]: one.name for one in fields(ScienceFixes)}


def science_fixes(profile: str, fixed: Iterable[str] = ()) -> ScienceFixes:
    """Return what is mended.

    Parameters
    ----------
    profile : {"corrected", "matlab"}
        Everything, or nothing but `fixed`.
    fixed : iterable of str
        Quirks mended one by one, such as ``Q59``.

    Raises
    ------
    ConfigurationError
        A quirk that has no switch here, or fixes in profile corrected.
    """
    ids = {word.strip().upper() for word in fixed}
    if profile == "corrected":
        if ids:
            raise ConfigurationError(
                f"covis.science: profile corrected mends {', '.join(sorted(ids))} with everything else: "
                "leave out fixes, or take profile matlab."
            )
        return ScienceFixes(**dict.fromkeys(_switches().values(), True))
    if unknown := sorted(ids - _switches().keys()):
        raise ConfigurationError(
            f"covis.science.fixes: {unknown[0]} has no switch at the second level; those that have one are "
            f"{', '.join(_switches())}."
        )
    return ScienceFixes(**{_switches()[one]: True for one in ids})
