"""The section ``covis.matlab`` of the configuration: how the Matlab engine runs, and what its code knows."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask.config
from dask.utils import parse_timedelta

import covis_dask.config  # noqa: F401 (brings the defaults)
from covis_dask.errors import ConfigurationError

__all__ = ["MatlabSettings"]


@dataclass(frozen=True, slots=True)
class MatlabSettings:
    """Settings of the Matlab engine.

    Parameters
    ----------
    python : str
        The image's own Python.
    supported_modes : mapping of str to frozenset of str
        Mode families by site for which the image's code has programs.
    release : str, optional
        Release of that code; part of the engine's version, and checked against what the code says of itself.
    recycle : int
        Runs after which a runner is replaced.
    start_timeout : float
        Longest time the runtime may take to open, s.
    scratch : Path, optional
        Where a runner has its folder.
    """

    python: str
    supported_modes: Mapping[str, frozenset[str]]
    release: str | None
    recycle: int
    start_timeout: float
    scratch: Path | None

    @classmethod
    def load(cls) -> "MatlabSettings":
        """Read the settings in force.

        Raises
        ------
        ConfigurationError
            With the key and what it may be.
        """
        section: Mapping[str, Any] = dask.config.get("covis.matlab")
        knows = section["knows"]
        if not isinstance(knows, Mapping) or not all(isinstance(v, list) for v in knows.values()):
            raise ConfigurationError(
                "covis.matlab.knows must list mode families by site, as in {Ashes: [imaging, diffuse, bathy]}"
            )
        recycle = section["recycle"]
        if not isinstance(recycle, int) or isinstance(recycle, bool) or recycle < 1:
            raise ConfigurationError(f"covis.matlab.recycle: {recycle!r} must be a whole number, at least 1")
        try:
            start = float(parse_timedelta(section["start-timeout"], default="s"))
        except (KeyError, TypeError, ValueError):
            raise ConfigurationError(
                f"covis.matlab.start-timeout: {section['start-timeout']!r} is no length of time; write 5m"
            ) from None
        scratch = dask.config.get("covis.scratch")
        release = section["release"]
        return cls(
            python=str(section["python"]),
            supported_modes={
                str(site).capitalize(): frozenset(str(family).lower() for family in families)
                for site, families in knows.items()
            },
            release=None if release is None else str(release),
            recycle=recycle,
            start_timeout=start,
            scratch=Path(os.fspath(scratch)) if scratch else None,
        )
