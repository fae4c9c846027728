"""The parts of a status as HTML, the same for the dashboard and the notebook."""

import datetime as dt
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from dask.utils import format_bytes

from covis_dask.batches.durations import duration
from covis_dask.batches.status import STATES
from covis_dask.monitor.terminal import to_go

__all__ = ["css", "section"]

_FEW_WORKERS = 12  # more than these get a line each rather than a card
_MOST_WORKERS = 100


def _until(seconds: float) -> str:
    """Say when that will be: the time of day, and the day where it is not today."""
    now = dt.datetime.now(dt.UTC)
    then = now + dt.timedelta(seconds=seconds)
    day = "" if then.date() == now.date() else f"{then:%a} {then.day} {then:%b} "
    return f"{day}{then:%H:%M} UTC"


def _percent(part: int, whole: int) -> str:
    """Write a share; 100 % only when nothing is left, and 0 % only when nothing is done."""
    share = 100 * part / max(whole, 1)
    if 0 < part < whole:
        share = min(max(share, 0.1), 99.9)
    return f"{share:.1f} %" if 0 < share < 10 or 99 < share < 100 else f"{share:.0f} %"


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _bytes(size: float) -> str:
    return format_bytes(int(size))


@cache
def _templates() -> Any:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("covis_dask.monitor.page"),
        autoescape=True,
        trim_blocks=True,
        undefined=jinja2.ChainableUndefined,
    )
    environment.globals |= {"states": STATES, "few": _FEW_WORKERS, "most": _MOST_WORKERS}
    environment.filters |= {
        "bytes": _bytes,
        "duration": duration,
        "to_go": to_go,
        "until": _until,
        "percent": _percent,
        "count": _count,
    }
    return environment.get_template("status.html.j2").make_module()


def section(name: str, *values: Any) -> str:
    """Draw one part.

    Parameters
    ----------
    name : str
        A macro of ``status.html.j2``.
    *values
        Its arguments.
    """
    return str(getattr(_templates(), name)(*values))


@cache
def css() -> str:
    """Return the style sheet of all parts."""
    return (files("covis_dask.monitor.page") / "templates" / "status.css").read_text("utf-8")
