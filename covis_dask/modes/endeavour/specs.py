"""The modes of 2010-15, Endeavour: what is known of each, and its default parameters.

See docs/method.md#default-parameters, #presets.
"""

from dataclasses import replace
from typing import Final

from catalog.vocabulary import SITES, Family, Site
from covis_dask.modes.fixes import Fixes
from covis_dask.modes.parameters import (
    Beamformer,
    Bounds,
    Calibrate,
    Correlation,
    Filter,
    Parameters,
    PingCombination,
    Position,
    Span,
    Water,
    map_grid,
    volume_grid,
)
from covis_dask.modes.spec import KEYWORDS, Acquisition, GridDescription, ModeSpec, VariableDescription

__all__ = ["SPECS"]

_READS: Final = ("header",)
_WATER_READ: Final = ("absorption_formula", "water")
_TOLERANCE_READ: Final = ("pitch_tolerance", "bursts.tolerance")
_WINDOWS: Final = ("correlation.window_size", "correlation.window_overlap")
_BURSTS: Final = ("bounds.pitch", "bounds.pitch_applied", "bursts.min_pings")

_PLACE: Final = SITES[Site.ENDEAVOUR]
_POSITION: Final = Position(
    _PLACE.easting, _PLACE.northing, -_PLACE.depth, _PLACE.head_height, _PLACE.declination
)
# The conditions the original states for its absorption constants (docs/method.md#absorption); latitude of the
# field.
_WATER: Final = Water(
    _PLACE.water_temperature, _PLACE.water_salinity, _PLACE.water_ph, _PLACE.water_depth, _PLACE.latitude
)
_BOUNDS: Final = Bounds(heading=Span(_PLACE.limits_heading, _PLACE.limits_heading), range=Span(5.0, 75.0))


def _common(family: Family, preset: str) -> Parameters:
    """Return what the modes have in common."""
    return Parameters(
        str(family),
        str(Site.ENDEAVOUR),
        preset,
        "matlab",
        (),
        position=_POSITION,
        beamformer=Beamformer(start_angle=-64.0, end_angle=64.0),
        water=_WATER,
        ping_combination=PingCombination("diff"),
    )


def _imaging(preset: str) -> Parameters:
    return replace(
        _common(Family.IMAGING, preset),
        grids=(volume_grid("backscatter-cross-section", -35, 5, -25, 5, 5, 50, 0.25),),
        position=replace(_POSITION, heading=_PLACE.heading()),
        filter=Filter(bw=2.0, decimation=4, zero_phase=False),
        bounds=replace(_BOUNDS, pitch=Span(10.0, 62.0)),
    )


def _diffuse(preset: str) -> Parameters:
    return replace(
        _common(Family.DIFFUSE, preset),
        grids=tuple(map_grid(grid.type, -35, 5, -25, 5, 0.5) for grid in _DIFFUSE_GRIDS),
        calibrate=Calibrate("TS"),
        filter=Filter(bw=4.0, zero_phase=False),
    )


def _mended_diffuse(parameters: Parameters, fixes: Fixes) -> Parameters:
    """Filter without delay where the filter comes before the beams (Q23)."""
    if not fixes.filter_before_beams:
        return parameters
    return replace(parameters, filter=replace(parameters.filter, zero_phase=True))


def _doppler(preset: str) -> Parameters:
    return replace(
        _common(Family.DOPPLER, preset),
        grids=tuple(volume_grid(grid.type, -40, -5, -25, 5, 10, 60, 0.5) for grid in _DOPPLER_GRIDS),
        filter=Filter(bw=4.0),
        correlation=Correlation(windthresh=1e-9),
        bounds=replace(_BOUNDS, pitch=Span(21.0, 60.0)),
    )


def _map(name: str, long_name: str, *, relative: bool = False) -> GridDescription:
    """Describe a map and its weight."""
    return GridDescription(
        name.replace("_", " "),
        (
            VariableDescription(name, f"{name}_v", long_name, "1", relative=relative),
            VariableDescription(
                f"{name}_weight", f"{name}_w", f"gridding weight of the {name.replace('_', ' ')}", "1"
            ),
        ),
        prefix=name,
    )


_IMAGING_GRIDS: Final = (
    GridDescription(
        "backscatter-cross-section",
        (
            VariableDescription("backscatter", "v", "volume backscattering coefficient", "m-1"),
            VariableDescription("weight", "w", "gridding weight", "1"),
        ),
    ),
)

_DIFFUSE_GRIDS: Final = (
    _map(
        "decorrelation_intensity",
        "intensity times decorrelation of the seafloor echo, relative to its largest value",
        relative=True,
    ),
    _map("decorrelation", "decorrelation of the seafloor echo from ping to ping"),
    _map("intensity", "intensity of the seafloor echo, relative to its largest value", relative=True),
)

