"""The calendar of runs as a picture: a panel per family of modes, a row per month, a cell per day."""

import calendar as months
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from covis_dask.batches.calendar import STATES, Calendar, Cell
from covis_dask.monitor.palette import COLORS, EDGE, INK, WAITING, parts

__all__ = ["Coverage"]

_SOFT = "#5d6b79"
_ROW = 0.16
_ACROSS = 3


@dataclass(frozen=True, slots=True)
class Coverage:
    """A picture of runs; notebooks show it by itself.

    Parameters
    ----------
    calendar : Calendar
    """

    calendar: Calendar

    @classmethod
    def of(cls, runs: Iterable[tuple[str, str]]) -> "Coverage":
        """Draw runs, given as basename and state (empty: not processed)."""
        calendar = Calendar()
        calendar.put(runs)
        return cls(calendar)

    @property
    def figure(self) -> Figure:
        """The picture as a matplotlib figure."""
        cells = [
            (day.year * 12 + day.month - 1, day.day, family, cell)
            for year in self.calendar.years
            for day, family, cell in self.calendar.year(year)
        ]
        families = self.calendar.families or ("no runs",)
        rows = sorted({month for month, *_ in cells}) or [0]
        across = min(_ACROSS, len(families))
        down = math.ceil(len(families) / across)
        fig = Figure(
            figsize=(4.1 * across, 0.5 + down * (0.55 + _ROW * len(rows))), layout="constrained", dpi=110
        )
        panels = fig.subplots(down, across, squeeze=False).ravel()
        for ax, family in zip(panels, families, strict=False):
            own = [(rows.index(month), day, cell) for month, day, name, cell in cells if name == family]
            _panel(ax, family, own, rows)
        for ax in panels[len(families) :]:
            ax.set_axis_off()
        states = {state for *_, cell in cells for state in cell.runs.values()}
        handles = [Patch(facecolor=COLORS[state], label=state) for state in STATES if state in states]
        if "" in states:
            handles.append(Patch(facecolor=WAITING, edgecolor=EDGE, label="not processed"))
        fig.legend(
            handles=handles, loc="outside lower left", ncols=7, frameon=False, fontsize=8, labelcolor=_SOFT
        )
        return fig

    def _repr_png_(self) -> bytes:
        picture, figure = io.BytesIO(), self.figure
        FigureCanvasAgg(figure)
        figure.savefig(picture, format="png")
        return picture.getvalue()


def _panel(ax: Axes, family: str, cells: list[tuple[int, int, Cell]], rows: list[int]) -> None:
    filled, colors, frames = [], [], []
    for row, day, cell in cells:
        frames.append(Rectangle((day - 0.44, row - 0.42), 0.88, 0.84))
        bottom = row + 0.42  # y grows downwards
        for share, color in parts(cell.counts):
            filled.append(Rectangle((day - 0.44, bottom), 0.88, -0.84 * share))
            colors.append(color)
            bottom -= 0.84 * share
    ax.add_collection(PatchCollection(filled, facecolors=colors, linewidths=0))
    ax.add_collection(PatchCollection(frames, facecolors="none", edgecolors=EDGE, linewidths=0.5))
    ax.set(xlim=(0.4, 31.6), ylim=(len(rows) - 0.5, -0.5))
    runs = sum(len(cell.runs) for *_, cell in cells)
    ax.set_title(f"{family}  ", loc="left", fontsize=10, color=INK, fontweight="bold")
    ax.set_title(f"{runs} runs", loc="right", fontsize=8, color=_SOFT)
    ax.set_xticks([1, 5, 10, 15, 20, 25, 30])
    ax.set_yticks(range(len(rows)), [_label(month, rows) for month in rows])
    ax.tick_params(length=0, labelsize=7, labelcolor=_SOFT)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _label(month: int, rows: list[int]) -> str:
    """Name a month; the first of each year says the year too."""
    year, number = divmod(month, 12)
    first = month == rows[0] or (month - 1) // 12 != year or (month - 1) not in rows
    return f"{months.month_abbr[number + 1]} {year}" if first else months.month_abbr[number + 1]
