"""Each quirk that can be mended has a switch, and each switch a known answer that tells when it is wrong."""

import inspect
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import pytest

from covis_dask.modes.fixes import Fixes, fixes_of
from covis_dask.modes.quirks import quirks
from tests.quirks import _ashes, _endeavour, _gridding
from tests.quirks._registry import KNOWN, Check, hold

SWITCHES = {one.id: one.switch for one in quirks().values() if one.switch}
ANSWERS = [(quirk, check) for quirk, checks in KNOWN.items() for check in checks]
each_answer = pytest.mark.parametrize(
    ("quirk", "check"), ANSWERS, ids=[f"{quirk}-{check.__name__}" for quirk, check in ANSWERS]
)


@pytest.fixture
def turned_round(quirk: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Turn the switch of a quirk round: mended where it is not asked for, and the other way."""
    sound, switch = Fixes.of, SWITCHES[quirk]

    def turned(ids: Any) -> Fixes:
        made = sound(ids)
        return replace(made, **{switch: not getattr(made, switch)})

    fixes_of.cache_clear()
    monkeypatch.setattr(Fixes, "of", turned)
    yield
    fixes_of.cache_clear()


@each_answer
def test_known_answer(quirk: str, check: Check) -> None:
    """With the quirk as in the original, and mended, the answer is the known one."""
    hold(quirk, check)


@each_answer
@pytest.mark.usefixtures("turned_round")
def test_a_switch_turned_round_is_noticed(quirk: str, check: Check) -> None:
    """Every known answer fails, either way, when the switch of its quirk is turned round."""
    for mended in (False, True):
        with pytest.raises(AssertionError):
            check(mended, (quirk,) if mended else ())


def test_every_switch_has_a_known_answer() -> None:
    """No switch is without one, and no known answer without a switch."""
    assert KNOWN.keys() == SWITCHES.keys()


def test_every_switch_belongs_to_one_quirk() -> None:
    """The fields of `Fixes` are the switches of the entries, each with its quirk."""
    assert {item.metadata["quirk"]: item.name for item in fields(Fixes)} == SWITCHES


def test_profile_corrected_is_all_of_them() -> None:
    """Profile corrected mends everything that has a switch, profile matlab nothing."""
    assert fixes_of("corrected", ()) == Fixes.of(SWITCHES)
    assert fixes_of("matlab", ()) == Fixes()
    assert len(SWITCHES) == 31


def test_checks_are_told_apart() -> None:
    """Each known answer is a function of its own, defined once."""
    modules = (_ashes, _endeavour, _gridding)
    defined = [
        found
        for module in modules
        for _, found in inspect.getmembers(module, inspect.isfunction)
        if found.__module__ == module.__name__ and list(inspect.signature(found).parameters)[:1] == ["mended"]
    ]
    assert len(defined) == len(ANSWERS)
