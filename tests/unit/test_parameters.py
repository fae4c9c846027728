"""Parameters: presets, profiles, overrides by key and file, and what is refused.

See docs/method.md#presets, #default-parameters.
"""

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from covis_dask.errors import ConfigurationError
from covis_dask.modes import PRESETS, parameters_for, program, spec_for, specs, with_family
from covis_dask.modes.parameters import load_overrides, parse_set, valid_keys

KINDS = [(spec.site, spec.family) for spec in specs()]
EVERY = [(spec.site, spec.family, preset) for spec in specs() for preset in spec.presets]

ORIGINALS = {
    "inputs/covis_image.json": ("imaging", "Ashes"),
    "inputs/covis_diffuse.json": ("diffuse", "Ashes"),
    "inputs/covis_bathy.json": ("bathy", "Ashes"),
    "inputs/era2010/covis_image.json": ("imaging", "Endeavour"),
    "inputs/era2010/covis_diffuse.json": ("diffuse", "Endeavour"),
    "inputs/era2010/covis_doppler.json": ("doppler", "Endeavour"),
    "golden/2018_doppler/params.json": ("doppler", "Ashes"),
}


@pytest.mark.parametrize(
    ("family", "site", "preset", "expected"),
    [
        ("imaging", "Endeavour", None, ("END", 10, 62, 2, 4, (121, 161, 181))),
        ("imaging", "Ashes", None, ("PP2", -20, 62, 2, 1, (241, 241, 81))),
        ("imaging", "Ashes", "PP3", ("PP3", -10, 55, 2, 1, (241, 241, 81))),
        ("diffuse", "Endeavour", None, ("END", -90, 90, 4, 1, (61, 81))),
        ("diffuse", "Ashes", None, ("PP2", -90, 90, 2, 1, (121, 121))),
        ("doppler", "Endeavour", None, ("END", 21, 60, 4, 1, (61, 71, 101))),
        ("doppler", "Ashes", None, ("PPX", 0, 60, 4, 1, (121, 121, 41))),
        ("bathy", "Ashes", None, ("PP2", -60, 20, 4, 1, (121, 101))),
        ("fullimaging", "Ashes", None, ("PP3", -45, 10, 2, 1, (121, 121))),
    ],
)
def test_defaults_are_the_originals(
    family: str, site: str, preset: str | None, expected: tuple[Any, ...]
) -> None:
    """Preset, pitch bounds, filter and grid shape are those of docs/method.md#default-parameters."""
    made = parameters_for(family, site, preset=preset)
    spec = made.grids[0]
    shape = [round((spec.ymax - spec.ymin) / spec.dy) + 1, round((spec.xmax - spec.xmin) / spec.dx) + 1]
    if spec.zmin is not None and spec.zmax is not None and spec.dz is not None:
        shape.append(round((spec.zmax - spec.zmin) / spec.dz) + 1)
    bounds, lowpass = made.bounds.pitch, made.filter
    assert expected == (
        made.preset,
        bounds.start,
        bounds.stop,
        lowpass.bw,
        lowpass.decimation,
        tuple(shape),
    )


@pytest.mark.parametrize(
    ("family", "site", "preset", "floor", "threshold", "mode"),
    [
        ("imaging", "Ashes", "PP2", 0.1970, 50, "VSS"),
        ("imaging", "Ashes", "PP3", 0.1970, 0, "VSS"),
        ("diffuse", "Ashes", "PP2", 0.64, 45, "TS-Wide"),
        ("doppler", "Ashes", "PP3", 0.1970, 50, "VSS"),
        ("bathy", "Ashes", "PP2", 0.1970, 60, "TS-Fan"),
        ("fullimaging", "Ashes", "PP3", 0.1970, 90, "TS-Fan"),
        ("diffuse", "Endeavour", "END", 0.1970, 50, "TS"),
    ],
)
def test_noise_and_calibration(
    family: str, site: str, preset: str, floor: float, threshold: float, mode: str
) -> None:
    """Noise floor, SNR threshold and calibration mode are those of docs/method.md#default-parameters."""
    made = parameters_for(family, site, preset=preset)
    assert (made.noise.noise_floor, made.noise.snr_thresh) == (floor, threshold)
    assert made.calibrate.mode == mode


def test_phase_reference_by_preset() -> None:
    """PP2 compares channel 10 over 5 pulse lengths, the others the last channel over 3.

    See docs/method.md#phase-correction.
    """
    for site, family, preset in EVERY:
        phase = parameters_for(family, site, preset=preset).phase
        assert (phase.channel, phase.pulses) == ((9, 5) if preset == "PP2" else (-1, 3))


