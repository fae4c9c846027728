"""A mode as another distribution brings it: copied to a folder of its own, never imported from here.

Its products hold the mean level of what all channels recorded, on rings about the sonar.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from covis_dask.modes.context import Context
from covis_dask.modes.dataset import DatasetBuilder, PingTally
from covis_dask.modes.parameters import Parameters, map_grid
from covis_dask.modes.registry import Acquisition, GridDescription, ModeSpec, VariableDescription
from covis_dask.raw.sweep import RawSweep
from covis_dask.sonar.grid import GridAxes

COLOUR = "#ff00ff"


@dataclass(frozen=True, slots=True)
class Toy:
    """Settings of its own: the power to which levels are raised."""

    exponent: float = 2.0


def defaults(preset: str) -> Parameters:
    """Return the default parameters."""
    grids = (map_grid("toy level", -10, 10, -10, 10, 1.0),)
    return Parameters("toy", "Ashes", preset, "matlab", grids, own=Toy())


def process(sweep: RawSweep, parameters: Parameters, context: Context) -> xr.Dataset:
    """Average the levels of all pings, and lay them out."""
    tally = PingTally(context.log, len(sweep.table))
    levels, used = [], []
    for done, ping in enumerate(sweep.pings(256), start=1):
        context.progress(done, len(sweep.table))
        if ping.samples is None:
            tally.bad(ping.number, str(ping.fault))
            continue
        used.append(ping.number)
        levels.append(np.mean(np.abs(ping.samples.decode()) ** parameters.own.exponent))
    tally.use(used)
    tally.require_pings()
    spec = parameters.grids[0]
    axes = GridAxes.from_bounds((spec.xmin, spec.xmax, spec.dx), (spec.ymin, spec.ymax, spec.dy))
    distance = np.hypot(*np.meshgrid(axes.x, axes.y))
    builder = DatasetBuilder(sweep, parameters)
    builder.grid(axes, {"level": np.mean(levels) / (1 + distance), "w": np.ones_like(distance)})
    builder.own("pings_averaged", np.asarray(len(levels)))
    builder.pings(sweep.table)
    return builder.dataset(tally, {"exponent": parameters.own.exponent})


def draw(sheet: Any, ds: xr.Dataset) -> None:
    """Draw the level along a line to the east."""
    ax = sheet.panel((0.1, 0.15, 0.8, 0.65), "Level", "x", "y")
    ax.set_aspect("auto")
    middle = ds["level"].sel(y=0, method="nearest")
    ax.fill_between(ds["x"].values, middle.values / float(middle.max()), color=COLOUR)


SPEC = ModeSpec(
    site="Ashes",
    family="toy",
    title="Toy",
    summary="mean level of what all channels recorded",
    keywords=("TOYS",),
    presets=("ROUGH", "FINE"),
    default_preset="ROUGH",
    defaults=defaults,
    program="covis_toy:process",
    grids=(
        GridDescription(
            "toy level",
            (
                VariableDescription("level", "level", "mean level of the channels", "1"),
                VariableDescription("level_weight", "w", "weight of the level", "1"),
            ),
        ),
    ),
    arrays=(VariableDescription("pings_averaged", "pings_averaged", "pings in the average", "1"),),
    quicklook="covis_toy:draw",
    acquisition=Acquisition(
        pitches=(0.0, 4.0, 4.0), pings=2, interval=0.5, samples=240, sector=54.0, vertical_width=1.07
    ),
    version="1.0",
)
