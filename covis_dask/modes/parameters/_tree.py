"""All parameters of a mode program, in one frozen value."""

# ruff: noqa: RUF009 (the defaults are frozen values)

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from catalog.vocabulary import Site
from covis_dask.modes.fixes import Fixes, fixes_of
from covis_dask.modes.parameters._grid import GridSpec
from covis_dask.modes.parameters._instrument import (
    Attitude,
    Beamformer,
    Calibrate,
    Header,
    Position,
    Water,
)
from covis_dask.modes.parameters._processing import (
    Averaging,
    Bathy,
    Bounds,
    Bursts,
    Correlation,
    Filter,
    Noise,
    Oscfar,
    Phase,
    PingCombination,
    Seafloor,
)

__all__ = ["Parameters"]

_ERAS: dict[str, Literal["END", "ASHES"]] = {Site.ENDEAVOUR: "END", Site.ASHES: "ASHES"}


@dataclass(frozen=True, slots=True)
class Parameters:
    """Everything a mode program may be told; made by `covis_dask.modes.registry.parameters_for`.

    Values a mode never reads are present all the same, so that programs need no `None` checks; `unused` names
    them.

    Parameters
    ----------
    family : str
        Of modes, such as ``imaging``.
    site : str
        ``Endeavour`` or ``Ashes``.
    preset : str
        Version of the original that is followed, such as ``PP2`` (docs/method.md#presets).
    profile : str
        ``matlab`` or ``corrected`` (docs/method.md#profiles).
    fixed : tuple of str
        Quirks that are mended one by one, in profile ``matlab``: those that touch these runs.
    grids : tuple of GridSpec
        In the original's order.
    precision : str
        Of the beams: ``float64``, or the faster ``float32``; filter, sums and grids are float64 in both.
    imaging : Parameters, optional
        Full-range runs are processed twice: these are the settings of the imaging pass.
    own : object, optional
        Further settings of one mode: a frozen dataclass of numbers and words, set as ``own.NAME``.
    mode_version : str
        Version of a mode from outside this package, so that its fingerprints change with it. The modes of
        the package itself have none: their numbers go with the engine's version.
    unused : tuple of str
        Keys, or first parts of keys, without effect on this mode and preset.
    """

    family: str
    site: str
    preset: str
    profile: Literal["matlab", "corrected"]
    grids: tuple[GridSpec, ...]
    precision: Literal["float64", "float32"] = "float64"
    position: Position = Position()
    attitude: Attitude = Attitude()
    header: Header = Header()
    beamformer: Beamformer = Beamformer()
    calibrate: Calibrate = Calibrate()
    filter: Filter = Filter()
    phase: Phase = Phase()
    ping_combination: PingCombination = PingCombination()
    correlation: Correlation = Correlation()
    averaging: Averaging = Averaging()
    noise: Noise = Noise()
    oscfar: Oscfar = Oscfar()
    bounds: Bounds = Bounds()
    bursts: Bursts = Bursts()
    water: Water = Water()
    seafloor: Seafloor = Seafloor()
    bathy: Bathy = Bathy()
    imaging: "Parameters | None" = None
    own: Any = None
    mode_version: str = ""
    unused: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()

    @property
    def fixes(self) -> Fixes:
        """What is mended of the original's quirks."""
        return fixes_of(self.profile, self.fixed)

    @property
    def era(self) -> Literal["END", "ASHES"]:
        """Era of the instrument: ``END`` (2010-15, Endeavour) or ``ASHES`` (2018+)."""
        return _ERAS[self.site]

    def grid(self, name: str) -> GridSpec:
        """Return the grid of that type or name.

        Raises
        ------
        KeyError
            When there is none.
        """
        wanted = name.replace(" ", "_").replace("-", "_")
        for spec in self.grids:
            if spec.name == wanted:
                return spec
        raise KeyError(name)

    def is_unused(self, key: str) -> bool:
        """Say whether a dotted key has no effect on this mode and preset."""
        return any(key == word or key.startswith(word + ".") for word in self.unused)

    def to_dict(self) -> dict[str, Any]:
        """Return plain nested values that JSON can hold, the same for equal parameters."""
        document = {item.name: getattr(self, item.name) for item in fields(self)}
        if fixed := document.pop("fixed"):
            document["fixes"] = list(fixed)
        # What is later than the fingerprints of existing products must not change them.
        del document["site"]  # decides nothing that the other values do not show
        for name in ("own", "mode_version"):
            if not document[name]:
                del document[name]
        for name, value in document.items():
            if isinstance(value, Parameters):
                document[name] = value.to_dict()
            elif name == "grids":
                document[name] = [asdict(spec) for spec in value]
            elif name == "unused":
                document[name] = list(value)
            elif hasattr(value, "__dataclass_fields__"):
                document[name] = asdict(value)
        return document
