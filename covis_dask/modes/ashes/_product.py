"""What the products of all 2018+ modes have in common: axes, bursts, beams, facts.

See docs/method.md#contents-of-a-product.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import xarray as xr

from covis_dask.modes.ashes._bursts import AshesProgram, sweeps_in_yaw
from covis_dask.modes.ashes._setup import RangeCalibration, SonarSetup
from covis_dask.modes.bursts import BurstResult
from covis_dask.modes.dataset import DatasetBuilder, Variable
from covis_dask.modes.parameters import GridSpec
from covis_dask.raw.sweep import PingTable, RawSweep
from covis_dask.sonar._types import Bool
from covis_dask.sonar.bursts import Burst
from covis_dask.sonar.grid import GridAxes

__all__ = ["add_beams", "add_bursts", "axes_of", "finished", "sonar_attributes"]

_TURNED: Final = (
    "This run swept in yaw. The original treats all its pings as one burst with a single attitude; "
    "profile corrected groups them by yaw. Do not compare this product with those of elevation sweeps."
)


def axes_of(spec: GridSpec) -> GridAxes:
    """Return the nodes of a grid."""
    z = None if spec.zmin is None or spec.zmax is None or spec.dz is None else (spec.zmin, spec.zmax, spec.dz)
    return GridAxes.from_bounds((spec.xmin, spec.xmax, spec.dx), (spec.ymin, spec.ymax, spec.dy), z)


def add_bursts(product: DatasetBuilder, bursts: Sequence[Burst], table: PingTable, used: Bool) -> None:
    """Add pitch, number of pings, first ping and use of every burst, also of those left out."""
    first = [int(table.ping[burst.rows[0]]) for burst in bursts]
    for name, long_name, units, values in (
        ("burst_pitch", "sensor pitch of the first ping in the burst", "degree", [b.pitch for b in bursts]),
        ("burst_npings", "number of pings in the burst, from index.csv", "1", [len(b) for b in bursts]),
        ("burst_first_ping", "ping number of the first ping in the burst", "1", first),
        ("burst_used", "whether the burst was used (1) or skipped (0)", "1", used.astype(np.int8)),
    ):
        product.array(Variable(name, name, long_name, units, np.asarray(values)), ("burst",))


def add_beams(
    product: DatasetBuilder, setup: SonarSetup, ranging: RangeCalibration, suffix: str = ""
) -> None:
    """Add beam angles and slant ranges.

    Parameters
    ----------
    product : DatasetBuilder
    setup : SonarSetup
    ranging : RangeCalibration
    suffix : str
        Ends names and dimensions where one product has two sets.
    """
    for name, long_name, units, values, dim in (
        ("beam_angle", "azimuth of the beam, positive to the right", "radian", setup.beams.angles, "beam"),
        ("beam_range", "slant range of the sample", "m", ranging.ranges, "sample"),
    ):
        product.array(Variable(name + suffix, name + suffix, long_name, units, values), (dim + suffix,))


def sonar_attributes(setup: SonarSetup, ranging: RangeCalibration, *, turned: bool) -> Mapping[str, Any]:
    """Return what the product's attributes say of setting and calibration.

    Parameters
    ----------
    setup : SonarSetup
    ranging : RangeCalibration
    turned : bool
        Whether the run swept in yaw (Q7).
    """
    header, beams = setup.header, setup.beams
    attributes: dict[str, Any] = {
        "sound_speed": setup.c,
        "sound_speed_header": header.sound_speed,
        "absorption_db_per_m": setup.alpha,
        "transmit_frequency": header.xmit_freq,
        "sample_rate": setup.fs,
        "pulse_width": header.pulse_width,
        "power_setting": header.power_sel,
        "gain_setting": header.gain_sel,
        "array_length": setup.parameters.beamformer.aperture,
        "beams": len(beams.angles),
        "first_samp": ranging.first_samp,
        "last_samp": ranging.last_samp,
        "central_heading": setup.heading,
        "declination": setup.parameters.position.declination,
        "ping_header": header.fields,
        "calibration_valid": int(ranging.calibration.valid),
        "calibration_fault": ranging.calibration.fault or "",
        "comparable": int(not turned),
    }
    if turned:
        attributes["comparable_comment"] = _TURNED
    return attributes


def finished(
    product: DatasetBuilder, program: AshesProgram, result: BurstResult, sweep: RawSweep
) -> xr.Dataset:
    """Complete the product of a program that was alone with its run: all but its own variables."""
    add_bursts(product, result.bursts, sweep.table, result.used)
    product.pings(sweep.table)
    add_beams(product, program.setup, program.range_calibration)
    attributes = sonar_attributes(program.setup, program.range_calibration, turned=sweeps_in_yaw(sweep.table))
    return product.dataset(result.tally, attributes)
