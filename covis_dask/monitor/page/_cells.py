"""Figures of cells, each filled by the states of its runs: what calendar and overview are drawn with.

All panels draw from one source: whatever changes at a moment goes to a browser as one message, and it is
messages that cost the scheduler.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bokeh.models import CDSView, ColumnDataSource, FixedTicker, HoverTool, IndexFilter, Range1d, TapTool
from bokeh.plotting import figure

from covis_dask.monitor.palette import EDGE, INK, parts

__all__ = ["FONT", "SOFT", "CellView", "Drawn"]

FONT = 'system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif'
SOFT = "#5d6b79"
_SIZE = 0.84
_CHANGING = ("middle", "high", "good", "wrong", "edge", "width", "summary", "names")
_COLUMNS = ("x", "y", "low", *_CHANGING, "title")
_TOOLTIP = """
<div style="font:13px system-ui,sans-serif;max-width:30rem">
  <b>@title</b><div style="margin:.2rem 0">@summary</div>
  <div style="font-size:11px;line-height:1.5">@names{safe}</div>
</div>
"""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A cell as it is drawn.

    Parameters
    ----------
    x, y : int
        Place; rows go down.
    counts : mapping of str to int
        Runs by state.
    title, names : str
        What is said of it beside the counts; `names` is HTML.
    marked : bool
        Whether it has a strong frame.
    """

    x: int
    y: int
    counts: Mapping[str, int]
    title: str
    names: str
    marked: bool

    def values(self) -> dict[str, object]:
        """Return what the source holds of it."""
        (done, good), (trouble, wrong), _ = parts(self.counts)
        low = self.y + _SIZE / 2
        middle = low - _SIZE * done
        said = sorted(self.counts.items(), key=lambda state: -state[1])
        return {
            "x": self.x,
            "y": self.y,
            "low": low,
            "middle": middle,
            "high": middle - _SIZE * trouble,
            "good": good,
            "wrong": wrong,
            "edge": INK if self.marked else EDGE,
            "width": 1.5 if self.marked else 0.6,
            "title": self.title,
            "summary": ", ".join(f"{count:,} {state or 'waiting'}" for state, count in said),
            "names": self.names,
        }


class CellView:
    """Panels that draw from one source.

    Parameters
    ----------
    chosen : callable
        Called with the number of the cell that somebody clicks on.
    """

    def __init__(self, chosen: Callable[[int], None]) -> None:
        self._source = ColumnDataSource({name: [] for name in _COLUMNS})
        self._views: dict[str, CDSView] = {}
        self.figures: dict[str, figure] = {}

        def tapped(_name: str, _old: list[int], new: list[int]) -> None:
            if new:
                chosen(new[0])

        self._source.selected.on_change("indices", tapped)

    def show(self, cells: Sequence[Drawn], panels: Mapping[str, list[int]]) -> None:
        """Draw all cells.

        Parameters
        ----------
        cells : sequence of Drawn
        panels : mapping of str to list of int
            Numbers of the cells that each panel shows; there have to be figures for all.
        """
        self.unselect()
        values = [cell.values() for cell in cells]
        for view in self._views.values():
            view.filter.indices = []  # never more than the source holds, also between two messages
        self._source.data = {name: [value[name] for value in values] for name in _COLUMNS}
        for name, view in self._views.items():
            view.filter.indices = panels.get(name, [])

    def patch(self, cells: Mapping[int, Drawn]) -> None:
        """Draw some cells anew, by number."""
        if cells:
            values = {row: cell.values() for row, cell in cells.items()}
            self._source.patch(
                {name: [(row, one[name]) for row, one in values.items()] for name in _CHANGING}
            )

    def unselect(self) -> None:
        """Take the frame from the cell that was clicked on."""
        self._source.selected.indices = []

    def add(self, name: str, title: str, across: int, ticks: list[int]) -> figure:
        """Add a panel.

        Parameters
        ----------
        name, title : str
        across : int
            Cells in a row, from x = 1.
        ticks : list of int
            Labelled columns.
        """
        fig = _panel(title, across)
        fig.xaxis.ticker = FixedTicker(ticks=ticks)
        view = CDSView(filter=IndexFilter([]))
        given = {"source": self._source, "view": view}
        for bottom, top, color in (("low", "middle", "good"), ("middle", "high", "wrong")):
            fig.vbar("x", _SIZE, top, bottom, fill_color=color, line_color=None, **given)
        target = fig.rect(
            "x", "y", _SIZE, _SIZE, fill_alpha=0, line_color="edge", line_width="width",
            nonselection_fill_alpha=0, nonselection_line_alpha=1, nonselection_line_color="edge",
            selection_fill_alpha=0, selection_line_color=INK, selection_line_width=2.5, **given,
        )  # fmt: skip
        fig.add_tools(
            HoverTool(renderers=[target], tooltips=_TOOLTIP, point_policy="follow_mouse"),
            TapTool(renderers=[target]),
        )
        self._views[name], self.figures[name] = view, fig
        return fig


def _panel(title: str, across: int) -> figure:
    fig = figure(
        title=title,
        height=80,
        sizing_mode="stretch_width",
        x_range=Range1d(0.4, across + 0.6),
        y_range=Range1d(0.5, -0.5),
        tools="",
        toolbar_location=None,
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        min_border_right=2,
        min_border_left=34,
    )
    fig.grid.visible = False
    fig.title.text_font, fig.title.text_font_size, fig.title.text_color = FONT, "13px", INK
    fig.axis.axis_line_color = fig.axis.major_tick_line_color = fig.axis.minor_tick_line_color = None
    fig.axis.major_label_text_color = SOFT
    fig.axis.major_label_text_font = FONT
    fig.axis.major_label_text_font_size = "10px"
    return fig
