"""The modes of 2018+, Ashes: what is known of each, and its default parameters.

See docs/method.md#default-parameters, #presets.
"""

from dataclasses import replace
from typing import Final

from catalog.vocabulary import Family, Site
from covis_dask.modes.ashes._variables import BATHY, DIFFUSE, DOPPLER, FULL_RANGE, IMAGING, OFFSETS, POINTS
from covis_dask.modes.fixes import Fixes
from covis_dask.modes.parameters import (
    Beamformer,
    Bounds,
    Calibrate,
    Correlation,
    Filter,
    Header,
    Noise,
    Parameters,
    Phase,
    PingCombination,
    Span,
    map_grid,
    volume_grid,
)
from covis_dask.modes.spec import KEYWORDS, Acquisition, ModeSpec

__all__ = ["SPECS"]

_BATHYMETRY: Final = "EARTH SCIENCE > OCEANS > BATHYMETRY/SEAFLOOR TOPOGRAPHY > BATHYMETRY"
_READS: Final = ("attitude", "water")
_TOLERANCE_READ: Final = ("consecutive_bursts", "bursts.tolerance")
_WINDOWS: Final = ("correlation.window_size", "correlation.window_overlap")
_BURSTS: Final = ("bounds.pitch", "bounds.pitch_applied", "bursts.min_pings")
_DETECTION: Final = ("noise.noise_floor", "noise.snr_thresh", "oscfar")
_MAP_NOISE: Final = ("noise.noise_floor", "noise.snr_thresh", "noise.mask_intensity")
_FULL_SECTOR: Final = Beamformer(start_angle=-64.0, end_angle=64.0)


def _common(family: Family, preset: str, sample_rate: float = 34483.0) -> Parameters:
    """Return what the modes have in common."""
    return Parameters(
        str(family),
        str(Site.ASHES),
        preset,
        "matlab",
        (),
        header=Header(sample_rate),
        phase=Phase(9, 5.0) if preset == "PP2" else Phase(-1, 3.0),
        filter=Filter(bw=2.0),
    )


def _imaging(preset: str) -> Parameters:
    return replace(
        _common(Family.IMAGING, preset),
        grids=(volume_grid("backscatter-cross-section", -40, 20, -40, 20, 0, 20, 0.25),),
        noise=Noise(0.1970, 50.0 if preset == "PP2" else 0.0),
        bounds=Bounds(Span(-20.0, 62.0) if preset == "PP2" else Span(-10.0, 55.0)),
    )


def _diffuse(preset: str) -> Parameters:
    return replace(
        _common(Family.DIFFUSE, preset, 34482.0),
        grids=tuple(map_grid(grid.type, -30, 30, -30, 30, 0.5) for grid in DIFFUSE),
        beamformer=_FULL_SECTOR,
        calibrate=Calibrate("TS-Wide"),
        correlation=Correlation(tlag=2.0 if preset == "PP2" else 4.0),
        noise=Noise(0.64, 45.0),
    )


def _mended_maps(parameters: Parameters, fixes: Fixes) -> Parameters:
    """Mask the intensity map too (Q18), and pair pings whose lag fits the window (Q27)."""
    noise, correlation = parameters.noise, parameters.correlation
    if fixes.masked_intensity:
        noise = replace(noise, mask_intensity=True)
    if fixes.short_lag:
        correlation = replace(correlation, tlag=2.0)
    return replace(parameters, noise=noise, correlation=correlation)


def _doppler(preset: str) -> Parameters:
    return replace(
        _common(Family.DOPPLER, preset),
        grids=tuple(volume_grid(grid.type, -40, 20, -40, 20, 0, 20, 0.5) for grid in DOPPLER),
        filter=Filter(bw=4.0),
        ping_combination=PingCombination("diff"),
        correlation=Correlation(windthresh=1e-9, nlag=8),
        bounds=Bounds(Span(0.0, 60.0), pitch_applied=preset == "PP3"),
    )


def _bathy(preset: str) -> Parameters:
    return replace(
        _common(Family.BATHY, preset),
        grids=(map_grid("bathy", -30, 20, -30, 30, 0.5),),
        calibrate=Calibrate("TS-Fan"),
        filter=Filter(bw=4.0),
        ping_combination=PingCombination("intensity"),
        noise=Noise(0.1970, 60.0),
        bounds=Bounds(Span(-60.0, 20.0)),
    )


def _full_range(preset: str) -> Parameters:
    return replace(
        _common(Family.FULLIMAGING, preset),
        grids=tuple(map_grid(grid.type, -30, 30, -30, 30, 0.5) for grid in FULL_RANGE),
        beamformer=_FULL_SECTOR,
        calibrate=Calibrate("TS-Fan"),
        noise=Noise(0.1970, 90.0),
        bounds=Bounds(Span(-45.0, 10.0)),
        imaging=_imaging(preset),
    )


