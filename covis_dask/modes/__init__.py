"""Mode programs: what is done with a run of each kind, by era (docs/method.md#modes).

A program takes a `RawSweep`, `Parameters` and a `Context` and returns a dataset. It is imported when it is
first asked for. What else is known of a mode stands in its `ModeSpec` (docs/adding-a-mode.md).
"""

from covis_dask.modes.registry import (
    PRESETS,
    PROFILES,
    ModeSpec,
    Program,
    find_spec,
    known_presets,
    parameters_for,
    program,
    spec_for,
    specs,
    with_family,
)

__all__ = [
    "PRESETS",
    "PROFILES",
    "ModeSpec",
    "Program",
    "find_spec",
    "known_presets",
    "parameters_for",
    "program",
    "spec_for",
    "specs",
    "with_family",
]
