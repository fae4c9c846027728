"""The parameter tree as frozen values: one small class per group, no defaults of a mode.

See docs/method.md#default-parameters.

Values a mode never reads are present all the same, so that programs need no `None` checks;
`Parameters.unused` names them.
"""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from covis_dask.errors import ConfigurationError
from covis_dask.modes.fixes import Fixes, fixes_of

__all__ = [
    "Attitude",
    "Averaging",
    "Bathy",
    "Beamformer",
    "Bounds",
    "Bursts",
    "Calibrate",
    "Correlation",
    "Filter",
    "GridSpec",
    "Header",
    "Noise",
    "Oscfar",
    "Parameters",
    "Phase",
    "PingCombination",
    "Position",
    "Seafloor",
    "Span",
    "Water",
]

MAX_GRID_CELLS = 500_000_000
"""More cells than any worker can hold; a slip in a spacing is caught here, not by the operating system."""


def _require(fact: bool, sentence: str) -> None:
    """Refuse an impossible value with a sentence."""
    if not fact:
        raise ConfigurationError(sentence)


@dataclass(frozen=True, slots=True)
class Position:
    """Where the sonar stands.

    Parameters
    ----------
    easting, northing, depth : float
        UTM position and depth of the base, m (recorded; the programs do not read them).
    altitude : float
        Height of the sonar head above the base, m.
    declination : float
        Magnetic declination, degrees east.
    heading : float
        Nominal heading in the original's files, degrees (recorded only).
    """

    easting: float = 0.0
    northing: float = 0.0
    depth: float = -1500.0
    altitude: float = 4.2
    declination: float = 16.0
    heading: float = 0.0


@dataclass(frozen=True, slots=True)
class Attitude:
    """How rotator readings become angles, 2018+ (docs/method.md#ping-table).

    Parameters
    ----------
    central_heading : float, optional
        Magnetic heading of the centred head, degrees; by the year of the run when not given (Q39).
    yaw_center : float
        Yaw motor reading of the centred head, degrees.
    roll_gear : float
        Gear ratio of the roll motor.
    """

    central_heading: float | None = None
    yaw_center: float = 135.0
    roll_gear: float = 6.0

    def __post_init__(self) -> None:
        _require(self.roll_gear > 0, f"attitude.roll_gear must be positive, not {self.roll_gear:g}.")


@dataclass(frozen=True, slots=True)
class Header:
    """What a ping's header must say: sample rate and how far it may differ, Hz.

    See docs/method.md#ping-headers.
    """

    sample_rate: float = 34482.758
    tolerance: float = 1.0

    def __post_init__(self) -> None:
        _require(self.sample_rate > 0, f"header.sample_rate must be positive, not {self.sample_rate:g}.")
        _require(self.tolerance >= 0, f"header.tolerance must not be negative: {self.tolerance:g}.")


@dataclass(frozen=True, slots=True)
class Beamformer:
    """Beams to form: kind, first and last beam angle (degrees), length of the array (m).

    See docs/method.md#beamforming.
    """

    type: Literal["fast"] = "fast"
    start_angle: float = -54.0
    end_angle: float = 54.0
    aperture: float = 0.408

    def __post_init__(self) -> None:
        _require(
            -90 <= self.start_angle < self.end_angle <= 90,
            "beamformer.start_angle must be less than beamformer.end_angle, both within -90 ... 90 degrees; "
            f"they are {self.start_angle:g} and {self.end_angle:g}.",
        )
        _require(self.aperture > 0, f"beamformer.aperture must be positive, not {self.aperture:g}.")


@dataclass(frozen=True, slots=True)
class Calibrate:
    """Calibration mode (docs/method.md#scattering-strength)."""

    mode: Literal["VSS", "TS", "TS-Fan", "TS-Wide"] = "VSS"


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
        _require(self.bw > 0, f"filter.bw must be positive, not {self.bw:g}.")
        _require(1 <= self.order <= 12, f"filter.order must be 1 ... 12, not {self.order}.")
        _require(self.decimation >= 1, f"filter.decimation must be 1 or more, not {self.decimation}.")


