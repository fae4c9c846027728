"""Parameters of the processing steps, one small class per group."""

from dataclasses import dataclass
from typing import Literal

from covis_dask.modes.parameters._checks import require

__all__ = [
    "Averaging",
    "Bathy",
    "Bounds",
    "Bursts",
    "Correlation",
    "Filter",
    "Noise",
    "Oscfar",
    "Phase",
    "PingCombination",
    "Seafloor",
    "Span",
]


@dataclass(frozen=True, slots=True)
class Filter:
    """Low-pass filter (docs/method.md#low-pass-filter).

    Parameters
    ----------
    status : {"on", "off"}
        Off passes the data through (Q45).
    type : {"butterworth"}
    bw : float
        Band width in units of 1/tau: the cut-off is bw / (2 tau) Hz.
    order : int
    decimation : int
        Keep every so manieth sample (2010-15 imaging).
    zero_phase : bool
        Forward and backward instead of causal.
    """

    status: Literal["on", "off"] = "on"
    type: Literal["butterworth"] = "butterworth"
    bw: float = 2.0
    order: int = 4
    decimation: int = 1
    zero_phase: bool = True

    def __post_init__(self) -> None:
        require(self.bw > 0, f"filter.bw must be positive, not {self.bw:g}.")
        require(1 <= self.order <= 12, f"filter.order must be 1 ... 12, not {self.order}.")
        require(self.decimation >= 1, f"filter.decimation must be 1 or more, not {self.decimation}.")


@dataclass(frozen=True, slots=True)
class Phase:
    """Phase reference: 0-based channel, -1 the last; number of pulse lengths compared.

    See docs/method.md#phase-correction.
    """

    channel: int = -1
    pulses: float = 3.0

    def __post_init__(self) -> None:
        require(
            self.channel >= -1, f"phase.channel must be 0 or more, or -1 for the last: not {self.channel}."
        )
        require(self.pulses > 0, f"phase.pulses must be positive, not {self.pulses:g}.")


@dataclass(frozen=True, slots=True)
class PingCombination:
    """How pings of a burst are combined, 2010-15: ping differences, or the pings themselves."""

    mode: Literal["diff", "intensity", "nan"] = "nan"


@dataclass(frozen=True, slots=True)
class Correlation:
    """Windowed averages and lags (docs/method.md#windowed-averages).

    Parameters
    ----------
    window_size : float
        Window, s.
    window_overlap : float
        Overlap of windows as a part of one.
    windthresh : float
        Scale of the 2010-15 intensity window.
    nlag : int
        2010-15 diffuse: pings between the two of a pair. 2018+ Doppler: samples.
    lag : int
        2010-15 Doppler: samples (the original has it in code, and ignores its own `nlag`).
    tlag : float
        2018+ diffuse and full-range: seconds between the two pings of a pair.
    """

    window_size: float = 0.001
    window_overlap: float = 0.5
    windthresh: float = 0.001
    nlag: int = 4
    lag: int = 8
    tlag: float = 2.0

    def __post_init__(self) -> None:
        require(self.window_size > 0, f"correlation.window_size must be positive, not {self.window_size:g}.")
        require(
            0 <= self.window_overlap < 1,
            f"correlation.window_overlap must be at least 0 and less than 1, not {self.window_overlap:g}.",
        )
        require(self.windthresh > 0, f"correlation.windthresh must be positive, not {self.windthresh:g}.")
        require(self.nlag >= 1, f"correlation.nlag must be 1 or more, not {self.nlag}.")
        require(self.lag >= 1, f"correlation.lag must be 1 or more, not {self.lag}.")
        require(self.tlag > 0, f"correlation.tlag must be positive, not {self.tlag:g}.")


@dataclass(frozen=True, slots=True)
class Averaging:
    """Length of the averaging window of the 2018+ diffuse modes, s."""

    avg_win: float = 4.0

    def __post_init__(self) -> None:
        require(self.avg_win > 0, f"averaging.avg_win must be positive, not {self.avg_win:g}.")


@dataclass(frozen=True, slots=True)
class Noise:
    """Noise floor (machine units, rms), SNR threshold (dB), and whether the intensity map is masked (Q18)."""

    noise_floor: float = 0.1970
    snr_thresh: float = 50.0
    mask_intensity: bool = False

    def __post_init__(self) -> None:
        require(self.noise_floor > 0, f"noise.noise_floor must be positive, not {self.noise_floor:g}.")


@dataclass(frozen=True, slots=True)
class Oscfar:
    """Detection of the 2018+ modes: percentile over beams, threshold above it in dB.

    See docs/method.md#noise-and-clutter.
    """

    percentile: float = 65.0
    threshold: float = 20.0

    def __post_init__(self) -> None:
        require(0 <= self.percentile <= 100, f"oscfar.percentile must be 0 to 100, not {self.percentile:g}.")


@dataclass(frozen=True, slots=True)
class Span:
    """An interval, both ends included."""

    start: float = 0.0
    stop: float = 0.0

    def __post_init__(self) -> None:
        require(self.start <= self.stop, f"bounds: start {self.start:g} lies above stop {self.stop:g}.")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of the data used.

    Parameters
    ----------
    pitch : Span
        Bursts with a pitch in it are processed, degrees.
    pitch_applied : bool
        Whether the pitch is tested at all (PPX Doppler does not).
    heading, range : Span
        In the original's files; its programs do not read them.
    """

    pitch: Span = Span(-90.0, 90.0)
    pitch_applied: bool = True
    heading: Span = Span()
    range: Span = Span()


@dataclass(frozen=True, slots=True)
class Bursts:
    """Grouping of pings: degrees of wobble within a burst (mended: Q5, Q56), least number of pings."""

    tolerance: float = 0.0
    min_pings: int = 2

    def __post_init__(self) -> None:
        require(self.tolerance >= 0, f"bursts.tolerance must not be negative: {self.tolerance:g}.")
        require(self.min_pings >= 1, f"bursts.min_pings must be 1 or more, not {self.min_pings}.")


@dataclass(frozen=True, slots=True)
class Seafloor:
    """Seafloor mapping of the 2018+ diffuse mode (docs/method.md#diffuse-flow-2018 step 11).

    Parameters
    ----------
    angle_start, angle_stop, angle_step : float
        Vertical angles tried, degrees.
    tolerance : float
        Distance from the seafloor within which a point counts, m.
    flat_height : float
        Height above the base used where there is no bathymetry, m.
    """

    angle_start: float = -40.0
    angle_stop: float = 40.0
    angle_step: float = 0.5
    tolerance: float = 0.1
    flat_height: float = 0.0

    def __post_init__(self) -> None:
        require(
            self.angle_step > 0 and self.angle_start < self.angle_stop,
            "seafloor.angle_start must be less than seafloor.angle_stop, and seafloor.angle_step positive.",
        )
        require(self.tolerance > 0, f"seafloor.tolerance must be positive, not {self.tolerance:g}.")


@dataclass(frozen=True, slots=True)
class Bathy:
    """Bathymetry mode: the original's (unused) threshold in dB, and the median filter's length in samples."""

    thresh: float = -20.0
    median_window: int = 20

    def __post_init__(self) -> None:
        require(self.median_window >= 1, f"bathy.median_window must be 1 or more, not {self.median_window}.")