@pytest.mark.parametrize(("profile", "tlag"), [("matlab", 4), ("corrected", 2)])
def test_q27_lag_of_pp3_diffuse(profile: str, tlag: float) -> None:
    """PP3's diffuse lag is as long as its window; corrected takes 2 s (Q27)."""
    made = parameters_for("diffuse", "Ashes", preset="PP3", profile=profile)
    assert made.correlation.tlag == tlag
    assert parameters_for("diffuse", "Ashes", profile=profile).correlation.tlag == 2


@pytest.mark.parametrize("profile", ["matlab", "corrected"])
def test_profile_defaults(profile: str) -> None:
    """The corrected profile allows a wobble of the pitch and filters without delay (Q5, Q23, Q56)."""
    corrected = profile == "corrected"
    imaging = parameters_for("imaging", "Endeavour", profile=profile)
    diffuse = parameters_for("diffuse", "Endeavour", profile=profile)
    assert imaging.fixes.pitch_tolerance == corrected
    assert (imaging.bursts.tolerance > 0.1) == corrected
    assert not imaging.filter.zero_phase
    assert diffuse.filter.zero_phase == corrected
    assert ("water" in imaging.unused) == (not corrected)


def test_full_range_carries_its_imaging_pass() -> None:
    """A full-range run is processed twice; the settings of the imaging pass are PP3's and can be changed."""
    made = parameters_for("fullimaging", "Ashes", overrides={"imaging.grids.*.dx": 1, "filter.bw": 3})
    assert made.imaging is not None
    assert made.imaging.family == "imaging"
    assert made.imaging.preset == "PP3"
    assert made.imaging.grids[0].dx == 1
    assert (made.filter.bw, made.imaging.filter.bw) == (3, 2)
    assert len(made.grids) == 10


@pytest.mark.parametrize(("site", "family", "preset"), EVERY)
def test_numbers_have_the_type_of_their_field(site: str, family: str, preset: str) -> None:
    """Equal parameters make equal documents: a default of 2 and a set 2.0 are the same number."""
    made = parameters_for(family, site, preset=preset)
    same = {key: value for key, value in _leaves(made) if isinstance(value, int | float | str)}
    again = parameters_for(family, site, preset=preset, overrides=same)
    assert json.dumps(again.to_dict()) == json.dumps(made.to_dict())


def _leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and values of the tree, grids by number."""
    for item in fields(node):
        value = getattr(node, item.name)
        key = f"{prefix}{item.name}"
        if item.name == "grids":
            for index, spec in enumerate(value):
                yield from _leaves(spec, f"{key}.{index}.")
        elif is_dataclass(value):
            yield from _leaves(value, f"{key}.")
        elif item.name not in {"family", "site", "preset", "profile", "mode_version", "unused"} and not (
            item.name == "imaging" and value is None
        ):
            yield key, value


def test_to_dict_is_plain_and_complete() -> None:
    """The document is plain JSON and names every valid key."""
    made = parameters_for("fullimaging", "Ashes")
    document = json.loads(json.dumps(made.to_dict()))
    assert document == made.to_dict()
    for key in valid_keys(made):
        if "grids." in key:
            continue
        node: Any = document
        for part in key.split("."):
            node = node[part]
    assert document["imaging"]["preset"] == "PP3"


@pytest.mark.parametrize("file", ORIGINALS)
def test_original_parameter_files_give_the_defaults(shared: Path, file: str) -> None:
    """The original's JSON parameter files load, and say what our defaults say."""
    family, site = ORIGINALS[file]
    made = parameters_for(family, site, overrides=load_overrides(shared / file))
    assert made == parameters_for(family, site)


def test_every_original_parameter_file_loads(shared: Path) -> None:
    """The other parameter files of the originals load too; what they change is taken."""
    pingwise = load_overrides(shared / "inputs/era2010/covis_doppler_pingwise.json")
    made = parameters_for("doppler", "Endeavour", overrides=pingwise)
    assert (made.filter.bw, made.correlation.windthresh) == (2, 1e-7)
    made = parameters_for("doppler", "Ashes", overrides=load_overrides(shared / "inputs/covis_doppler.json"))
    assert (made.correlation.nlag, made.grid("intensity").zmin) == (4, 4)
    assert made.grid("intensity_win").zmin == 0
    for file in ("inputs/covis_target.json", "inputs/era2010/covis_bathy.json"):
        assert "filter.bw" in load_overrides(shared / file)


