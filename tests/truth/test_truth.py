"""Simulated runs against what was simulated: the profile corrected, held to the truth.

See docs/method.md#known-answers.
"""

import math

import pytest

from tests.truth._experiments import EXPERIMENTS, measure
from tests.truth.table import DOCUMENT, decimals, parse

MODES = {
    "Imaging 2010-15": {"END"},
    "Doppler 2010-15": {"END"},
    "Diffuse flow 2010-15": {"END"},
    "Imaging 2018+": {"PP2", "PP3"},
    "Doppler 2018+": {"PPX", "PP3"},
    "Diffuse flow 2018+": {"PP2", "PP3"},
    "Bathymetry 2018+": {"PP2"},
    "Full range 2018+, imaging": {"PP3"},
    "Full range 2018+, maps": {"PP3"},
}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_corrected_finds_the_truth(name: str) -> None:
    """Place within a cell, level within 0.1 dB, velocity within 2 %; the error of matlab can be told."""
    for row in measure(name):
        assert abs(row.corrected) <= row.limit, row
        assert math.isfinite(row.matlab), row


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_page_holds_what_is_measured(name: str) -> None:
    """docs/accuracy.md has every error of both profiles, to its last decimal."""
    told = parse(DOCUMENT.read_text(encoding="utf-8"))
    for row in measure(name):
        # One unit of the last decimal: a number may lie on the edge of two roundings.
        unit = 1.01 * 10.0 ** -decimals(row.unit)
        assert told[row.mode, row.preset, row.quantity] == pytest.approx(
            (row.corrected, row.matlab), abs=unit
        )


def test_every_mode_and_preset_is_judged() -> None:
    """No mode or preset is left out, and the page has no lines of its own."""
    found: dict[str, set[str]] = {}
    for experiment in EXPERIMENTS.values():
        found.setdefault(experiment.mode, set()).update(experiment.presets)
    assert found == MODES
    lines = {
        (experiment.mode, preset, judge.quantity)
        for experiment in EXPERIMENTS.values()
        for preset in experiment.presets
        for judge in experiment.judges
    }
    assert set(parse(DOCUMENT.read_text(encoding="utf-8"))) == lines
