"""Fingerprints: equal for equal work, and an explanation when they differ."""

from typing import Any

import numpy as np
import pytest

from covis_dask.products.fingerprint import explain, fingerprint, identity

_INPUTS = {"file": "run.tar.gz", "size": 412}
_PARAMETERS = {"filter": {"bw": 2.0, "order": 4}, "grids": [{"type": "a", "dx": 0.25}], "heading": None}


def _of(**changes: Any) -> str:
    known: dict[str, Any] = {
        "engine": "native",
        "version": "1",
        "profile": "matlab",
        "parameters": _PARAMETERS,
        "inputs": _INPUTS,
    }
    return fingerprint(**(known | changes))


def test_the_fingerprint_stays() -> None:
    """The value itself is a promise: a change of it would make every product in every store stale."""
    assert _of() == "9abf4f60436410de"


@pytest.mark.parametrize(
    "parameters",
    [
        {"heading": None, "grids": [{"dx": 0.25, "type": "a"}], "filter": {"order": 4, "bw": 2}},
        {
            "filter": {"bw": np.float64(2), "order": np.int32(4)},
            "grids": ({"type": "a", "dx": 0.25},),
            "heading": None,
        },
    ],
)
def test_equal_parameters_have_one_fingerprint(parameters: dict[str, Any]) -> None:
    """Order, tuples, NumPy numbers, and 2 instead of 2.0 change nothing."""
    assert _of(parameters=parameters) == _of()


@pytest.mark.parametrize(
    "changes",
    [
        {"engine": "other"},
        {"version": "2"},
        {"profile": "corrected"},
        {"parameters": _PARAMETERS | {"heading": 279}},
        {"parameters": {}},
        {"inputs": {"file": "run.tar.gz", "size": 413}},
        {"inputs": _INPUTS | {"etag": "9b2f"}},
        {"parameters": _PARAMETERS | {"heading": float("nan")}},
    ],
)
def test_whatever_decides_the_numbers_changes_it(changes: dict[str, Any]) -> None:
    """Engine, version, profile, parameters and input all count."""
    assert _of(**changes) != _of()


def _identity(**changes: Any) -> dict[str, Any]:
    known: dict[str, Any] = {
        "engine": "native",
        "version": "1",
        "profile": "matlab",
        "parameters": _PARAMETERS,
        "inputs": _INPUTS,
    }
    return identity(**(known | changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "nothing changed"),
        ({"version": "2"}, "engine version 1 -> 2"),
        ({"profile": "corrected"}, "profile matlab -> corrected"),
        ({"inputs": {"file": "run.tar.gz", "size": 413}}, "input size 412 -> 413"),
        ({"inputs": _INPUTS | {"bathymetry": "b"}}, "input bathymetry b (new)"),
        ({"parameters": _PARAMETERS | {"filter": {"bw": 4, "order": 4}}}, "parameter filter.bw 2 -> 4"),
        ({"parameters": _PARAMETERS | {"filter": {"bw": 2}}}, "parameter filter.order 4 (gone)"),
        ({"parameters": _PARAMETERS | {"heading": 279}}, "parameter heading unknown -> 279"),
        (
            {"parameters": _PARAMETERS | {"grids": [{"type": "a", "dx": 0.5}]}},
            "parameter grids[0].dx 0.25 -> 0.5",
        ),
        (
            {"version": "2", "parameters": _PARAMETERS | {"heading": 279}},
            "engine version 1 -> 2, parameter heading unknown -> 279",
        ),
    ],
)
def test_explain(changes: dict[str, Any], words: str) -> None:
    """The plan can say in words why a product is stale."""
    assert explain(_identity(), _identity(**changes)) == words


def test_many_changes_are_counted() -> None:
    """A new parameter tree does not flood the terminal."""
    many = {f"key{number}": number for number in range(9)}
    words = explain(_identity(parameters={}), _identity(parameters=many))
    assert words == "parameter key0 0 (new), parameter key1 1 (new), parameter key2 2 (new) and 6 more"
