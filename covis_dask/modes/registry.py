"""All modes there are: the package's own, and those that other distributions bring.

A distribution that brings a mode names its `ModeSpec` (or several, for several sites) as an entry point::

    [project.entry-points."covis_dask.modes"]
    toy = "covis_toy:SPEC"

The entry's name is the family. The catalogue knows the family from that name alone, so that runs of it can be
selected wherever the distribution is installed; the spec is loaded when it is asked for. Sites and families
are looked up as words, which the members of the catalogue's enumerations equal.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

from catalog.names import MODES_GROUP
from covis_dask.errors import ConfigurationError, ModeUnsupported
from covis_dask.modes.ashes import specs as _ashes
from covis_dask.modes.endeavour import specs as _endeavour
from covis_dask.modes.fixes import Fixes, effective, fixes_of, named_fixes
from covis_dask.modes.parameters import Parameters, apply, valid_keys, values
from covis_dask.modes.spec import Acquisition, GridDescription, ModeSpec, VariableDescription, load_object

if TYPE_CHECKING:  # command lines import this module for its presets, and shall answer at once
    import xarray as xr

    from covis_dask.modes.context import Context
    from covis_dask.raw.sweep import RawSweep

__all__ = [
    "PRESETS",
    "PROFILES",
    "Acquisition",
    "GridDescription",
    "ModeSpec",
    "Program",
    "VariableDescription",
    "find_spec",
    "known_presets",
    "parameters_for",
    "program",
    "spec_for",
    "specs",
    "with_family",
]

Program: TypeAlias = "Callable[[RawSweep, Parameters, Context], xr.Dataset]"

_OWN: Mapping[tuple[str, str], ModeSpec] = MappingProxyType(
    {(spec.site, spec.family): spec for spec in (*_endeavour.SPECS, *_ashes.SPECS)}
)

WOBBLE = 0.25
"""Degrees by which sensor and motor pitch wobble within a burst is 0.1; steps are larger than this."""

PRESETS = tuple(dict.fromkeys(preset for spec in _OWN.values() for preset in spec.presets))
"""Presets of the package's own modes."""
PROFILES = ("matlab", "corrected")
"""Names of the profiles."""


def specs() -> tuple[ModeSpec, ...]:
    """Return all modes, the package's own first.

    Raises
    ------
    ConfigurationError
        When a distribution's entry point brings no usable mode.
    """
    from importlib.metadata import entry_points  # slow to import, and seldom needed

    families = dict.fromkeys(entry.name for entry in entry_points(group=MODES_GROUP))
    return (*_OWN.values(), *(spec for family in families for spec in _brought(family).values()))


def known_presets() -> tuple[str, ...]:
    """Return the presets of all modes, those of the package first; errors as for `specs`."""
    return tuple(dict.fromkeys(preset for spec in specs() for preset in spec.presets))


def find_spec(site: str, family: str) -> ModeSpec | None:
    """Return what is known of a kind of run, None when nobody has a program for it.

    Parameters
    ----------
    site : str
    family : str
        As `catalog.names.mode_family` has it.

    Raises
    ------
    ConfigurationError
        When the entry point of that family brings no usable mode.
    """
    return _OWN.get((site, family)) or _brought(family).get(site)


def spec_for(site: str, family: str) -> ModeSpec:
    """Return what is known of a kind of run.

    Raises
    ------
    ModeUnsupported
        When nobody has a program for it.
    ConfigurationError
        When the entry point of that family brings no usable mode.
    """
    spec = find_spec(site, family)
    if spec is None:
        raise ModeUnsupported(
            f"there is no program for {family} runs of {site}: the modes are {', '.join(map(str, specs()))}"
        )
    return spec


@cache
def _brought(family: str) -> Mapping[str, ModeSpec]:
    """Load the modes of a family that other distributions bring, by site."""
    from importlib.metadata import entry_points  # slow to import, and seldom needed

    by_site: dict[str, ModeSpec] = {}
    for entry in entry_points(group=MODES_GROUP, name=family):
        whose = entry.dist.name if entry.dist else "unknown"
        where = f"{entry.name} = {entry.value} of the distribution {whose} (entry points {MODES_GROUP})"
        try:
            loaded = entry.load()
        except Exception as error:
            raise ConfigurationError(
                f"the mode {where} cannot be loaded: {type(error).__name__}: {error}; mend or uninstall it"
            ) from error
        for spec in loaded if isinstance(loaded, tuple) else (loaded,):
            if not isinstance(spec, ModeSpec):
                raise ConfigurationError(f"the mode {where} is no ModeSpec, nor a tuple of them: {spec!r}")
            if spec.family != family or (spec.site, family) in _OWN or spec.site in by_site:
                raise ConfigurationError(
                    f"{where} brings the mode {spec}: a family must be the entry's name, and nobody else's"
                )
            by_site[spec.site] = spec
    return by_site


def program(family: str, site: str, preset: str | None = None) -> "Program | None":
    """Return the program for a kind of run, None when there is none.

    Parameters
    ----------
    family : str
        As `catalog.names.mode_family` has it.
    site : {"Endeavour", "Ashes"}
    preset : str, optional
        The default one when not given.
    """
    spec = find_spec(site, family)
    if spec is None or (preset is not None and preset not in spec.presets):
        return None
    loaded: Program = load_object(spec.program)
    return loaded


