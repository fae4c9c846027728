"""From the original's structure `covis` to the dataset that the native engine makes.

See docs/method.md#contents-of-a-product.

Names, units and words are those of the mode's spec.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from catalog.vocabulary import Site
from covis_dask.engines._mat_reader import Structure, numbers, scalar, structures
from covis_dask.errors import EngineError
from covis_dask.modes import ModeSpec, spec_for
from covis_dask.modes._tally import PingTally
from covis_dask.modes.dataset import DatasetBuilder, Variable
from covis_dask.modes.parameters import Parameters
from covis_dask.raw.sweep import PingHeader, PingTable, RawSweep
from covis_dask.sonar.grid import GridAxes

__all__ = ["RunFacts", "convert"]

_COORDINATES = frozenset({"x", "y", "z"})
_SONAR = {
    "c": "sound_speed",
    "fc": "transmit_frequency",
    "fs": "sample_rate",
    "array_length": "array_length",
    "num_beams": "beams",
}
_HEADER = {
    "xmit_freq": "transmit_frequency",
    "sample_rate": "sample_rate",
    "pulse_width": "pulse_width",
    "power_sel": "power_setting",
    "gain_sel": "gain_setting",
}
_LEFT_OUT = "the burst is outside the pitch bounds, or has fewer than 2 pings"


@dataclass(frozen=True, slots=True, eq=False)
class RunFacts:
    """What the product needs of the run itself; taken before Matlab, which may delete the folder (Q47).

    Parameters
    ----------
    table : PingTable
    sweep : mapping
        sweep.json.
    header : PingHeader, optional
        The first usable one.
    files : frozenset of int
        Pings that have a file.
    """

    table: PingTable
    sweep: Mapping[str, Any]
    header: PingHeader | None
    files: frozenset[int]

    @classmethod
    def of(cls, sweep: RawSweep, folder: Path) -> "RunFacts":
        """Take them from an unpacked run; errors as for `RawSweep.table`."""
        table = sweep.table
        present = frozenset(
            number
            for number in (int(value) for value in table.ping)
            if (folder / f"rec_7038_{number:06d}.bin").is_file()
        )
        headers = (sweep.header(number) for number in sorted(present))
        return cls(table, sweep.sweep, next((h for h in headers if h is not None), None), present)


def convert(
    content: Mapping[str, Structure],
    recording: RunFacts,
    parameters: Parameters,
    site: str,
    log: Callable[[str], None],
) -> xr.Dataset:
    """Make the dataset.

    Parameters
    ----------
    content : mapping
        Structures by variable: `covis`, or `imaging` and `diffuse` of a full-range run.
    recording : RunFacts
    parameters : Parameters
        Of the mode; for its bounds and as labels. The values are the Matlab code's own.
    site : {"Endeavour", "Ashes"}
    log : callable
        Takes a line for the run's log.

    Returns
    -------
    Dataset
        Cells reached by no sample are NaN, their weight 0.

    Raises
    ------
    EngineError
        When there is no grid in it.
    """
    parts = _parts(content)
    spec = spec_for(site, parameters.family)
    product = DatasetBuilder(recording, parameters)
    for covis, suffix in parts:
        for grid in structures(covis.get("grid")):
            _add_grid(product, grid, spec, suffix, log)
    first = parts[0][0]
    tally = _tally(first, recording, parameters, log)
    bursts = structures(first.get("burst"))
    _add_bursts(product, bursts, parameters, site)
    _add_own(product, structures(first.get("grid")), spec, len(bursts))
    product.pings(recording.table)
    for covis, suffix in parts:
        _add_beams(product, _beamformer(covis), f"_{suffix}" if suffix else "")
    return product.dataset(tally, _attributes(first, recording, site))


def _parts(content: Mapping[str, Structure]) -> list[tuple[Structure, str]]:
    """Return the structures of a product, each with the suffix of its variables."""
    covis = content.get("covis", content)
    if "imaging" in covis and "diffuse" in covis:
        return [(covis["imaging"], ""), (covis["diffuse"], "fr")]
    if not structures(covis.get("grid")):
        raise EngineError("the .mat file that the Matlab code made has no grid in its structure covis")
    return [(covis, "")]


def _add_grid(
    product: DatasetBuilder, grid: Structure, spec: ModeSpec, suffix: str, log: Callable[[str], None]
) -> None:
    """Add one of the original's grids."""
    axes = _axes(grid)
    kind = str(grid.get("type", "")).lower().replace(" ", "_")
    prefix = kind if any(kind == described.prefix for described in spec.grids) else ""
    weight = _array(grid, "w", axes)
    fields, unknown = {}, []
    for key in grid:
        values = _array(grid, key, axes)
        if key in _COORDINATES or values is None:
            continue
        if (f"{prefix}_{key}" if prefix else key) not in spec.variables:
            unknown.append(key)
            continue
        fields[key] = values if key == "w" or weight is None else np.where(weight == 0, np.nan, values)
    if unknown:
        log(f"fields of the .mat file that are unknown here stay there: {kind}: {', '.join(unknown)}")
    product.grid(axes, fields, prefix, suffix or kind)


