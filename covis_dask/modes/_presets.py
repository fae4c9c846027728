"""Default parameters of every mode and preset.

See docs/method.md#presets, #phase-correction, #low-pass-filter, #default-parameters.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Literal, get_args

from covis_dask.errors import ConfigurationError
from covis_dask.modes import fixes as _fixes
from covis_dask.modes._groups import (
    Beamformer,
    Bounds,
    Calibrate,
    Correlation,
    Filter,
    GridSpec,
    Header,
    Noise,
    Parameters,
    Phase,
    PingCombination,
    Position,
    Span,
    Water,
)

__all__ = ["DEFAULT_PRESET", "PRESETS", "PROFILES", "PROGRAM_PRESETS", "Preset", "Profile", "defaults"]

Preset = Literal["END", "PP2", "PP3", "PPX"]
Profile = Literal["matlab", "corrected"]

PRESETS: tuple[Preset, ...] = get_args(Preset)
"""Names of the presets."""
PROFILES: tuple[Profile, ...] = get_args(Profile)
"""Names of the profiles."""

DEFAULT_PRESET: Mapping[tuple[str, str], Preset] = MappingProxyType(
    {
        ("Endeavour", "imaging"): "END",
        ("Endeavour", "diffuse"): "END",
        ("Endeavour", "doppler"): "END",
        ("Ashes", "imaging"): "PP2",
        ("Ashes", "diffuse"): "PP2",
        ("Ashes", "bathy"): "PP2",
        ("Ashes", "doppler"): "PPX",
        ("Ashes", "fullimaging"): "PP3",
    }
)
"""Site and family to the preset used unless another is named."""

PROGRAM_PRESETS: Mapping[tuple[str, str], tuple[Preset, ...]] = MappingProxyType(
    {
        key: ("END",)
        if key[0] == "Endeavour"
        else ("PP3", "PPX")
        if key[1] in {"doppler", "fullimaging"}
        else ("PP2", "PP3", "PPX")
        for key in DEFAULT_PRESET
    }
)
"""Site and family to the presets that have a program for it."""

WOBBLE = 0.25
"""Degrees by which sensor and motor pitch wobble within a burst is 0.1; steps are larger than this."""


def _volume(kind: str, *axes: float) -> GridSpec:
    """Make a cubic-celled volume from xmin xmax ymin ymax zmin zmax spacing."""
    xmin, xmax, ymin, ymax, zmin, zmax, step = map(float, axes)
    return GridSpec(kind, xmin, xmax, ymin, ymax, step, step, zmin, zmax, step)


def _map(kind: str, *axes: float) -> GridSpec:
    """Make a square-celled map from xmin xmax ymin ymax spacing."""
    xmin, xmax, ymin, ymax, step = map(float, axes)
    return GridSpec(kind, xmin, xmax, ymin, ymax, step, step)


_ENDEAVOUR_POSITION = Position(492669.0, 5310678.0, -2205.0, 4.2, 18.0)
# The conditions the original states for its absorption constants (docs/method.md#absorption); latitude of the
# field.
_ENDEAVOUR_WATER = Water(2.0, 35.0, 7.0, 2500.0, 47.95)
_ENDEAVOUR_BOUNDS = Bounds(heading=Span(235.0, 235.0), range=Span(5.0, 75.0))
_FULL_SECTOR = Beamformer(start_angle=-64.0, end_angle=64.0)

_DIFFUSE_2010 = ("decorrelation intensity", "decorrelation", "intensity")
_DOPPLER_2010 = ("doppler velocity", "intensity")
_DIFFUSE_2018 = (*_DIFFUSE_2010, "Chi_var", "SI", "Sig_phi2", "Kp")
_FULL_RANGE = (
    "bathy_filt",
    "intensity_filt",
    "decorrelation intensity",
    "decorrelation",
    "bathy",
    "intensity",
    "Chi_var",
    "SI",
    "Sig_phi2",
    "Kp",
)


def _endeavour(family: str) -> Parameters:
    """Return the END preset, profile matlab."""
    common = Parameters(
        family,
        "END",
        "matlab",
        (),
        position=_ENDEAVOUR_POSITION,
        beamformer=_FULL_SECTOR,
        water=_ENDEAVOUR_WATER,
        ping_combination=PingCombination("diff"),
    )
    if family == "imaging":
        return replace(
            common,
            grids=(_volume("backscatter-cross-section", -35, 5, -25, 5, 5, 50, 0.25),),
            position=replace(_ENDEAVOUR_POSITION, heading=230.4),
            filter=Filter(bw=2.0, decimation=4, zero_phase=False),
            bounds=replace(_ENDEAVOUR_BOUNDS, pitch=Span(10.0, 62.0)),
        )
    if family == "diffuse":
        return replace(
            common,
            grids=tuple(_map(kind, -35, 5, -25, 5, 0.5) for kind in _DIFFUSE_2010),
            calibrate=Calibrate("TS"),
            filter=Filter(bw=4.0, zero_phase=False),
        )
    return replace(
        common,
        grids=tuple(_volume(kind, -40, -5, -25, 5, 10, 60, 0.5) for kind in _DOPPLER_2010),
        filter=Filter(bw=4.0),
        correlation=Correlation(windthresh=1e-9),
        bounds=replace(_ENDEAVOUR_BOUNDS, pitch=Span(21.0, 60.0)),
    )


def _ashes(family: str, preset: Preset) -> Parameters:
    """Return a preset of 2018+, profile matlab."""
    common = Parameters(
        family,
        preset,
        "matlab",
        (),
        header=Header(34482.0 if family == "diffuse" else 34483.0),
        phase=Phase(9, 5.0) if preset == "PP2" else Phase(-1, 3.0),
        filter=Filter(bw=2.0),
    )
    if family == "imaging":
        return replace(
            common,
            grids=(_volume("backscatter-cross-section", -40, 20, -40, 20, 0, 20, 0.25),),
            noise=Noise(0.1970, 50.0 if preset == "PP2" else 0.0),
            bounds=Bounds(Span(-20.0, 62.0) if preset == "PP2" else Span(-10.0, 55.0)),
        )
    if family == "diffuse":
        return replace(
            common,
            grids=tuple(_map(kind, -30, 30, -30, 30, 0.5) for kind in _DIFFUSE_2018),
            beamformer=_FULL_SECTOR,
            calibrate=Calibrate("TS-Wide"),
            correlation=Correlation(tlag=2.0 if preset == "PP2" else 4.0),
            noise=Noise(0.64, 45.0),
        )
    if family == "doppler":
        kinds = ("doppler velocity", "intensity", "intensity_win")
        return replace(
            common,
            grids=tuple(_volume(kind, -40, 20, -40, 20, 0, 20, 0.5) for kind in kinds),
            filter=Filter(bw=4.0),
            ping_combination=PingCombination("diff"),
            correlation=Correlation(windthresh=1e-9, nlag=8),
            bounds=Bounds(Span(0.0, 60.0), pitch_applied=preset == "PP3"),
        )
    if family == "bathy":
        return replace(
            common,
            grids=(_map("bathy", -30, 20, -30, 30, 0.5),),
            calibrate=Calibrate("TS-Fan"),
            filter=Filter(bw=4.0),
            ping_combination=PingCombination("intensity"),
            noise=Noise(0.1970, 60.0),
            bounds=Bounds(Span(-60.0, 20.0)),
        )
    return replace(
        common,
        grids=tuple(_map(kind, -30, 30, -30, 30, 0.5) for kind in _FULL_RANGE),
        beamformer=_FULL_SECTOR,
        calibrate=Calibrate("TS-Fan"),
        noise=Noise(0.1970, 90.0),
        bounds=Bounds(Span(-45.0, 10.0)),
        imaging=_ashes("imaging", preset),
    )


_WINDOWS = ("correlation.window_size", "correlation.window_overlap")
_BURSTS = ("bounds.pitch", "bounds.pitch_applied", "bursts.min_pings")
_DETECTION = ("noise.noise_floor", "noise.snr_thresh", "oscfar")
_MAP_NOISE = ("noise.noise_floor", "noise.snr_thresh", "noise.mask_intensity")
_READ: Mapping[tuple[str, str], tuple[str, ...]] = MappingProxyType(
    {
        ("END", "imaging"): ("filter.decimation", "ping_combination", *_BURSTS),
        ("END", "diffuse"): ("correlation.nlag", "correlation.windthresh", *_WINDOWS),
        ("END", "doppler"): (
            "ping_combination",
            "correlation.lag",
            "correlation.windthresh",
            *_WINDOWS,
            *_BURSTS,
        ),
        ("ASHES", "imaging"): ("filter.decimation", *_DETECTION, *_BURSTS),
        ("ASHES", "diffuse"): (*_MAP_NOISE, "averaging", "seafloor", "correlation.tlag", *_WINDOWS),
        ("ASHES", "doppler"): ("filter.decimation", *_DETECTION, "correlation.nlag", *_WINDOWS, *_BURSTS),
        ("ASHES", "bathy"): ("filter.decimation", *_DETECTION, "bathy.median_window", *_BURSTS),
        ("ASHES", "fullimaging"): (*_MAP_NOISE, "averaging", "correlation.tlag", *_WINDOWS, *_BURSTS),
    }
)
"""Era and family to the keys its program reads, besides those every program reads."""

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


def _unused(parameters: Parameters) -> tuple[str, ...]:
    """Return the keys without effect on a mode and preset."""
    read, fixes = set(_READ[parameters.era, parameters.family]), parameters.fixes
    if parameters.era == "ASHES":
        read |= {"attitude", "water"}
        tolerant = fixes.consecutive_bursts
    else:
        read |= {"header", "water"} if fixes.absorption_formula else {"header"}
        tolerant = fixes.pitch_tolerance
    if tolerant and "bursts.min_pings" in read:
        read.add("bursts.tolerance")
    return tuple(key for key in _SOMETIMES_READ if key not in read)


def defaults(
    family: str, site: str, preset: str | None, profile: str, fixes: Iterable[str] = ()
) -> Parameters:
    """Return the default parameters of a family of modes.

    Parameters
    ----------
    family : str
        ``imaging``, ``diffuse``, ``doppler``, ``bathy`` or ``fullimaging``.
    site : {"Endeavour", "Ashes"}
    preset : str, optional
        ``END``, ``PP2``, ``PP3`` or ``PPX``; the default of docs/method.md#presets when not given.
    profile : {"matlab", "corrected"}
    fixes : iterable of str, optional
        Quirks to mend in profile ``matlab``; those that do not touch these runs are left out.

    Raises
    ------
    ConfigurationError
        When there is no such preset for this kind of run, no such profile, or no switch for a quirk.
    """
    if (site, family) not in DEFAULT_PRESET:
        raise ConfigurationError(
            f"There are no parameters for {family} runs of {site}: the modes are "
            + ", ".join(f"{site} {family}" for site, family in DEFAULT_PRESET)
            + "."
        )
    choices = PROGRAM_PRESETS[site, family]
    chosen = DEFAULT_PRESET[site, family] if preset is None else preset.upper()
    if chosen not in choices:
        raise ConfigurationError(
            f"Preset {preset} has no program for {family} runs of {site}: choose {' or '.join(choices)}."
        )
    if profile not in {"matlab", "corrected"}:
        raise ConfigurationError(f"There is no profile {profile!r}: choose matlab or corrected.")
    made = _endeavour(family) if chosen == "END" else _ashes(family, next(p for p in choices if p == chosen))
    named = _fixes.named_fixes(fixes, profile)
    return _finished(made, site, "corrected" if profile == "corrected" else "matlab", named)


def _finished(made: Parameters, site: str, profile: Profile, fixed: tuple[str, ...]) -> Parameters:
    """Set profile and fixes, with the defaults that go with them, and name unused keys."""
    inner = None if made.imaging is None else _finished(made.imaging, site, profile, fixed)
    touching = _fixes.effective(fixed, made.family, site, made.preset)
    made = replace(made, imaging=inner, profile=profile, fixed=touching)
    fixes = made.fixes
    if fixes.consecutive_bursts or fixes.pitch_tolerance:
        made = replace(made, bursts=replace(made.bursts, tolerance=WOBBLE))
    if made.era == "ASHES" and made.family in {"diffuse", "fullimaging"}:
        if fixes.masked_intensity:
            made = replace(made, noise=replace(made.noise, mask_intensity=True))
        if fixes.short_lag:
            made = replace(made, correlation=replace(made.correlation, tlag=2.0))
    if made.era == "END" and made.family == "diffuse" and fixes.filter_before_beams:
        made = replace(made, filter=replace(made.filter, zero_phase=True))
    return replace(made, unused=_unused(made))