def test_type_of_a_file_must_fit(tmp_path: Path) -> None:
    """A parameter file for another mode is refused, as in the original."""
    file = tmp_path / "covis_image.json"
    file.write_text(json.dumps({"type": "imaging", "processing": {"filter": {"bw": 3}}}))
    assert parameters_for("imaging", "Ashes", overrides=load_overrides(file)).filter.bw == 3
    with pytest.raises(ConfigurationError, match="type 'imaging'; this run needs type 'diffuse'"):
        parameters_for("diffuse", "Ashes", overrides=load_overrides(file))
    with pytest.raises(ConfigurationError, match="needs type 'diffuse_fr'"):
        parameters_for("fullimaging", "Ashes", overrides=load_overrides(file))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ours.yaml", "filter:\n  bw: 3\n  status: off\ngrids:\n  intensity: {dx: 1}\n"),
        ("flat.yml", "filter.bw: 3\nfilter.status: 'off'\ngrids.intensity.dx: 1e0\n"),
        ("ours.json", '{"filter": {"bw": 3, "status": "off"}, "grids": [{}, {}, {"dx": 1}]}'),
    ],
)
def test_our_own_files(tmp_path: Path, name: str, text: str) -> None:
    """Parameter files in YAML and JSON take nested groups, lists of grids and dotted keys."""
    file = tmp_path / name
    file.write_text(text)
    made = parameters_for("diffuse", "Endeavour", overrides=load_overrides(file))
    assert (made.filter.bw, made.filter.status, made.grid("intensity").dx) == (3, "off", 1)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("[1, 2]", "must contain keys"),
        ("a: [", "not valid YAML"),
        (None, "cannot be read"),
        ("{: }: 3", "YAML"),
    ],
)
def test_unreadable_files_are_refused(tmp_path: Path, text: str | None, match: str) -> None:
    """A file that is missing or no mapping is refused with its path; an empty one changes nothing."""
    file = tmp_path / "settings.yaml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigurationError, match=match):
        load_overrides(file)
    file.write_text("")
    assert load_overrides(file) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("filter.bw=2", ("filter.bw", 2)),
        ("correlation.windthresh = 1e-9", ("correlation.windthresh", 1e-9)),
        ("filter.status=off", ("filter.status", "off")),
        ("ping_combination.mode=nan", ("ping_combination.mode", "nan")),
        ("attitude.central_heading=null", ("attitude.central_heading", None)),
    ],
)
def test_parse_set(text: str, expected: tuple[str, Any]) -> None:
    """``key=value`` gives a number where it can be one, else a word."""
    assert parse_set(text) == expected


@pytest.mark.parametrize("text", ["filter.bw", "=2", ""])
def test_parse_set_refuses(text: str) -> None:
    """What is not ``key=value`` is refused with an example."""
    with pytest.raises(ConfigurationError, match=r"filter\.bw=2"):
        parse_set(text)


@pytest.mark.parametrize(
    ("overrides", "match"),
    [
        ({"filter.bww": 2}, r"Unknown parameter 'filter\.bww': the nearest valid key is 'filter\.bw'"),
        ({"bw": 2}, r"nearest valid key is 'filter\.bw'"),
        ({"filter": 2}, "nearest valid key"),
        ({"grids": 2}, "nearest valid key"),
        ({"grids.0": 2}, "nearest valid key"),
        ({"filter.bw.x": 2}, r"nearest valid key is 'filter\.bw'"),
        ({"grids.intensity.dw": 2}, "nearest valid key is"),
        ({"grids.intensty.dx": 2}, r"the grids of diffuse runs \(END\) are decorrelation_intensity"),
        ({"grids.7.dx": 2}, "the grids of"),
        ({"preset": "PP2"}, "Unknown parameter 'preset'"),
        ({"imaging.filter.bw": 2}, "Unknown parameter"),
        ({"imaging.grids.0.dx": 2}, "Unknown parameter"),
        ({"filter.bw": "wide"}, r"filter\.bw must be a number, not 'wide'"),
        ({"filter.bw": True}, "must be a number"),
        ({"filter.bw": None}, "must be a number"),
        ({"filter.bw": float("nan")}, "must be a number"),
        ({"filter.bw": -1}, r"filter\.bw must be positive"),
        ({"filter.order": 2.5}, "must be a whole number"),
        ({"filter.order": 0}, "must be 1 ... 12"),
        ({"filter.zero_phase": "yes"}, "must be true or false"),
        ({"filter.decimation": 0}, "1 or more"),
        ({"filter.type": "chebyshev"}, "must be one of butterworth"),
        ({"calibrate.mode": "TS-wid"}, "did you mean 'TS-Wide'"),
        ({"correlation.window_overlap": 1}, "less than 1"),
        ({"bounds.pitch.start": 80, "bounds.pitch.stop": 20}, "lies above stop"),
        ({"beamformer.start_angle": 70}, "must be less than"),
        ({"oscfar.percentile": 120}, "0 to 100"),
        ({"water.temperature": 400}, "water.temperature must be -3 to 40"),
        ({"grids.0.dx": 0}, "dx must be positive"),
        ({"grids.0.xmax": -50}, "is not below"),
        ({"grids.0.zmin": 3}, "needs zmin, zmax and dz, or none"),
        ({"grids.*.dx": 1e-6, "grids.*.dy": 1e-6}, "choose a wider spacing"),
        ({"grids.0.dimensions": 3}, "has 2 dimensions"),
    ],
)
def test_what_cannot_be_is_refused(overrides: dict[str, Any], match: str) -> None:
    """Unknown keys, wrong types and impossible values are refused with a sentence."""
    with pytest.raises(ConfigurationError, match=match):
        parameters_for("diffuse", "Endeavour", overrides=overrides)


