"""Which quirks of the originals are mended in a run: all, none, or some by name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any

from covis_dask.errors import ConfigurationError
from covis_dask.modes.quirks import CLASSES, quirks

__all__ = ["Fixes", "effective", "fixes_of", "named_fixes", "profile_name"]


def _mends(quirk: str) -> Any:
    """Declare a switch, off by default, and the quirk that it mends."""
    return field(default=False, metadata={"quirk": quirk})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixes:
    """A switch for every quirk that can be mended by itself; `quirks` tells what each does."""

    product_weights: bool = _mends("Q1")
    matched_corners: bool = _mends("Q2")
    axis_coordinates: bool = _mends("Q3")
    every_sample: bool = _mends("Q4")
    consecutive_bursts: bool = _mends("Q5")
    last_burst: bool = _mends("Q6")
    moving_axis: bool = _mends("Q7")
    silent_monitor: bool = _mends("Q8")
    ranges_from_zero: bool = _mends("Q10")
    unrotated_x: bool = _mends("Q11")
    absorption_formula: bool = _mends("Q13")
    one_sound_speed: bool = _mends("Q14")
    mean_attitude: bool = _mends("Q15")
    valid_ping_count: bool = _mends("Q16")
    whole_pairs: bool = _mends("Q17")
    masked_intensity: bool = _mends("Q18")
    own_pings: bool = _mends("Q19")
    filter_before_beams: bool = _mends("Q23")
    compass_bearing: bool = _mends("Q24")
    blanked_filtered: bool = _mends("Q25")
    kp_of_valid_samples: bool = _mends("Q26")
    short_lag: bool = _mends("Q27")
    elevation_from_head: bool = _mends("Q28")
    normalised_covariance: bool = _mends("Q29")
    complex_mean: bool = _mends("Q30")
    mean_of_valid_pings: bool = _mends("Q31")
    own_northing: bool = _mends("Q33")
    separate_masks: bool = _mends("Q42")
    kp_mask_without_value: bool = _mends("Q43")
    exact_differences: bool = _mends("Q48")
    pitch_tolerance: bool = _mends("Q56")

    @classmethod
    def of(cls, ids: Iterable[str]) -> "Fixes":
        """Switch on what mends these quirks, and nothing else.

        Raises
        ------
        KeyError
            A quirk without a switch.
        """
        return cls(**{_switches()[quirk]: True for quirk in ids})


@cache
def _switches() -> Mapping[str, str]:
    """Return the name of every switch by its quirk, in the order of their numbers."""
    return {switch.metadata["quirk"]: switch.name for switch in fields(Fixes)}


@cache
def fixes_of(profile: str, fixed: tuple[str, ...]) -> Fixes:
    """Return what is mended in a run.

    Parameters
    ----------
    profile : {"matlab", "corrected"}
        Of the originals' quirks nothing is mended, or everything.
    fixed : tuple of str
        Quirks mended one by one.
    """
    return Fixes.of(_switches() if profile == "corrected" else fixed)


def named_fixes(names: Iterable[str], profile: str = "matlab") -> tuple[str, ...]:
    """Read the quirks that someone asks to have mended: each once, by number.

    Parameters
    ----------
    names : iterable of str
        Such as ``Q11``, in any case.
    profile : {"matlab", "corrected"}

    Raises
    ------
    ConfigurationError
        There is no such quirk, or it has no switch; or the profile mends everything anyway.
    """
    ids = {word.strip().upper() for word in names}
    if ids and profile == "corrected":
        raise ConfigurationError(
            f"Profile corrected mends {', '.join(sorted(ids, key=_number))} with everything else: leave out "
            "--fix, or take --profile matlab to mend nothing else."
        )
    for one in sorted(ids, key=_number):
        if one not in _switches():
            raise ConfigurationError(f"{_why_not(one)} Those that --fix takes are {', '.join(_switches())}.")
    return tuple(sorted(ids, key=_number))


def _why_not(word: str) -> str:
    """Say why a quirk cannot be mended by itself."""
    quirk = quirks().get(word)
    if quirk is None:
        return f"--fix {word}: there is no such quirk."
    if quirk.level > 1:
        return f"--fix {word}: this quirk ({quirk.where}) concerns what is made from products, not a run."
    if quirk.kind == "R":
        return f"--fix {word}: nobody knows yet how to mend this quirk ({quirk.where})."
    return f"--fix {word}: this quirk ({quirk.where}) has no switch. It is {CLASSES[quirk.kind]}."


def _number(word: str) -> tuple[int, str]:
    return (int(word[1:]) if word[1:].isdecimal() else 0, word)


def effective(fixed: Iterable[str], family: str, site: str, preset: str) -> tuple[str, ...]:
    """Return those of some fixes that change the numbers of such runs."""
    return tuple(one for one in fixed if quirks()[one].applies_to(family, site, preset))


def profile_name(profile: str, fixed: Iterable[str]) -> str:
    """Return the profile with its fixes as one word, such as ``matlab+Q11+Q29``."""
    return "+".join((profile, *fixed))
