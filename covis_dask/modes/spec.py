"""What is known of a mode: one frozen value per site and family, from which everything else is derived.

A mode program turns the pings of a run into a dataset. All that the rest of the package must know of it (its
presets and their values, what its variables are called, who draws it, how the sonar is set for it) stands in
its `ModeSpec`; nothing is imported for that but this module and the parameters, so that command lines answer
at once.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from covis_dask.modes.fixes import Fixes
from covis_dask.modes.parameters import Parameters

__all__ = ["KEYWORDS", "Acquisition", "GridDescription", "ModeSpec", "VariableDescription", "load_object"]


KEYWORDS = (
    "EARTH SCIENCE > OCEANS > MARINE VOLCANISM > HYDROTHERMAL VENTS",
    "EARTH SCIENCE > OCEANS > OCEAN ACOUSTICS > ACOUSTIC SCATTERING",
)
"""GCMD Science Keywords of all products of hydrothermal vents."""


def load_object(dotted: str) -> Any:
    """Import what a dotted name ``package.module:name`` stands for."""
    module, _, name = dotted.partition(":")
    return getattr(import_module(module), name)


def _unchanged(parameters: Parameters, _: Fixes) -> Parameters:
    """Change nothing."""
    return parameters


@dataclass(frozen=True, slots=True)
class VariableDescription:
    """What a variable of a product is; the mode program gives the values.

    Parameters
    ----------
    name : str
        Descriptive name in snake_case.
    original_name : str
        The original's name of it, as users of its products know it; unique within a mode.
    long_name : str
        For axis labels and legends.
    units : str
        For udunits: ``m-1``, ``cm s-1``, ``1``.
    standard_name : str, optional
        Of the CF table, where there is one.
    dims : tuple of str
        Of a variable that is on no grid, such as ``("ping_of_burst", "burst")``.
    relative : bool
        Whether values are relative to the largest one of their run, and so not to be compared between runs.
    """

    name: str
    original_name: str
    long_name: str
    units: str
    standard_name: str | None = None
    dims: tuple[str, ...] = ()
    relative: bool = False


@dataclass(frozen=True, slots=True)
class GridDescription:
    """One product grid, and the variables on it.

    Parameters
    ----------
    type : str
        In the original's words, such as ``doppler velocity``.
    variables : tuple of VariableDescription
        In the order in which the product has them.
    prefix : str
        With which, and an underscore, the original names begin; empty where the mode has one such grid.
    part : str
        Variable of Matlab files in whose structure it stands.
    keeps_gaps : bool
        Whether cells without samples stay NaN in Matlab files, as in the original's bathymetry; else 0.
    """

    type: str
    variables: tuple[VariableDescription, ...]
    prefix: str = ""
    part: str = "covis"
    keeps_gaps: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquisition:
    """How the sonar is set for a mode, and a small sweep of it; simulated runs are made from this.

    Parameters
    ----------
    pitches : tuple of float
        First and last sensor pitch and step, degrees.
    pings : int
        Per burst.
    interval : float
        Between pings, s.
    samples : int
        Per ping.
    frequency : float
        Transmit frequency, Hz.
    channels : int
        Elements recorded, the transmit monitor included.
    pulse_length : float
        s.
    power, gain : float
        Settings of source level and receiver gain, dB.
    sector : float
        Beams reach from minus this to plus this azimuth, degrees.
    vertical_width : float
        Of the beams, degrees.
    max_ping_rate : float
        In the headers, Hz.
    """

    pitches: tuple[float, float, float]
    pings: int
    interval: float
    samples: int
    frequency: float = 396_000.0
    channels: int = 256
    pulse_length: float = 0.0005
    power: float = 220.0
    gain: float = 53.0
    sector: float
    vertical_width: float
    max_ping_rate: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeSpec:
    """A kind of run, by site and family of modes.

    Parameters
    ----------
    site : str
        A member of `catalog.vocabulary.Site`, or its word.
    family : str
        Word by which the mode is chosen; the mode words of its runs begin with the same three letters. A
        member of `catalog.vocabulary.Family`, or a word that is none: the specs are open, the enumeration
        is not. A member equals its word, so that either finds the spec.
    title : str
        For headings: ``Plume imaging``.
    summary : str
        What its products hold, for their attribute `summary`.
    keywords : tuple of str
        GCMD Science Keywords of its products.
    presets : tuple of str
        Versions of the original that the program can follow; the words are free.
    default_preset : str
        Used unless another is named.
    defaults : callable
        Takes a preset, returns its parameters in the profile ``matlab``.
    mended : callable
        Takes these and what is mended, returns the parameters that go with it.
    reads : tuple of str
        Keys, or first parts of keys, that the program reads, of those that not every program reads.
    reads_when_mended : tuple of (str, str)
        Switches of `Fixes`, and the keys that are read only where they are on.
    original_type : str, optional
        What the original's parameter files call the mode, where that is not the family.
    program : str
        ``module:function``; the function takes a `RawSweep`, `Parameters` and a `Context`.
    grids : tuple of GridDescription
    arrays : tuple of VariableDescription
        Variables of its own that are on no grid.
    notes : tuple of str
        What every user of its products must know.
    needs_seafloor : bool
        Whether the numbers depend on a seafloor grid, which then is part of the fingerprint.
    shows_seafloor : bool
        Whether quick looks show the seafloor grid where the product has none of its own.
    quicklook : str
        ``module:function``; the function takes a `Sheet` and the finished dataset.
    second_level : str, optional
        ``module:function`` that makes second-level quantities: it takes the finished dataset and the
        section ``covis.science`` of the configuration.
    acquisition : Acquisition, optional
        Without it no runs of the mode can be simulated by its name alone.
    version : str
        Of a mode from outside this package; a new one makes its products stale.
    """

    site: str
    family: str
    title: str
    summary: str
    keywords: tuple[str, ...]
    presets: tuple[str, ...]
    default_preset: str
    defaults: Callable[[str], Parameters]
    mended: Callable[[Parameters, Fixes], Parameters] = _unchanged
    reads: tuple[str, ...] = ()
    reads_when_mended: tuple[tuple[str, str], ...] = ()
    original_type: str | None = None
    program: str
    grids: tuple[GridDescription, ...]
    arrays: tuple[VariableDescription, ...] = ()
    notes: tuple[str, ...] = ()
    needs_seafloor: bool = False
    shows_seafloor: bool = False
    quicklook: str
    second_level: str | None = None
    acquisition: Acquisition | None = None
    version: str = ""

    def __post_init__(self) -> None:
        for name in ("site", "family"):  # plain words: they go into documents and attributes
            object.__setattr__(self, name, str(getattr(self, name)))
        if self.default_preset not in self.presets:
            raise ValueError(f"{self}: the default preset {self.default_preset} is none of {self.presets}")
        names = [described.original_name for described in self._every()]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"{self}: the original name {min(twice)!r} stands for two variables")

    def __str__(self) -> str:
        return f"{self.site} {self.family}"

    def _every(self) -> Iterator[VariableDescription]:
        for grid in self.grids:
            yield from grid.variables
        yield from self.arrays

    @property
    def variables(self) -> Mapping[str, VariableDescription]:
        """Variables of its own by original name, in the order in which the product has them."""
        return {described.original_name: described for described in self._every()}

    def described(self, original_name: str) -> VariableDescription:
        """Return what is known of a variable.

        Raises
        ------
        KeyError
            When the mode has none of that original name.
        """
        try:
            return self.variables[original_name]
        except KeyError:
            raise KeyError(
                f"{self} products have no variable {original_name!r}: their spec must list it"
            ) from None
