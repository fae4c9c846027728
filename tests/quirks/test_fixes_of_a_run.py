"""Fixes from the request to the product: which runs they touch, and what they do not."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from catalog.query import RunQuery
from covis_dask.batches.request import BatchRequest
from covis_dask.batches.single import ArchiveRequest, process_one
from covis_dask.errors import ConfigurationError
from covis_dask.modes import parameters_for, specs, with_family
from covis_dask.modes.fixes import named_fixes, profile_name
from covis_dask.modes.quirks import quirks
from covis_dask.simulate.faults import break_run
from covis_dask.simulate.pack import write_archive
from tests.unit._small_runs import MODES, Mode, in_folder, process

SWITCHES = tuple(one.id for one in quirks().values() if one.switch)
KINDS = [(spec.family, spec.site, preset) for spec in specs() for preset in spec.presets]


def _with_grids(mode: Mode, preset: str, **how: Any) -> Any:
    """Return parameters with the small grids of a mode."""
    small = mode.parameters("matlab", preset)
    overrides = {
        f"grids.{spec.name}.{key}": getattr(spec, key)
        for spec in small.grids
        for key in ("xmin", "xmax", "ymin", "ymax", "dx", "dy", "zmin", "zmax", "dz")
        if getattr(spec, key) is not None
    }
    if small.imaging is not None:
        overrides |= {
            f"imaging.grids.{spec.name}.{key}": getattr(spec, key)
            for spec in small.imaging.grids
            for key in ("xmin", "xmax", "ymin", "ymax", "dx", "dy", "zmin", "zmax", "dz")
        }
    return parameters_for(mode.family, mode.site, preset=preset, overrides=overrides, **how)


@pytest.mark.parametrize(
    ("mode", "preset"), [(mode, preset) for mode in MODES for preset in mode.presets], ids=str
)
def test_all_fixes_one_by_one_are_profile_corrected(mode: Mode, preset: str) -> None:
    """What touches a kind of run, all of it, gives the numbers of profile corrected to the last bit."""
    members = mode.members
    break_run(members, [f"truncated_bin:{mode.numbers[1]}"])
    one_by_one, corrected = (
        process(mode, in_folder(mode, members), _with_grids(mode, preset, **how))
        for how in ({"fixes": SWITCHES}, {"profile": "corrected"})
    )
    assert one_by_one.variables.keys() == corrected.variables.keys()
    for name, variable in corrected.variables.items():
        assert one_by_one[name].values.tobytes() == np.asarray(variable.values).tobytes(), name


@pytest.mark.parametrize(("family", "site", "preset"), KINDS)
def test_a_fix_that_does_not_touch_a_run_leaves_its_parameters(family: str, site: str, preset: str) -> None:
    """Its parameters, and so its fingerprint, are those without the fix; others name what is mended."""
    plain = parameters_for(family, site, preset=preset)
    assert "fixes" not in plain.to_dict()
    for one in SWITCHES:
        made = parameters_for(family, site, preset=preset, fixes=[one])
        if quirks()[one].applies_to(family, site, preset):
            assert made.to_dict()["fixes"] == [one]
            assert made.profile == "matlab"
        else:
            assert made == plain


@pytest.mark.parametrize(
    ("site", "fix", "key"),
    [
        ("Ashes", "Q5", "bursts.tolerance"),
        ("Endeavour", "Q56", "bursts.tolerance"),
        ("Endeavour", "Q13", "water.depth"),
    ],
)
def test_a_fix_reads_its_keys(site: str, fix: str, key: str) -> None:
    """What only a mended run reads has an effect with that fix, and with no other."""
    assert not parameters_for("imaging", site, fixes=[fix]).is_unused(key)
    others = [one for one in SWITCHES if one != fix]
    assert parameters_for("imaging", site, fixes=others).is_unused(key)


def test_profiles_do_not_list_fixes() -> None:
    """Profile corrected is a word of its own: its parameters are as they were before there were fixes."""
    assert "fixes" not in parameters_for("imaging", "Ashes", profile="corrected").to_dict()


def test_fixes_go_with_a_run_that_is_of_another_kind() -> None:
    """A run of Endeavour that turns out to be of another family keeps the fixes that touch it."""
    made = with_family(parameters_for("imaging", "Endeavour", fixes=["Q11", "Q19"]), "doppler")
    assert made.fixed == ("Q11",)


def _request(**keywords: Any) -> BatchRequest:
    return BatchRequest(query=RunQuery(modes=frozenset({"imaging"})), **keywords)


def test_fixes_are_named_once_and_by_number() -> None:
    """However they are written, fixes stand once, in the order of their numbers."""
    assert _request(fixes=("q29", "Q4", " Q11", "Q4")).fixes == ("Q4", "Q11", "Q29")
    assert profile_name("matlab", ("Q4", "Q11")) == "matlab+Q4+Q11"
    assert profile_name("matlab", ()) == "matlab"


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("Q99", "there is no such quirk"),
        ("roll", "there is no such quirk"),
        ("Q20", r"burst loops, 2018\+\) has no switch. It is mended in every profile"),
        ("Q41", "has no switch. It is a note"),
        ("Q36", "what is made from products"),
        ("Q9", "nobody knows yet how to mend"),
    ],
)
def test_what_cannot_be_mended_is_refused(word: str, sentence: str) -> None:
    """A quirk that is none, or has no switch, is refused with what it is and what there is instead."""
    with pytest.raises(ConfigurationError, match=sentence) as caught:
        _request(fixes=(word,))
    assert "Those that --fix takes are Q1, Q2, " in str(caught.value)


def test_profile_corrected_takes_no_fixes() -> None:
    """A fix beside profile corrected is refused: it is mended already."""
    with pytest.raises(ConfigurationError, match="Profile corrected mends Q11 with everything else"):
        named_fixes(["Q11"], "corrected")


def test_product_says_what_was_mended(tmp_path: Path) -> None:
    """A single fix is in the manifest, the attributes and the fingerprint; an idle one in the notes."""
    mode = MODES[0]
    archive = tmp_path / f"{mode.basename}.tar"
    write_archive(mode.members, archive, folder=mode.spec.folder)
    small = {f"grids.0.d{axis}": 2.0 for axis in "xyz"}
    notes, manifests = [], []
    for name, fixes in (("plain", ()), ("mended", ("Q6", "Q33"))):
        request = ArchiveRequest(output=str(tmp_path / name), fixes=fixes, overrides=small)
        outcome, said = process_one(str(archive), request)
        assert outcome.state == "done"
        notes.append(said)
        manifests.append(_manifest(tmp_path / name))
    assert notes == [(), ("--fix Q33 has no effect on imaging runs of Endeavour (preset END)",)]
    plain, mended = manifests
    assert "fixes" not in plain["parameters"]
    assert mended["parameters"]["fixes"] == ["Q6"]
    assert plain["fingerprint"] != mended["fingerprint"]
    attributes = _attributes(tmp_path / "mended")
    assert (attributes["profile"], attributes["fixes"]) == ("matlab", "Q6")
    assert "profile matlab+Q6," in attributes["history"]
    assert attributes["bursts_used"] == _attributes(tmp_path / "plain")["bursts_used"] + 1


def _manifest(folder: Path) -> dict[str, Any]:
    import json

    (path,) = folder.rglob("metadata.json")
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def _attributes(folder: Path) -> dict[Any, Any]:
    import xarray as xr

    (path,) = folder.rglob("*.nc")
    with xr.open_dataset(path) as ds:
        return dict(ds.attrs)
