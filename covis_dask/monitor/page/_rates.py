"""Runs per hour, and MB/s read and written, over the course of a batch."""

import datetime as dt
import math

from bokeh.models import ColumnDataSource, DatetimeTickFormatter, NumeralTickFormatter
from bokeh.plotting import figure

from catalog.vocabulary import RunState
from covis_dask.batches.status import BatchStatus
from covis_dask.monitor.page._cells import FONT, SOFT
from covis_dask.monitor.palette import COLORS, WRITTEN

__all__ = ["RatesView", "even"]

_FEW_RUNS = 3


class RatesView:
    """Two plots, drawn anew whenever a span of time is over."""

    def __init__(self) -> None:
        self.pace, self._runs = _plot("pace", {"rate": COLORS[RunState.DONE]})
        self.flow, self._bytes = _plot("flow", {"read": COLORS[RunState.DONE], "written": WRITTEN})
        self._shown: tuple[object, ...] = ()

    def update(self, status: BatchStatus) -> bool:
        """Draw what is new.

        Returns
        -------
        bool
            Whether there is anything to see: a batch of the past has left no rates.
        """
        series = status.series
        shown = (status.batch, id(status), series.width, int(status.seconds / series.width))
        if shown != self._shown:
            self._shown = shown
            self._draw(status)
        return bool(self.pace.visible)

    def _draw(self, status: BatchStatus) -> None:
        times, rates = status.series.rates(status.seconds)
        runs, read, written = even(rates, status.series.width)
        moments = [(status.start + dt.timedelta(seconds=second)).replace(tzinfo=None) for second in times]
        self.pace.visible = self.flow.visible = bool(moments)
        self._runs.data = {"t": moments, "rate": [3600 * rate for rate in runs]}
        self._bytes.data = {
            "t": moments,
            "read": [rate / 1e6 for rate in read],
            "written": [rate / 1e6 for rate in written],
        }


def even(rates: list[list[float]], width: float) -> list[list[float]]:
    """Even out rates, where few runs end: each is the mean of as many spans before it as hold three runs.

    Parameters
    ----------
    rates : list of list of float
        Runs per second first, then others, by span of time.
    width : float
        Length of a span, s.
    """
    runs = rates[0]
    per_span = width * sum(runs) / max(len(runs), 1)
    spans = max(1, min(len(runs), math.ceil(_FEW_RUNS / per_span - 1e-9) if per_span else 1))
    return [
        [sum(part) / len(part) for end in range(len(one)) if (part := one[max(0, end + 1 - spans) : end + 1])]
        for one in rates
    ]


def _plot(name: str, lines: dict[str, str]) -> tuple[figure, ColumnDataSource]:
    source = ColumnDataSource({"t": [], **{line: [] for line in lines}})
    fig = figure(
        name=name,
        height=205,
        sizing_mode="stretch_width",
        x_axis_type="datetime",
        tools="",
        toolbar_location=None,
        visible=False,
        outline_line_color=None,
        min_border_right=10,
        background_fill_color=None,
        border_fill_color=None,
    )
    for line, color in lines.items():
        fig.varea("t", 0, line, source=source, fill_color=color, fill_alpha=0.12)
        fig.line("t", line, source=source, line_color=color, line_width=2)
    fig.y_range.start = 0
    fig.axis.axis_line_color = "#c5ced6"
    fig.axis.minor_tick_line_color = fig.axis.major_tick_line_color = None
    fig.axis.major_label_text_color = SOFT
    fig.axis.major_label_text_font = FONT
    fig.axis.major_label_text_font_size = "10px"
    fig.grid.grid_line_color = "#eef1f4"
    fig.xaxis.formatter = DatetimeTickFormatter(
        seconds="%H:%M:%S", minsec="%H:%M:%S", minutes="%H:%M", hourmin="%H:%M", hours="%H:%M", days="%d %b"
    )
    fig.yaxis.formatter = NumeralTickFormatter(format="0,0.[0]")
    fig.xaxis.ticker.desired_num_ticks = 4
    fig.yaxis.ticker.desired_num_ticks = 4
    return fig, source
