"""The registry: what each mode says of itself holds, and nobody guesses about a mode that is not there."""

from collections.abc import Callable
from typing import Any

import pytest
import xarray as xr

from covis_dask.errors import ConfigurationError, ModeUnsupported
from covis_dask.modes import find_spec, parameters_for, program, spec_for, specs
from covis_dask.modes.spec import ModeSpec, load_object
from covis_dask.products.metadata import finish_dataset
from covis_dask.products.quicklook import quicklook
from covis_dask.simulate.instrument import instrument
from tests.unit._datasets import ASHES, bathy, facts


@pytest.mark.parametrize("spec", specs(), ids=str)
def test_what_a_spec_names_is_there(spec: ModeSpec) -> None:
    """Program and quick look can be loaded, and every grid of every preset is described."""
    assert callable(load_object(spec.program))
    assert callable(load_object(spec.quicklook))
    described = {grid.type for grid in spec.grids}
    for preset in spec.presets:
        made = parameters_for(spec.family, spec.site, preset=preset)
        assert {grid.type for grid in made.grids} <= described
        assert (made.family, made.site, made.preset) == (spec.family, spec.site, preset)


def test_sites_and_families_are_found_as_words() -> None:
    """Members of the catalogue's enumerations and their words find the same spec, which holds plain words."""
    spec = spec_for("Ashes", "imaging")
    assert find_spec("Ashes", "imaging") is spec
    assert (type(spec.site), type(spec.family)) == (str, str)


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (ModeUnsupported, lambda: spec_for("Ashes", "survey")),
        (ModeUnsupported, lambda: spec_for("Endeavour", "bathy")),
        (ConfigurationError, lambda: parameters_for("survey", "Ashes")),
        (ModeUnsupported, lambda: instrument("ASHES", "survey")),
        (
            ModeUnsupported,
            lambda: finish_dataset(bathy(8).assign_attrs(mode="survey"), facts(ASHES["bathy"])),
        ),
        (
            ModeUnsupported,
            lambda: quicklook(xr.Dataset(attrs={"site": "Ashes", "mode_family": "survey"}), "none.png"),
        ),
    ],
)
def test_an_unknown_mode_is_refused(error: type[Exception], asked: Callable[[], Any]) -> None:
    """No room takes a mode that it does not know for another one; the modes there are are listed."""
    with pytest.raises(error, match="Ashes imaging"):
        asked()
    assert program("survey", "Ashes") is None