_DOPPLER_GRIDS: Final = (
    GridDescription(
        "doppler velocity",
        (
            VariableDescription(
                "vertical_velocity",
                "doppler_velocity_v",
                "vertical velocity, assuming purely vertical flow",
                "cm s-1",
                "upward_sea_water_velocity",
            ),
            VariableDescription(
                "radial_velocity_mean_phase",
                "doppler_velocity_v_filt",
                "radial velocity away from the sonar, from the mean phase",
                "cm s-1",
            ),
            VariableDescription(
                "radial_velocity",
                "doppler_velocity_vr",
                "radial velocity away from the sonar",
                "cm s-1",
                "radial_sea_water_velocity_away_from_instrument",
            ),
            VariableDescription(
                "radial_velocity_std",
                "doppler_velocity_std",
                "standard deviation of the radial velocity",
                "cm s-1",
            ),
            VariableDescription(
                "autocovariance",
                "doppler_velocity_covar",
                "lagged autocovariance of the backscattered signal",
                "m-1",
            ),
            VariableDescription(
                "doppler_velocity_weight", "doppler_velocity_w", "gridding weight of the velocity fields", "1"
            ),
        ),
        prefix="doppler_velocity",
    ),
    GridDescription(
        "intensity",
        (
            VariableDescription("backscatter", "intensity_v", "volume backscattering coefficient", "m-1"),
            VariableDescription(
                "backscatter_windowed",
                "intensity_v_filt",
                "volume backscattering coefficient, soft-thresholded",
                "m-1",
            ),
            VariableDescription(
                "intensity_radial_velocity",
                "intensity_vr",
                "radial velocity away from the sonar, gridded with the backscatter",
                "cm s-1",
            ),
            VariableDescription(
                "backscatter_std",
                "intensity_std",
                "standard deviation of the volume backscattering coefficient",
                "m-1",
            ),
            VariableDescription(
                "intensity_autocovariance",
                "intensity_covar",
                "lagged autocovariance of the backscattered signal, gridded with the backscatter",
                "m-1",
            ),
            VariableDescription(
                "intensity_weight", "intensity_w", "gridding weight of the backscatter fields", "1"
            ),
        ),
        prefix="intensity",
    ),
)

SPECS: Final = (
    ModeSpec(
        site=Site.ENDEAVOUR,
        family=Family.IMAGING,
        title="Plume imaging",
        summary="acoustic imaging of hydrothermal plumes: volume backscatter on a 3-D grid",
        keywords=KEYWORDS,
        presets=("END",),
        default_preset="END",
        defaults=_imaging,
        reads=(*_READS, "filter.decimation", "ping_combination", *_BURSTS),
        reads_when_mended=(_WATER_READ, _TOLERANCE_READ),
        program="covis_dask.modes.endeavour.imaging:process",
        grids=_IMAGING_GRIDS,
        quicklook="covis_dask.products._plumes:draw_imaging",
        second_level="covis_dask.science.imaging:level2",
        acquisition=Acquisition(
            pitches=(20.0, 32.0, 2.0), pings=3, interval=0.5, samples=640, sector=64.0, vertical_width=1.03
        ),
    ),
    ModeSpec(
        site=Site.ENDEAVOUR,
        family=Family.DIFFUSE,
        title="Diffuse flow",
        summary="acoustic mapping of diffuse hydrothermal flow: change of seafloor backscatter between pings",
        keywords=KEYWORDS,
        presets=("END",),
        default_preset="END",
        defaults=_diffuse,
        mended=_mended_diffuse,
        reads=(*_READS, "correlation.nlag", "correlation.windthresh", *_WINDOWS),
        reads_when_mended=(_WATER_READ,),
        program="covis_dask.modes.endeavour.diffuse:process",
        grids=_DIFFUSE_GRIDS,
        notes=(
            "flat seafloor assumed",
            "intensities are relative to the largest value of the run: do not average them over runs",
        ),  # the only way of 2010-15 (docs/method.md#diffuse-flow-2010-15)
        quicklook="covis_dask.products._maps:draw_diffuse",
        second_level="covis_dask.science.diffuse:level2",
        acquisition=Acquisition(
            pitches=(-18.2, -18.2, 1.0),
            pings=12,
            interval=0.25,
            samples=560,
            frequency=200_000.0,
            channels=128,
            power=200.0,
            sector=64.0,
            vertical_width=20.0,
            max_ping_rate=4.0,
        ),
    ),
    ModeSpec(
        site=Site.ENDEAVOUR,
        family=Family.DOPPLER,
        title="Doppler",
        summary="acoustic Doppler velocity and backscatter of hydrothermal plumes on a 3-D grid",
        keywords=KEYWORDS,
        presets=("END",),
        default_preset="END",
        defaults=_doppler,
        reads=(
            *_READS,
            "ping_combination",
            "correlation.lag",
            "correlation.windthresh",
            *_WINDOWS,
            *_BURSTS,
        ),
        reads_when_mended=(_WATER_READ, _TOLERANCE_READ),
        program="covis_dask.modes.endeavour.doppler:process",
        grids=_DOPPLER_GRIDS,
        arrays=(
            VariableDescription(
                "offset_covariance", "offset_covar", "autocovariance of the monitor channel", "1"
            ),
            VariableDescription(
                "offset_velocity",
                "vr_offset",
                "apparent radial velocity due to the clock offset, to be subtracted",
                "cm s-1",
            ),
        ),
        quicklook="covis_dask.products._plumes:draw_doppler",
        second_level="covis_dask.science.doppler:level2",
        acquisition=Acquisition(
            pitches=(24.0, 36.0, 2.0),
            pings=4,
            interval=0.5,
            samples=900,
            pulse_length=0.001,
            sector=64.0,
            vertical_width=1.03,
        ),
    ),
)
