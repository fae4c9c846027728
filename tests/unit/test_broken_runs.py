"""Runs with any faults, of every mode, through reader and engine: a typed error, or the numbers of the rest.

Each drawn run is compared with its reference: the same run without the files of the pings that the
specification calls bad. Both keep their rows of index.csv, so the documented effects of a missing ping
(attitude of a burst Q15, factor of the scintillation index Q16, energy of a lonely ping Q17, NaN of a plain
mean Q31) are the same in both.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from covis_dask.errors import InputError, NoValidPings, SweepIncomplete
from covis_dask.modes.parameters import Parameters
from covis_dask.simulate.faults import PING_FAULTS, RUN_FAULTS, break_run
from tests.unit._small_runs import MODES, Members, Mode, gridded, in_folder, in_tar, process, reworded

EXAMPLES = 20

UNUSABLE: dict[str, Any] = {
    "words": {"gain_sel": "loud"},
    "list": {"power_sel": [220]},
    "truth": {"pulse_width": True},
    "missing key": {"sound_speed": ...},
    "not a number": {"xmit_freq": float("nan")},
    "infinite": {"max_ping_rate": float("inf")},
    "huge": {"sound_speed": 10**400},
    "another rate": {"sample_rate": 48000.0},
    "no sound": {"sound_speed": 0},
    "slow sound": {"sound_speed": 1e-9},
    "no pulse": {"pulse_width": -1.0},
    "odd frequency": {"xmit_freq": 123.0},
    "loud": {"gain_sel": 1e11},
    "hasty": {"max_ping_rate": 1e308},
}
"""Headers that 2018+ passes over for the next one, and that make a bad ping in 2010-15."""

IMPOSSIBLE: dict[str, Any] = {
    "long pulse": {"pulse_width": 0.05},
}
"""Headers in order but for a number that cannot be: a 2018+ run chooses its first usable one all the same."""

NO_HEADER = {
    "no JSON": b"{",
    "no object": b"[1, 2]",
    "no hdr": b'{"header": {}}',
    "empty": b"",
    "bytes": b"\xff\xfe\0",
}

BAD_FILE = {"empty_bin", "header_only_bin", "truncated_bin", "garbage_bin", "wrong_channels"}

PING_KINDS = sorted({*PING_FAULTS, *UNUSABLE, *IMPOSSIBLE, *NO_HEADER, "garbled_row"} - {"clock_back"})


@dataclass
class Drawn:
    """Faults by ping number, and how the files are packed."""

    faults: dict[int, str]
    order: int
    twice: list[int] = field(default_factory=list)


@st.composite
def drawn(draw: st.DrawFn, mode: Mode) -> Drawn:
    """Draw faults of some pings, an order of the files, and pings whose files come twice."""
    numbers = st.sampled_from(mode.numbers)
    return Drawn(
        draw(st.dictionaries(numbers, st.sampled_from(PING_KINDS), max_size=len(mode.numbers))),
        draw(st.integers(0, 2**16)),
        draw(st.lists(numbers, max_size=2, unique=True)),
    )


def _damage(members: Members, number: int, kind: str) -> None:
    """Put one fault into a run."""
    head = f"rec_7000_{number:06d}.json"
    if kind in PING_FAULTS:
        break_run(members, [f"{kind}:{number}"])
    elif kind in NO_HEADER:
        members[head] = NO_HEADER[kind]
    elif kind == "garbled_row":
        lines = members["index.csv"].split(b"\n")
        garbled = [b"%d,soon,0,nan" % number if line.startswith(b"%d," % number) else line for line in lines]
        members["index.csv"] = b"\n".join(garbled)
    else:
        members[head] = reworded(members[head], **{**UNUSABLE, **IMPOSSIBLE}[kind])


def _left_out(mode: Mode, faults: dict[int, str]) -> tuple[set[int], set[int], set[int]]:
    """Return the pings that are bad, those without .bin, those without a row, as the method has it.

    See docs/method.md#bad-and-missing-pings.
    """
    of_kind = {kind: {n for n, found in faults.items() if found == kind} for kind in PING_KINDS}
    unlisted, wild = of_kind["missing_row"] | of_kind["garbled_row"], of_kind["wild_row"]
    missing = of_kind["missing_bin"]
    bad = {n for n, kind in faults.items() if kind in BAD_FILE}
    # The first complete ping sets the length (Q21): should it be the odd one, the others are bad.
    complete = [n for n in mode.numbers if n not in bad | missing | unlisted | wild]
    for odd in (of_kind["other_samples"], of_kind["other_type"]):
        if complete:  # the type of its samples is the second thing looked at
            bad |= {n for n in complete if (n in odd) != (complete[0] in odd)}
    if mode.era == "END":  # every ping needs its own header (Q22)
        bad |= {
            n for n, kind in faults.items() if kind in {"missing_json", *UNUSABLE, *IMPOSSIBLE, *NO_HEADER}
        }
    return bad, missing, unlisted


def _pack(members: Members, order: int, twice: Iterable[int]) -> list[tuple[str, bytes]]:
    """Return the files in a shuffled order; of some records a damaged copy comes first, in vain."""
    names = sorted(members)
    files = [(names[i], members[names[i]]) for i in np.random.default_rng(order).permutation(len(names))]
    records = [name for number in twice if (name := f"rec_7038_{number:06d}.bin") in members]
    return [(name, members[name][:70]) for name in records] + files


def _outcome(mode: Mode, source: Any, parameters: Parameters) -> xr.Dataset | type[InputError]:
    """Return the product, or the kind of the error that says the data are at fault; all else goes through."""
    try:
        return process(mode, source, parameters)
    except InputError as error:
        return type(error)


def _same(got: xr.Dataset, want: xr.Dataset) -> None:
    """Compare grids, weights and axes, to the last bit."""
    left, right = gridded(got), gridded(want)
    assert left.keys() == right.keys()
    for name, values in left.items():
        np.testing.assert_array_equal(values, right[name], err_msg=name, strict=True)


def _first_usable_is_impossible(mode: Mode, faults: dict[int, str]) -> bool:
    """Tell whether the header that a 2018+ run goes by has an impossible number."""
    passed_over = {"missing_json", *UNUSABLE, *NO_HEADER}
    chosen = next((n for n in mode.numbers if faults.get(n) not in passed_over), None)
    # Where none of the pings has one, that of a ping fired while the head moves serves.
    first_spare = next((n for n in range(1, 1000) if n not in mode.numbers), None)
    if chosen is None or (first_spare is not None and first_spare < chosen):
        return False
    return mode.era != "END" and faults.get(chosen) in IMPOSSIBLE


@pytest.mark.parametrize("mode", MODES, ids=str)
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_broken_pings_leave_the_numbers_of_the_others(mode: Mode, data: st.DataObject) -> None:
    """4.0.2: whatever is wrong with some pings, the grids are those of the run without their files."""
    found = data.draw(drawn(mode))
    profile = data.draw(st.sampled_from(["matlab", "corrected"]))
    parameters = mode.parameters(profile, data.draw(st.sampled_from(mode.presets)))
    broken = mode.members
    for number, kind in found.faults.items():
        _damage(broken, number, kind)
    bad, missing, unlisted = _left_out(mode, found.faults)
    got = _outcome(mode, in_tar(mode, _pack(broken, found.order, found.twice)), parameters)
    if _first_usable_is_impossible(mode, found.faults):
        assert got in (NoValidPings, SweepIncomplete)
        return
    reference = mode.members
    for number, kind in found.faults.items():
        if number in unlisted or kind in {"other_samples", "other_type"}:
            _damage(reference, number, kind)
        if kind == "wild_row":  # a bad ping whose row is no reading
            _damage(reference, number, "missing_row")
            del reference[f"rec_7038_{number:06d}.bin"]
    # 2010-15 diffuse, matlab: rows and files must match (4.4), so the bad pings lose their rows as well.
    strict = (mode.era, mode.family, profile) == ("END", "diffuse", "matlab")
    if strict and (missing or unlisted):
        # Which of the two faults ends the run, a missing file or no valid ping at all, is open.
        assert got in (SweepIncomplete, NoValidPings)
        return
    for number in bad:
        if strict:
            _damage(reference, number, "missing_row")
        del reference[f"rec_7038_{number:06d}.bin"]
    for number in missing | unlisted:
        del reference[f"rec_7038_{number:06d}.bin"]
    want = _outcome(mode, in_folder(mode, reference), parameters)
    if isinstance(want, xr.Dataset):
        assert isinstance(got, xr.Dataset), got
        _same(got, want)
        _lists(mode, got, bad | {n for n, kind in found.faults.items() if kind == "wild_row"}, missing)
    else:
        assert got in (NoValidPings, SweepIncomplete)
        assert got == want or strict


def _lists(mode: Mode, got: xr.Dataset, bad: set[int], missing: set[int]) -> None:
    """Bad pings are listed and missing ones are not, as far as their burst is read at all."""
    told = set(got.attrs["bad_ping"])
    assert told <= bad
    if mode.family == "diffuse":
        assert told == bad
        assert set(got.attrs["missing_ping"]) == missing


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode.family in {"imaging", "bathy"}], ids=str)
@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_bad_ping_is_as_one_that_never_was(mode: Mode, data: st.DataObject) -> None:
    """Where a missing ping has no documented effect, the grids are those of the run without its row, too."""
    parameters = mode.parameters(data.draw(st.sampled_from(["matlab", "corrected"])))
    kinds = st.sampled_from(sorted({"missing_bin", *BAD_FILE}))
    faults = data.draw(st.dictionaries(st.sampled_from(mode.numbers), kinds, max_size=4))
    if any(len(burst - set(faults)) < 2 for burst in mode.bursts):
        return  # a burst with fewer rows than two is another matter
    broken, without = mode.members, mode.members
    for number, kind in faults.items():
        _damage(broken, number, kind)
        _damage(without, number, "missing_row")
        del without[f"rec_7038_{number:06d}.bin"]
    _same(
        process(mode, in_folder(mode, broken), parameters),
        process(mode, in_folder(mode, without), parameters),
    )


@pytest.mark.parametrize("profile", ["matlab", "corrected"])
@pytest.mark.parametrize("fault", RUN_FAULTS)
@pytest.mark.parametrize("mode", MODES, ids=str)
def test_a_run_that_lacks_a_kind_of_file_fails_with_a_sentence(mode: Mode, fault: str, profile: str) -> None:
    """4.0.2: without index.csv, sweep.json, any header or any record there is no product."""
    members = mode.members
    break_run(members, [fault])
    expected: type[InputError] = SweepIncomplete
    if fault == "no_bins" and (mode.era, mode.family, profile) != ("END", "diffuse", "matlab"):
        expected = NoValidPings
    if fault == "no_headers" and mode.era == "END":
        expected = NoValidPings
    with pytest.raises(expected):
        process(mode, in_tar(mode, sorted(members.items())), mode.parameters(profile))


@pytest.mark.parametrize(
    "index", [b"", b"\n\n", b"ping,seconds\n", b"\xff\xfe\0\0", b"1,2,3\n" * 3, b"nan," * 9]
)
@pytest.mark.parametrize("mode", MODES, ids=str)
def test_an_index_without_rows_fails_with_a_sentence(mode: Mode, index: bytes) -> None:
    """An index.csv in which no row is one ends the run as incomplete."""
    members = mode.members | {"index.csv": index}
    with pytest.raises(SweepIncomplete, match="no ping"):
        process(mode, in_folder(mode, members), mode.parameters("matlab"))


@pytest.mark.parametrize(
    "sweep", [b"", b"{", b"[]", b'{"mode": 7}', b'{"mode": null, "timestamp": "late"}', b"null"]
)
@pytest.mark.parametrize("mode", MODES, ids=str)
def test_an_odd_sweep_json_does_no_harm(mode: Mode, sweep: bytes) -> None:
    """Nothing but the presence of sweep.json is needed (2.3): where it is odd, the name tells the mode."""
    members = mode.members
    want = process(mode, in_folder(mode, members), mode.parameters("matlab"))
    got = process(mode, in_folder(mode, members | {"sweep.json": sweep}), mode.parameters("matlab"))
    _same(got, want)
    json.loads(got.attrs["sweep"])
