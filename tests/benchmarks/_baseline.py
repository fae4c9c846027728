"""A plain NumPy and SciPy port of imaging, 2018+: what one would write first.

Straight from docs/method.md#modes, for speed comparisons: no folding, no kernels, no skipping; complex128
throughout, all pings of a burst stacked. It shares with the package what costs no time: the tables of
calibration, the parameters, the ping table. For sound runs only.
"""

import gzip
import io
import json
import tarfile
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, filtfilt

from covis_dask.modes import parameters_for
from covis_dask.modes.parameters import Parameters
from covis_dask.raw.ping import PingTable
from covis_dask.sonar.beamform import beam_count
from covis_dask.sonar.bursts import bursts_ashes
from covis_dask.sonar.calibration import Medium, SonarSettings, calibration
from covis_dask.sonar.geometry import HeadAttitude, directions_ashes
from covis_dask.sonar.seawater import absorption, sound_speed
from tests.benchmarks._runs import Case

__all__ = ["process"]

Array = NDArray[Any]


def process(case: Case, archive: Path) -> dict[str, Array]:
    """Process a 2018+ imaging run into its grid."""
    members = _unpacked(archive)
    parameters = parameters_for(case.family, case.site)
    header = json.loads(next(data for name, data in members.items() if "rec_7000" in name))["hdr"]
    table = PingTable.from_csv(members["index.csv"])
    water = parameters.water
    c = sound_speed(water.temperature, water.salinity, water.depth, water.latitude, absolute_salinity=False)
    fs, tau, freq = header["sample_rate"], header["pulse_width"], header["xmit_freq"]
    b, a = butter(4, parameters.filter.bw / fs / tau)
    span = parameters.beamformer
    angles = np.radians(np.linspace(span.start_angle, span.end_angle, beam_count(freq)))
    points: list[Array] = []
    for burst in bursts_ashes(table.pitch, table.sensor_pitch, consecutive=False, tolerance=0.0):
        pings = [_decoded(members[f"rec_7038_{table.ping[row]:06d}.bin"]) for row in burst.rows]
        steering = _steering(pings[0].shape[1], freq, c, angles)
        n = int(parameters.phase.pulses * fs * tau + 0.5)
        channel = parameters.phase.channel
        beams = []
        for x in pings:
            turned = x * np.exp(-1j * np.angle(np.vdot(pings[0][:n, channel], x[:n, channel])))
            beams.append(filtfilt(b, a, turned, axis=0, padtype="odd", padlen=12) @ steering)
        r = (np.arange(len(pings[0])) + 1) * c / (2 * fs)
        gains = calibration(
            parameters.calibrate.mode,
            "ASHES",
            SonarSettings(freq, tau, header["power_sel"], header["gain_sel"]),
            Medium(header["sound_speed"], absorption(freq, c, water, zero_celsius=273.0)),
            angles=angles,
            ranges=r,
        )
        last = burst.rows[-1]
        yaw = (table.yaw[last] - parameters.attitude.yaw_center) * np.pi / 180
        roll, pitch = table.sensor_roll[last] * np.pi / 180, table.sensor_pitch[last] * np.pi / 180
        attitude = HeadAttitude(yaw, roll, pitch, 279.0, parameters.position.declination)
        x, y, z = directions_ashes(angles, attitude).at(r)
        points.append(_inside((x, y, z), _imaging(np.stack(beams), gains, parameters), parameters))
    return _gridded(np.concatenate(points, axis=1), parameters)


def _unpacked(archive: Path) -> dict[str, bytes]:
    with gzip.open(archive) as file, tarfile.open(fileobj=io.BytesIO(file.read())) as tar:
        found = {}
        for member in tar:
            data = tar.extractfile(member)
            if data is not None:
                found[member.name.rpartition("/")[2]] = data.read()
    return found


