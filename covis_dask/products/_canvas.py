"""The sheet a quick look is drawn on: title, footer, panels and colours, the same for every mode.

Only matplotlib's object interface is used: pyplot keeps global state, which threads would share.
"""

import math
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from catalog.vocabulary import describe_site
from covis_dask.products._grids import spec_of
from covis_dask.products._layout import SHEET, Box

__all__ = [
    "AXIS_LABELS",
    "BROWNS",
    "GREY",
    "INK",
    "NEVER_REACHED",
    "REDS",
    "SONAR_COLOUR",
    "Sheet",
    "cmap",
    "decibel",
    "limits",
    "signed",
    "symmetric_limit",
]

Array = NDArray[np.float64]

INK, GREY, PALE, LINE = "#1b2733", "#5b6875", "#eceff2", "#aab3bb"
SONAR_COLOUR = "#e6a800"
NEVER_REACHED = "No valid sample reached any cell of this grid."
AXIS_LABELS = {
    "x": "Easting of COVIS ( m )",
    "y": "Northing of COVIS ( m )",
    "z": "Height above COVIS base ( m )",
}
REDS = LinearSegmentedColormap.from_list(
    "covis_reds",
    ["#fff5f0", "#fee0d2", "#fcbba1", "#fc9272", "#fb6a4a", "#ef3b2c", "#cb181d", "#a50f15", "#67000d"],
)
# The browns of docs/method.md#quick-looks, low to high, and one darker step: heights of a vent field need the
# contrast.
BROWNS = LinearSegmentedColormap.from_list(
    "covis_browns",
    ["#ededc8", "#e7e7b2", "#e1d9aa", "#dac9a1", "#d4b898", "#cda68e", "#c69184", "#be7878", "#7f3f45"],
)
_DPI = 150  # 1920 x 1080: a slide
_LONGEST_NOTE = 105
_LETTER = 0.075  # inches, in an axis label


class Sheet:
    """A figure with title and footer of one product.

    Parameters
    ----------
    ds : Dataset
        Title and footer come from its attributes; missing ones are left out.
    """

    def __init__(self, ds: xr.Dataset) -> None:
        self.dataset = ds
        self.attrs = ds.attrs
        self.figure = Figure(figsize=SHEET, dpi=_DPI, facecolor="white")
        FigureCanvasAgg(self.figure)
        text = self.figure.text
        text(
            0.03, 0.968, str(self.attrs.get("basename", "COVIS")), size=17, weight="bold", color=INK, va="top"
        )
        text(0.03, 0.918, self._subtitle(), size=11.5, color=GREY, va="top")
        self.figure.add_artist(Line2D([0.03, 0.97], [0.052, 0.052], color="#d5dade", lw=0.8))
        text(0.03, 0.037, self._made(), size=8.5, color=GREY, va="top")
        text(0.97, 0.037, self._notes(), size=8.5, color=GREY, va="top", ha="right")

    def _subtitle(self) -> str:
        attrs = self.attrs
        mode = str(attrs.get("mode", ""))
        parts = [f"{spec_of(self.dataset).title} (mode {mode})" if "mode_family" in attrs else mode]
        if "site" in attrs:
            parts.append(describe_site(str(attrs["site"])).title.rsplit(",", 1)[0])
        start = str(attrs.get("time_coverage_start", ""))
        if start:
            parts.append(f"{start[:10]} {start[11:19]} UTC")
        return "   ·   ".join(part for part in parts if part)

    def _made(self) -> str:
        attrs = self.attrs
        parts = [f"{word} {attrs[word]}" for word in ("preset", "profile", "fixes") if word in attrs]
        if "engine" in attrs:
            parts.append(f"{attrs['engine']} engine {attrs.get('engine_version', '')}".strip())
        if "software_version" in attrs:
            parts.append(f"covis-dask {attrs['software_version']}")
        return "   ·   ".join(parts)

    def _notes(self) -> str:
        used, total = self.attrs.get("pings_used"), self.attrs.get("pings_total")
        pings = "" if used is None or total is None else f"{used} of {total} pings used"
        notes = "   ·   ".join(part for part in (str(self.attrs.get("notes", "")), pings) if part)
        return notes if len(notes) <= _LONGEST_NOTE else notes[: _LONGEST_NOTE - 1] + "…"

    def panel(self, box: Box, title: str, across: str, up: str) -> Axes:
        """Add a panel with metric axes of equal scale.

        Parameters
        ----------
        box : tuple of float
            Left, bottom, width, height as parts of the sheet.
        title : str
        across, up : str
            Axis names: ``x``, ``y`` or ``z``.
        """
        ax = self.figure.add_axes(box)
        ax.set_aspect("equal", adjustable="box", anchor="C")
        ax.set_facecolor(PALE)
        ax.set_xlabel(AXIS_LABELS[across], size=9.5, color=INK)
        label = AXIS_LABELS[up]
        fits = box[3] * SHEET[1] > _LETTER * len(label)
        ax.set_ylabel(label if fits else label.replace(" COVIS", "\nCOVIS"), size=9.5, color=INK)
        ax.set_title(title, size=11, color=INK, loc="left", pad=7)
        ax.tick_params(labelsize=8.5, colors=GREY, direction="out", length=3)
        for spine in ax.spines.values():
            spine.set(color=LINE, linewidth=0.8)
        return ax

    def colour_bar(self, beside: Box, colours: Colormap, norm: Normalize, label: str) -> None:
        """Add a colour bar on the right of a box, as high as it."""
        left, bottom, width, height = beside
        ax = self.figure.add_axes((left + width + 0.014, bottom, 0.011, height))
        bar = self.figure.colorbar(ScalarMappable(norm, colours), cax=ax, extend="both", extendfrac=0.03)
        bar.set_label(label, size=9.5, color=INK)
        ax.tick_params(labelsize=8.5, colors=GREY, length=3)
        for spine in ax.spines.values():
            spine.set(edgecolor=LINE, linewidth=0.8)

    def say(self, sentence: str, box: Box = (0.0, 0.0, 1.0, 1.0)) -> None:
        """Write a sentence where the picture would be."""
        left, bottom, width, height = box
        centre = (left + width / 2, bottom + height / 2)
        self.figure.text(
            *centre, sentence, size=15 if width > 0.5 else 10, color=GREY, ha="center", va="center"
        )

    def save(self, path: Path) -> None:
        """Write the PNG; nothing in it depends on the clock."""
        title = str(self.attrs.get("title", "COVIS quick look"))
        self.figure.savefig(path, dpi=_DPI, format="png", metadata={"Title": title})