def test_order_of_overrides_does_not_matter() -> None:
    """Bounds that pass each other are set together."""
    wanted = {"grids.0.xmin": 10, "grids.0.xmax": 20}
    for keys in (list(wanted), list(reversed(wanted))):
        made = parameters_for("imaging", "Endeavour", overrides={key: wanted[key] for key in keys})
        assert (made.grids[0].xmin, made.grids[0].xmax) == (10, 20)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("survey", "Ashes", None, "matlab"), "no parameters for survey runs of Ashes"),
        (("bathy", "Endeavour", None, "matlab"), "no parameters for bathy runs of Endeavour"),
        (("doppler", "Ashes", "PP2", "matlab"), "choose PP3 or PPX"),
        (("imaging", "Endeavour", "PP2", "matlab"), "choose END"),
        (("imaging", "Ashes", None, "octave"), "choose matlab or corrected"),
    ],
)
def test_unknown_modes_presets_and_profiles(arguments: tuple[str, str, str | None, str], match: str) -> None:
    """A mode, preset or profile that does not exist is refused with the choices."""
    family, site, preset, profile = arguments
    with pytest.raises(ConfigurationError, match=match):
        parameters_for(family, site, preset=preset, profile=profile)


def test_unused_keys_are_named() -> None:
    """A key without effect on a mode is known as such; the original's own dead keys among them."""
    doppler = parameters_for("doppler", "Endeavour")
    assert doppler.is_unused("correlation.nlag")
    assert not doppler.is_unused("correlation.lag")
    assert doppler.is_unused("oscfar.percentile")
    assert not parameters_for("imaging", "Ashes").is_unused("oscfar.percentile")
    for site, family, preset in EVERY:
        made = parameters_for(family, site, preset=preset)
        keys = valid_keys(made)
        for word in made.unused:
            assert any(key == word or key.startswith(f"{word}.") for key in keys)


def test_with_family_keeps_what_was_changed() -> None:
    """Parameters of another family keep preset, profile and the changes that it knows."""
    overrides = {"filter.bw": 3, "position.altitude": 4, "grids.0.dx": 1}
    imaging = parameters_for("imaging", "Endeavour", profile="corrected", overrides=overrides)
    changed = with_family(imaging, "doppler")
    want = {"filter.bw": 3, "position.altitude": 4}
    assert changed == parameters_for("doppler", "Endeavour", profile="corrected", overrides=want)


def test_parameters_are_values() -> None:
    """Parameters are frozen, hashable and equal by value."""
    one, two = (parameters_for("diffuse", "Ashes") for _ in range(2))
    assert one == two
    assert hash(one) == hash(two)
    assert replace(one, profile="corrected") != two
    with pytest.raises(AttributeError):
        one.filter.bw = 3.0  # type: ignore[misc]


@pytest.mark.parametrize(("site", "family"), KINDS)
def test_every_kind_has_a_program(site: str, family: str) -> None:
    """Whatever has parameters has a program, and only with the presets it knows."""
    for preset in PRESETS:
        found = program(family, site, preset)
        assert (found is not None) == (preset in spec_for(site, family).presets)
    assert program(family, site) is not None
    assert program("survey", site) is None