def _axes(grid: Structure) -> GridAxes:
    """Return the axes of a grid, from its coordinates, which are full arrays."""
    try:
        x, y = (np.asarray(grid[name], dtype=np.float64) for name in "xy")
        if x.ndim == 3:
            return GridAxes(x[0, :, 0], y[:, 0, 0], np.asarray(grid["z"], dtype=np.float64)[0, 0, :])
        return GridAxes(x[0, :], y[:, 0])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise EngineError("a grid in the .mat file has no coordinates x and y") from error


def _array(grid: Structure, name: str, axes: GridAxes) -> NDArray[Any] | None:
    """Return a field on the grid, None when it is something else."""
    values = np.asarray(grid.get(name))
    if values.shape != axes.shape or values.dtype.kind not in "biufc":
        return None
    return values if values.dtype.kind == "c" else values.astype(np.float64)


def _used(bursts: list[Structure], parameters: Parameters) -> NDArray[np.bool_]:
    """Say which bursts entered the result, by the original's rules; it does not store that."""
    pitch, bounds = numbers(bursts, "pitch"), parameters.bounds
    within = (pitch >= bounds.pitch.start) & (pitch <= bounds.pitch.stop) | (not bounds.pitch_applied)
    used: NDArray[np.bool_] = within & ~(numbers(bursts, "npings") < 2)
    return used


def _tally(
    covis: Structure, recording: RunFacts, parameters: Parameters, log: Callable[[str], None]
) -> PingTally:
    """Tell which pings and bursts were used."""
    tally = PingTally(log, len(recording.table))
    for number in np.ravel(np.asarray(covis.get("bad_ping", []), dtype=np.float64)):
        tally.bad(int(number), "the Matlab code calls it bad")
    tally.missing(number for number in recording.table.ping.tolist() if number not in recording.files)
    lost = {*tally.bad_ping, *tally.missing_ping}
    bursts = structures(covis.get("burst"))
    if not bursts:
        # Diffuse runs: since 2018 only the averaging window counts (docs/method.md#diffuse-flow-2018 step 5).
        times = recording.table.time
        window = parameters.averaging.avg_win if parameters.era != "END" else np.inf
        chosen = recording.table.ping[times <= times[0] + window].tolist()
        tally.use(number for number in chosen if number not in lost)
    listed: set[int] = set()
    for burst, used in zip(bursts, _used(bursts, parameters), strict=True):
        pings = _pings_of(burst, recording.table)
        listed.update(pings)
        good = [number for number in pings if number not in lost]
        if used and good:
            tally.use(good)
        else:
            tally.skip(
                scalar(burst.get("pitch"), np.nan), pings, "no ping of it is valid" if used else _LEFT_OUT
            )
    rest = [number for number in recording.table.ping.tolist() if number not in listed]
    if bursts and rest:
        pitch = float(recording.table.sensor_pitch[recording.table.row(rest[0])])
        tally.skip(pitch, rest, "the Matlab code has these pings in no burst")
    return tally


def _pings_of(burst: Structure, table: PingTable) -> list[int]:
    """Return the numbers of a burst's pings, however this version of the original stores them."""
    count = int(scalar(burst.get("npings"), 0))
    if "ping" in burst:
        return [int(number) for number in np.ravel(burst["ping"])]
    first = _first_ping(burst) - 1 if "start_ping" in burst else table.row(_first_ping(burst))
    return [int(number) for number in table.ping[first : first + count]]