def _decoded(record: bytes) -> Array:
    nsamps, nelems = (int(np.frombuffer(record, t, 1, at)[0]) for t, at in (("<u4", 16), ("<u2", 20)))
    raw = np.frombuffer(record, "<i2", 2 * nsamps * nelems, 60 + 2 * nelems).astype(np.float64) / 16
    decoded: Array = (raw[0::2] + 1j * raw[1::2]).reshape(nsamps, nelems)
    return decoded


def _steering(nelems: int, freq: float, c: float, angles: Array) -> Array:
    e = np.arange(nelems)
    weights = 0.54 - 0.46 * np.cos(2 * np.pi * e / (nelems - 1))
    positions = 0.204 * (-1 + 2 * e / (nelems - 1))
    matrix: Array = weights[:, None] * np.exp(
        2j * np.pi * freq / c * positions[:, None] * np.sin(angles)[None, :]
    )
    return matrix


def _imaging(beams: Array, gains: Any, parameters: Parameters) -> tuple[Array, ...]:
    """Reduce a burst [P, N, B] (4.1 items 2.2 to 2.7)."""
    floor, least = parameters.noise.noise_floor, parameters.noise.snr_thresh
    kp = np.mean(np.abs(beams) ** 2, axis=0) / np.mean(np.abs(beams), axis=0) ** 2 - 1
    mean = beams.mean(axis=0)
    found = []
    low: Array = np.zeros(0)
    for amplitude in (np.abs(mean), np.sqrt(np.mean(np.abs(beams - mean) ** 2, axis=0))):
        low = 20 * np.log10(amplitude / floor) < least
        power = amplitude**2
        clutter = np.percentile(power, parameters.oscfar.percentile, axis=1, method="hazen")
        clear = 10 * np.log10(power) - 10 * np.log10(clutter)[:, None] > parameters.oscfar.threshold
        value = gains.apply(amplitude) ** 2
        found += [np.where(low, 1e-9, value), np.where(low | ~clear, 1e-9, value)]
    return (*found, np.where(low, 0, kp))  # the mask of the fluctuating part (Q43)


def _bounds(parameters: Parameters) -> tuple[tuple[float, float, float], ...]:
    spec = parameters.grids[0]
    assert spec.zmin is not None
    assert spec.zmax is not None
    assert spec.dz is not None
    return (spec.xmin, spec.xmax, spec.dx), (spec.ymin, spec.ymax, spec.dy), (spec.zmin, spec.zmax, spec.dz)


def _inside(places: tuple[Array, ...], values: tuple[Array, ...], parameters: Parameters) -> Array:
    """Return coordinates and values [8, n] of the samples in the grid, in column-major order."""
    bounds = _bounds(parameters)
    chosen = np.logical_and.reduce(
        [(place >= low) & (place <= high) for place, (low, high, _) in zip(places, bounds, strict=True)]
    ).T
    return np.stack([one.T[chosen] for one in (*places, *values)])


def _gridded(samples: Array, parameters: Parameters) -> dict[str, Array]:
    """Grid the samples of all bursts in one call (3.11)."""
    bounds = _bounds(parameters)
    shape = tuple(int((bounds[d][1] - bounds[d][0]) / bounds[d][2] + 1e-9) + 1 for d in (1, 0, 2))
    steps = [(place - low) / d for place, (low, _, d) in zip(samples[:3], bounds, strict=True)]
    nodes = [(np.floor(step).astype(int), np.ceil(step).astype(int)) for step in steps]
    weight = np.zeros(shape)
    totals = [np.zeros(shape) for _ in samples[3:]]
    for corner in product((0, 1), repeat=3):
        i, j, k = (node[n] for node, n in zip(nodes, corner, strict=True))
        w = np.sqrt(sum((1 - np.abs(node - step)) ** 2 for node, step in zip((i, j, k), steps, strict=True)))
        for total, value in zip(totals, samples[3:], strict=True):
            total[j, i, k] = total[j, i, k] + w * value
        weight[j, i, k] = weight[j, i, k] + w
    with np.errstate(invalid="ignore"):
        names = ("Ia", "Ia_filt", "Id", "Id_filt", "Kp")
        return {name: total / weight for name, total in zip(names, totals, strict=True)} | {"w": weight}