@dataclass(frozen=True, slots=True)
class Phase:
    """Phase reference: 0-based channel, -1 the last; number of pulse lengths compared.

    See docs/method.md#phase-correction.
    """

    channel: int = -1
    pulses: float = 3.0

    def __post_init__(self) -> None:
        _require(
            self.channel >= -1, f"phase.channel must be 0 or more, or -1 for the last: not {self.channel}."
        )
        _require(self.pulses > 0, f"phase.pulses must be positive, not {self.pulses:g}.")


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
        _require(self.window_size > 0, f"correlation.window_size must be positive, not {self.window_size:g}.")
        _require(
            0 <= self.window_overlap < 1,
            f"correlation.window_overlap must be at least 0 and less than 1, not {self.window_overlap:g}.",
        )
        _require(self.windthresh > 0, f"correlation.windthresh must be positive, not {self.windthresh:g}.")
        _require(self.nlag >= 1, f"correlation.nlag must be 1 or more, not {self.nlag}.")
        _require(self.lag >= 1, f"correlation.lag must be 1 or more, not {self.lag}.")
        _require(self.tlag > 0, f"correlation.tlag must be positive, not {self.tlag:g}.")


@dataclass(frozen=True, slots=True)
class Averaging:
    """Length of the averaging window of the 2018+ diffuse modes, s."""

    avg_win: float = 4.0

    def __post_init__(self) -> None:
        _require(self.avg_win > 0, f"averaging.avg_win must be positive, not {self.avg_win:g}.")


@dataclass(frozen=True, slots=True)
class Noise:
    """Noise floor (machine units, rms), SNR threshold (dB), and whether the intensity map is masked (Q18)."""

    noise_floor: float = 0.1970
    snr_thresh: float = 50.0
    mask_intensity: bool = False

    def __post_init__(self) -> None:
        _require(self.noise_floor > 0, f"noise.noise_floor must be positive, not {self.noise_floor:g}.")


@dataclass(frozen=True, slots=True)
class Oscfar:
    """Detection of the 2018+ modes: percentile over beams, threshold above it in dB.

    See docs/method.md#noise-and-clutter.
    """

    percentile: float = 65.0
    threshold: float = 20.0

    def __post_init__(self) -> None:
        _require(0 <= self.percentile <= 100, f"oscfar.percentile must be 0 to 100, not {self.percentile:g}.")


@dataclass(frozen=True, slots=True)
class Span:
    """An interval, both ends included."""

    start: float = 0.0
    stop: float = 0.0

    def __post_init__(self) -> None:
        _require(self.start <= self.stop, f"bounds: start {self.start:g} lies above stop {self.stop:g}.")


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
        _require(self.tolerance >= 0, f"bursts.tolerance must not be negative: {self.tolerance:g}.")
        _require(self.min_pings >= 1, f"bursts.min_pings must be 1 or more, not {self.min_pings}.")


@dataclass(frozen=True, slots=True)
class Water:
    """Sea water for sound speed and absorption: deg C, PSU, pH, m, degrees north.

    See docs/method.md#absorption, #sound-speed.
    """

    temperature: float = 2.41
    salinity: float = 34.53
    ph: float = 7.0
    depth: float = 1544.0
    latitude: float = 46.0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("temperature", -3, 40),
            ("salinity", 0, 50),
            ("ph", 0, 14),
            ("depth", 0, 12_000),
            ("latitude", -90, 90),
        ):
            value = getattr(self, name)
            _require(low <= value <= high, f"water.{name} must be {low} to {high}, not {value:g}.")


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
        _require(
            self.angle_step > 0 and self.angle_start < self.angle_stop,
            "seafloor.angle_start must be less than seafloor.angle_stop, and seafloor.angle_step positive.",
        )
        _require(self.tolerance > 0, f"seafloor.tolerance must be positive, not {self.tolerance:g}.")


@dataclass(frozen=True, slots=True)
class Bathy:
    """Bathymetry mode: the original's (unused) threshold in dB, and the median filter's length in samples."""

    thresh: float = -20.0
    median_window: int = 20

    def __post_init__(self) -> None:
        _require(self.median_window >= 1, f"bathy.median_window must be 1 or more, not {self.median_window}.")