SPECS: Final = (
    ModeSpec(
        site=Site.ASHES,
        family=Family.IMAGING,
        title="Plume imaging",
        summary="acoustic imaging of hydrothermal plumes: volume backscatter on a 3-D grid",
        keywords=KEYWORDS,
        presets=("PP2", "PP3", "PPX"),
        default_preset="PP2",
        defaults=_imaging,
        reads=(*_READS, "filter.decimation", *_DETECTION, *_BURSTS),
        reads_when_mended=(_TOLERANCE_READ,),
        program="covis_dask.modes.ashes.imaging:process",
        grids=IMAGING,
        shows_seafloor=True,
        quicklook="covis_dask.products._plumes:draw_imaging",
        second_level="covis_dask.science.imaging:level2",
        acquisition=Acquisition(
            pitches=(-9.0, 15.0, 4.0), pings=4, interval=0.5, samples=480, sector=54.0, vertical_width=1.07
        ),
    ),
    ModeSpec(
        site=Site.ASHES,
        family=Family.DIFFUSE,
        title="Diffuse flow",
        summary="acoustic mapping of diffuse hydrothermal flow: change of seafloor backscatter between pings",
        keywords=KEYWORDS,
        presets=("PP2", "PP3", "PPX"),
        default_preset="PP2",
        defaults=_diffuse,
        mended=_mended_maps,
        reads=(*_READS, *_MAP_NOISE, "averaging", "seafloor", "correlation.tlag", *_WINDOWS),
        program="covis_dask.modes.ashes.diffuse:process",
        grids=DIFFUSE,
        needs_seafloor=True,
        shows_seafloor=True,
        quicklook="covis_dask.products._maps:draw_diffuse",
        second_level="covis_dask.science.diffuse:level2",
        acquisition=Acquisition(
            pitches=(-20.4, -20.4, 1.0),
            pings=20,
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
        site=Site.ASHES,
        family=Family.BATHY,
        title="Bathymetry",
        summary="sonar bathymetry around COVIS: height of the seafloor above the base of the instrument",
        keywords=(*KEYWORDS, _BATHYMETRY),
        presets=("PP2", "PP3", "PPX"),
        default_preset="PP2",
        defaults=_bathy,
        reads=(*_READS, "filter.decimation", *_DETECTION, "bathy.median_window", *_BURSTS),
        reads_when_mended=(_TOLERANCE_READ,),
        program="covis_dask.modes.ashes.bathy:process",
        grids=BATHY,
        arrays=POINTS,
        shows_seafloor=True,
        quicklook="covis_dask.products._maps:draw_bathymetry",
        acquisition=Acquisition(
            pitches=(-44.0, -20.0, 3.0),
            pings=2,
            interval=0.5,
            samples=600,
            power=200.0,
            gain=40.0,
            sector=54.0,
            vertical_width=1.07,
        ),
    ),
    ModeSpec(
        site=Site.ASHES,
        family=Family.DOPPLER,
        title="Doppler",
        summary="acoustic Doppler velocity and backscatter of hydrothermal plumes on a 3-D grid",
        keywords=KEYWORDS,
        presets=("PP3", "PPX"),
        default_preset="PPX",
        defaults=_doppler,
        reads=(*_READS, "filter.decimation", *_DETECTION, "correlation.nlag", *_WINDOWS, *_BURSTS),
        reads_when_mended=(_TOLERANCE_READ,),
        program="covis_dask.modes.ashes.doppler:process",
        grids=DOPPLER,
        arrays=OFFSETS,
        shows_seafloor=True,
        quicklook="covis_dask.products._plumes:draw_doppler",
        second_level="covis_dask.science.doppler:level2",
        acquisition=Acquisition(
            pitches=(2.0, 14.0, 4.0),
            pings=4,
            interval=0.5,
            samples=480,
            pulse_length=0.001,
            sector=54.0,
            vertical_width=1.07,
        ),
    ),
    ModeSpec(
        site=Site.ASHES,
        family=Family.FULLIMAGING,
        title="Full-range imaging",
        summary="full-range acoustic imaging: plume backscatter, seafloor and diffuse flow",
        keywords=(*KEYWORDS, _BATHYMETRY),
        presets=("PP3", "PPX"),
        default_preset="PP3",
        defaults=_full_range,
        mended=_mended_maps,
        reads=(*_READS, *_MAP_NOISE, "averaging", "correlation.tlag", *_WINDOWS, *_BURSTS),
        reads_when_mended=(_TOLERANCE_READ,),
        original_type="diffuse_fr",
        program="covis_dask.modes.ashes.fullrange:process",
        grids=(*(replace(grid, part="imaging") for grid in IMAGING), *FULL_RANGE),
        shows_seafloor=True,
        quicklook="covis_dask.products._maps:draw_fullimaging",
        second_level="covis_dask.science.fullrange:level2",
        acquisition=Acquisition(
            pitches=(-40.0, 10.0, 10.0), pings=10, interval=0.5, samples=480, sector=54.0, vertical_width=1.07
        ),
    ),
)
