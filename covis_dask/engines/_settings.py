"""The section ``covis.matlab`` of the configuration: how the Matlab engine runs, and what its code knows."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import dask.config

from covis_dask.config.reading import read_section
from covis_dask.config.sections import MatlabSection

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
        section = read_section(MatlabSection, dask.config.get("covis.matlab"), "matlab")
        scratch = dask.config.get("covis.scratch")
        return cls(
            python=section.python,
            supported_modes={
                site.capitalize(): frozenset(family.lower() for family in families)
                for site, families in section.knows.items()
            },
            release=None if section.release is None else str(section.release),
            recycle=section.recycle,
            start_timeout=float(section.start_timeout),
            scratch=Path(os.fspath(scratch)) if scratch else None,
        )