def _first_ping(burst: Structure) -> int:
    """Return the number of a burst's first ping, however this version of the original stores it."""
    for name in ("ping", "first_ping", "start_ping"):
        if name in burst:
            return int(scalar(burst[name], 0))
    return 0


def _add_bursts(product: DatasetBuilder, bursts: list[Structure], parameters: Parameters, site: str) -> None:
    if not bursts:
        return
    first = np.array([_first_ping(burst) for burst in bursts])
    ashes = site == Site.ASHES
    for name, original, long_name, units, values in (
        (
            "burst_pitch",
            "burst_pitch" if ashes else "burst_elev",
            "sensor pitch of the first ping in the burst" if ashes else "elevation of the burst",
            "degree",
            numbers(bursts, "pitch"),
        ),
        (
            "burst_npings",
            "burst_npings",
            "number of pings in the burst, from index.csv" if ashes else "number of pings in the burst",
            "1",
            np.nan_to_num(numbers(bursts, "npings")).astype(np.int64),
        ),
        (
            "burst_first_ping" if ashes else "burst_start",
            "burst_first_ping" if ashes else "burst_start",
            "ping number of the first ping in the burst"
            if ashes
            else "row of the burst's first ping in index.csv, counted from 1",
            "1",
            first,
        ),
        (
            "burst_used",
            "burst_used",
            "whether the burst was used (1) or skipped (0)",
            "1",
            _used(bursts, parameters).astype(np.int8),
        ),
    ):
        product.array(Variable(name, original, long_name, units, values), ("burst",))


def _add_own(product: DatasetBuilder, grids: list[Structure], spec: ModeSpec, bursts: int) -> None:
    """Add what the original stores with its first grid although it is on none, such as clock offsets."""
    for described in spec.arrays:
        if not grids or described.original_name not in grids[0]:
            continue
        values = np.asarray(grids[0][described.original_name])
        # Reading squeezes away an axis of length 1.
        values = values.reshape(-1, bursts) if described.dims and bursts else values.reshape(())
        product.own(described.original_name, values)


def _beamformer(covis: Structure) -> Structure:
    """Return the beamformer's settings; diffuse runs of 2010-15 have them at the top.

    See docs/method.md#diffuse-flow-2010-15.
    """
    processing = covis.get("processing")
    beamformer = processing.get("beamformer") if isinstance(processing, Mapping) else None
    beamformer = beamformer if isinstance(beamformer, Mapping) else covis.get("beamformer")
    return beamformer if isinstance(beamformer, Mapping) else {}


def _add_beams(product: DatasetBuilder, beamformer: Structure, suffix: str) -> None:
    for key, name, long_name, units, dim in (
        ("angle", "beam_angle", "azimuth of the beam, positive to the right", "radian", "beam"),
        ("range", "beam_range", "slant range of the sample", "m", "sample"),
    ):
        values = np.ravel(np.asarray(beamformer.get(key, []), dtype=np.float64))
        if values.size:
            product.array(Variable(name + suffix, name + suffix, long_name, units, values), (dim + suffix,))


def _attributes(covis: Structure, recording: RunFacts, site: str) -> dict[str, Any]:
    """Return what the attributes say of the sonar, as far as the structure or the run's header has it."""
    attributes: dict[str, Any] = {}
    pings = structures(covis.get("ping"))
    header = pings[0].get("hdr") if pings else None
    fields = header if isinstance(header, Mapping) else recording.header.fields if recording.header else {}
    for key, name in _HEADER.items():
        if key in fields:
            attributes[name] = scalar(fields[key], np.nan)
    if "sound_speed" in fields:
        attributes["sound_speed_header" if site == Site.ASHES else "sound_speed"] = scalar(
            fields["sound_speed"], np.nan
        )
    if site == Site.ENDEAVOUR:
        return attributes
    beamformer = _beamformer(covis)
    attributes |= {name: scalar(beamformer[key], np.nan) for key, name in _SONAR.items() if key in beamformer}
    attributes |= {name: int(attributes[name]) for name in ("beams",) if name in attributes}
    position = covis.get("sonar", {}).get("position") if isinstance(covis.get("sonar"), Mapping) else None
    if isinstance(position, Mapping) and "declination" in position:
        attributes["declination"] = scalar(position["declination"], np.nan)
    return attributes
