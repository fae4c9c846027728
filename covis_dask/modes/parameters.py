"""Parameters of the mode programs: presets, profiles, and overrides by key, file or command line.

The values are those of docs/method.md#default-parameters; each can be changed by its dotted key, such as
``filter.bw`` or ``grids.intensity.dx``.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from covis_dask.modes._groups import GridSpec, Parameters, Span
from covis_dask.modes._overrides import apply, load, parse, valid_keys, values
from covis_dask.modes._presets import DEFAULT_PRESET, PRESETS, PROFILES, PROGRAM_PRESETS, defaults

__all__ = [
    "DEFAULT_PRESET",
    "PRESETS",
    "PROFILES",
    "PROGRAM_PRESETS",
    "GridSpec",
    "Parameters",
    "Span",
    "load_overrides",
    "parameters_for",
    "parse_set",
    "valid_keys",
    "with_family",
]


def parameters_for(
    family: str,
    site: str,
    *,
    preset: str | None = None,
    profile: str = "matlab",
    fixes: Iterable[str] = (),
    overrides: Mapping[str, Any] | None = None,
) -> Parameters:
    """Return the parameters of a family of modes at a site.

    Parameters
    ----------
    family : str
        ``imaging``, ``diffuse``, ``doppler``, ``bathy`` or ``fullimaging``.
    site : {"Endeavour", "Ashes"}
    preset : {"END", "PP2", "PP3", "PPX"}, optional
        The default of docs/method.md#presets when not given.
    profile : {"matlab", "corrected"}
        The original's numbers, or its documented faults mended.
    fixes : iterable of str, optional
        Quirks to mend in profile ``matlab``, such as ``Q11``; those that do not touch these runs are
        left out.
    overrides : mapping of str to value, optional
        Dotted keys to new values; a key ``type`` must equal the mode's own.

    Raises
    ------
    ConfigurationError
        No such mode, preset, profile or fix; unknown key (the nearest valid one is named), wrong type,
        impossible value.
    """
    return apply(defaults(family, site, preset, profile, fixes), overrides or {})


def load_overrides(path: Path | str) -> dict[str, Any]:
    """Read overrides from a YAML or JSON file: ours, or one of the original's parameter files.

    Parameters
    ----------
    path : Path or str

    Returns
    -------
    dict
        Dotted keys to values, for `parameters_for`.

    Raises
    ------
    ConfigurationError
        When the file cannot be read, or holds no keys and values.
    """
    return load(Path(path))


def parse_set(text: str) -> tuple[str, Any]:
    """Read one ``key=value`` of the command line.

    Raises
    ------
    ConfigurationError
        When the text is not of that form.
    """
    return parse(text)


def with_family(parameters: Parameters, family: str) -> Parameters:
    """Return the parameters of another family, with the same preset, profile, fixes and changed values.

    A run of Endeavour may turn out to be of another kind than its name says (docs/method.md#dispatch).

    Parameters
    ----------
    parameters : Parameters
        Of a run of Endeavour.
    family : str

    Raises
    ------
    ConfigurationError
        When there are no parameters for that family.
    """
    site = "Endeavour" if parameters.era == "END" else "Ashes"
    how = (site, parameters.preset, parameters.profile, parameters.fixed)
    made, before = defaults(family, *how), values(defaults(parameters.family, *how))
    known = set(valid_keys(made))
    changed = {
        key: value
        for key, value in values(parameters).items()
        if key in known and key in before and value != before[key]
    }
    return apply(made, changed)
