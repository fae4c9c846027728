"""The parts of a status as HTML, the same for the dashboard and the notebook."""

from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from dask.utils import format_bytes

from covis_dask.monitor.status import STATES
from covis_dask.monitor.terminal import duration

__all__ = ["css", "section"]


def _about(seconds: float | None) -> str:
    return "too early to tell" if seconds is None else f"about {duration(seconds)}"


def _bytes(size: float) -> str:
    return format_bytes(int(size))


@cache
def _templates() -> Any:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("covis_dask", "templates"),
        autoescape=True,
        trim_blocks=True,
        undefined=jinja2.ChainableUndefined,
    )
    environment.globals["states"] = STATES
    environment.filters |= {
        "bytes": _bytes,
        "duration": duration,
        "about": _about,
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
    return (files("covis_dask") / "templates" / "status.css").read_text("utf-8")