@dataclass(frozen=True, slots=True)
class GridSpec:
    """One product grid: its type in the original's words, bounds and spacing in m; no z for maps."""

    type: str
    xmin: float
    xmax: float
    ymin: float
    ymax: float
    dx: float
    dy: float
    zmin: float | None = None
    zmax: float | None = None
    dz: float | None = None

    def __post_init__(self) -> None:
        missing = [value is None for value in (self.zmin, self.zmax, self.dz)]
        _require(
            all(missing) or not any(missing),
            f"grid {self.type!r} needs zmin, zmax and dz, or none of them.",
        )
        cells = 1.0
        for axis in "xyz"[: self.dimensions]:
            low, high, step = (getattr(self, name) for name in (f"{axis}min", f"{axis}max", f"d{axis}"))
            _require(low < high, f"grid {self.type!r}: {axis}min {low:g} is not below {axis}max {high:g}.")
            _require(step > 0, f"grid {self.type!r}: d{axis} must be positive, not {step:g}.")
            cells *= math.floor((high - low) / step) + 1
        _require(
            cells <= MAX_GRID_CELLS,
            f"grid {self.type!r} would have {cells:.3g} cells: choose a wider spacing.",
        )

    @property
    def dimensions(self) -> int:
        """2 for a map, 3 for a volume."""
        return 2 if self.zmin is None else 3

    @property
    def name(self) -> str:
        """Type as a word: ``doppler velocity`` -> ``doppler_velocity``."""
        return self.type.replace(" ", "_").replace("-", "_")


@dataclass(frozen=True, slots=True)
class Parameters:
    """Everything a mode program may be told; made by `parameters_for`.

    Parameters
    ----------
    family : str
        ``imaging``, ``diffuse``, ``doppler``, ``bathy`` or ``fullimaging``.
    preset : str
        ``END``, ``PP2``, ``PP3`` or ``PPX`` (docs/method.md#presets).
    profile : str
        ``matlab`` or ``corrected`` (docs/method.md#profiles).
    fixed : tuple of str
        Quirks that are mended one by one, in profile ``matlab``: those that touch these runs.
    grids : tuple of GridSpec
        In the original's order.
    precision : str
        Of the beams: ``float64``, or the faster ``float32``; filter, sums and grids are float64 in both.
    imaging : Parameters, optional
        Full-range runs are processed twice: these are the settings of the imaging pass.
    unused : tuple of str
        Keys, or first parts of keys, without effect on this mode and preset.
    """

    family: str
    preset: Literal["END", "PP2", "PP3", "PPX"]
    profile: Literal["matlab", "corrected"]
    grids: tuple[GridSpec, ...]
    precision: Literal["float64", "float32"] = "float64"
    position: Position = Position()
    attitude: Attitude = Attitude()
    header: Header = Header()
    beamformer: Beamformer = Beamformer()
    calibrate: Calibrate = Calibrate()
    filter: Filter = Filter()
    phase: Phase = Phase()
    ping_combination: PingCombination = PingCombination()
    correlation: Correlation = Correlation()
    averaging: Averaging = Averaging()
    noise: Noise = Noise()
    oscfar: Oscfar = Oscfar()
    bounds: Bounds = Bounds()
    bursts: Bursts = Bursts()
    water: Water = Water()
    seafloor: Seafloor = Seafloor()
    bathy: Bathy = Bathy()
    imaging: "Parameters | None" = None
    unused: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()

    @property
    def fixes(self) -> Fixes:
        """What is mended of the original's quirks."""
        return fixes_of(self.profile, self.fixed)

    @property
    def era(self) -> Literal["END", "ASHES"]:
        """Era of the instrument: ``END`` (2010-15, Endeavour) or ``ASHES`` (2018+)."""
        return "END" if self.preset == "END" else "ASHES"

    def grid(self, name: str) -> GridSpec:
        """Return the grid of that type or name.

        Raises
        ------
        KeyError
            When there is none.
        """
        wanted = name.replace(" ", "_").replace("-", "_")
        for spec in self.grids:
            if spec.name == wanted:
                return spec
        raise KeyError(name)

    def is_unused(self, key: str) -> bool:
        """Say whether a dotted key has no effect on this mode and preset."""
        return any(key == word or key.startswith(word + ".") for word in self.unused)

    def to_dict(self) -> dict[str, Any]:
        """Return plain nested values that JSON can hold, the same for equal parameters."""
        document = {item.name: getattr(self, item.name) for item in fields(self)}
        if fixed := document.pop("fixed"):
            document["fixes"] = list(fixed)
        for name, value in document.items():
            if isinstance(value, Parameters):
                document[name] = value.to_dict()
            elif name == "grids":
                document[name] = [asdict(spec) for spec in value]
            elif name == "unused":
                document[name] = list(value)
            elif hasattr(value, "__dataclass_fields__"):
                document[name] = asdict(value)
        return document