def cmap(name: str) -> Colormap:
    """Return a colour map whose missing values are pale grey."""
    return mpl.colormaps[name].with_extremes(bad=PALE)


def decibel(values: NDArray[Any]) -> Array:
    """Return 10 log10 of linear values; what is not positive is missing."""
    linear = np.asarray(values, dtype=np.float64)
    return 10 * np.log10(np.where(linear > 0, linear, np.nan))


def signed(value: float, digits: int = 1) -> str:
    """Write a number as matplotlib does on axes: with a true minus sign, and none before 0."""
    rounded = round(float(value), digits) + 0.0  # adding 0 takes the sign from -0
    return f"{rounded:.{digits}f}".replace("-", "\N{MINUS SIGN}")


def limits(
    values: Array, usual: tuple[float, float] | None, tails: tuple[float, float] = (2.0, 98.0)
) -> tuple[float, float]:
    """Choose a colour range: the usual one, which lets runs be compared, unless it would hide the data.

    Parameters
    ----------
    values : ndarray
    usual : tuple of float, optional
        Range of docs/method.md#quick-looks for this quantity. It is kept when the upper percentile of the
        values lies in its upper four fifths, or a fifth above it, and the median not far below it.
    tails : tuple of float
        Percentiles taken otherwise, rounded outwards.
    """
    known = values[np.isfinite(values)]
    if not known.size:
        return usual or (0.0, 1.0)
    low, middle, high = (float(value) for value in np.percentile(known, (tails[0], 50, tails[1])))
    if usual is not None:
        span = usual[1] - usual[0]
        if usual[0] + 0.2 * span <= high <= usual[1] + 0.2 * span and middle >= usual[0] - 0.3 * span:
            return usual
    step = _nice(max(high - low, 1e-12) / 8)
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    return (low, high) if high > low else (low, low + step)


def symmetric_limit(values: Array, least: float) -> float:
    """Choose the half-width of a colour range about 0: the 98th percentile of the size, rounded up."""
    known = np.abs(values[np.isfinite(values)])
    high = max(float(np.percentile(known, 98)), least) if known.size else least
    step = _nice(high / 5)
    return math.ceil(high / step - 1e-9) * step


def _nice(value: float) -> float:
    """Round up to 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9))