def parameters_for(
    family: str,
    site: str,
    *,
    preset: str | None = None,
    profile: str = "matlab",
    fixes: Iterable[str] = (),
    overrides: Mapping[str, Any] | None = None,
) -> Parameters:
    """Return the parameters of a family of modes at a site.

    Parameters
    ----------
    family : str
        As `catalog.names.mode_family` has it.
    site : {"Endeavour", "Ashes"}
    preset : str, optional
        Such as ``PP2``; the default of docs/method.md#presets when not given.
    profile : {"matlab", "corrected"}
        The original's numbers, or its documented faults mended.
    fixes : iterable of str, optional
        Quirks to mend in profile ``matlab``, such as ``Q11``; those that do not touch these runs are
        left out.
    overrides : mapping of str to value, optional
        Dotted keys to new values; a key ``type`` must equal the mode's own.

    Raises
    ------
    ConfigurationError
        No such mode, preset, profile or fix; unknown key (the nearest valid one is named), wrong type,
        impossible value.
    """
    spec = find_spec(site, family)
    if spec is None:
        raise ConfigurationError(
            f"There are no parameters for {family} runs of {site}: the modes are "
            f"{', '.join(map(str, specs()))}."
        )
    changes = dict(overrides or {})
    _check_type(spec, changes.pop("type", spec.original_type or spec.family))
    return apply(_defaults(spec, preset, profile, fixes), changes)


def _check_type(spec: ModeSpec, value: Any) -> None:
    """Hold a parameter file's `type` against the mode, as the original does."""
    needed = spec.original_type or spec.family
    if value != needed:
        raise ConfigurationError(
            f"The parameter file is for runs of type {value!r}; this run needs type {needed!r}."
        )


def with_family(parameters: Parameters, family: str) -> Parameters:
    """Return the parameters of another family, with the same preset, profile, fixes and changed values.

    A run of Endeavour may turn out to be of another kind than its name says (docs/method.md#dispatch).

    Parameters
    ----------
    parameters : Parameters
    family : str

    Raises
    ------
    ConfigurationError
        When there are no parameters for that family.
    """
    made, unchanged = (
        parameters_for(
            one,
            parameters.site,
            preset=parameters.preset,
            profile=parameters.profile,
            fixes=parameters.fixed,
        )
        for one in (family, parameters.family)
    )
    before = values(unchanged)
    known = set(valid_keys(made))
    changed = {
        key: value
        for key, value in values(parameters).items()
        if key in known and key in before and value != before[key]
    }
    return apply(made, changed)


def _defaults(spec: ModeSpec, preset: str | None, profile: str, fixes: Iterable[str]) -> Parameters:
    """Return the parameters of a mode as nobody has changed them."""
    chosen = next(
        (word for word in spec.presets if word.upper() == (preset or spec.default_preset).upper()), None
    )
    if chosen is None:
        raise ConfigurationError(
            f"Preset {preset} has no program for {spec.family} runs of {spec.site}: "
            f"choose {' or '.join(spec.presets)}."
        )
    if profile not in PROFILES:
        raise ConfigurationError(f"There is no profile {profile!r}: choose matlab or corrected.")
    made = spec.defaults(chosen)
    inner = made.imaging and _defaults(spec_for(spec.site, made.imaging.family), chosen, profile, fixes)
    touching = effective(named_fixes(fixes, profile), spec.family, spec.site, chosen)
    mended = fixes_of(profile, touching)
    if mended.consecutive_bursts or mended.pitch_tolerance:
        made = replace(made, bursts=replace(made.bursts, tolerance=WOBBLE))
    made = spec.mended(made, mended)
    return replace(
        made,
        profile="corrected" if profile == "corrected" else "matlab",
        fixed=touching,
        imaging=inner,
        unused=_unused(spec, mended),
        mode_version=spec.version,
    )


_SOMETIMES_READ = (
    "attitude",
    "averaging",
    "bathy.median_window",
    "bathy.thresh",
    "bounds.heading",
    "bounds.pitch",
    "bounds.pitch_applied",
    "bounds.range",
    "bursts.min_pings",
    "bursts.tolerance",
    "correlation.lag",
    "correlation.nlag",
    "correlation.tlag",
    "correlation.window_overlap",
    "correlation.window_size",
    "correlation.windthresh",
    "filter.decimation",
    "header",
    "noise.mask_intensity",
    "noise.noise_floor",
    "noise.snr_thresh",
    "oscfar",
    "ping_combination",
    "position.depth",
    "position.easting",
    "position.heading",
    "position.northing",
    "seafloor",
    "water",
)
"""Keys that not every program reads; the order is part of fingerprints."""


def _unused(spec: ModeSpec, mended: Fixes) -> tuple[str, ...]:
    """Return the keys without effect on a mode."""
    read = {*spec.reads, *(key for switch, key in spec.reads_when_mended if getattr(mended, switch))}
    return tuple(key for key in _SOMETIMES_READ if key not in read)
