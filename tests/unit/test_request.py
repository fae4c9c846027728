"""A request refuses what contradicts itself, whether it comes from words, keywords or Python."""

from typing import Any

import pytest

from catalog.query import RunQuery
from covis_dask.api.keywords import request_of
from covis_dask.batches.request import BatchRequest, ClusterSpec
from covis_dask.cli.batch import parser, request_from_arguments
from covis_dask.errors import ConfigurationError

_REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"cluster": "slurm", "scheduler": "tcp://a:1"}, "leave out --scheduler"),
    ({"scheduler": "slurm"}, "say --cluster slurm"),
    ({"scheduler": "somewhere"}, "tcp://host:8786"),
    ({"scheduler": "tcp://a:1", "workers": 2}, "has its own workers"),
    ({"workers": 0}, "at least 1"),
    ({"adapt": "0:4"}, "--adapt requires --cluster"),
    ({"cluster": "slurm", "adapt": "0:4", "workers": 2}, "--adapt requires --cluster"),
    ({"cluster": "slurm", "adapt": "4:1"}, "such as 0:40"),
    ({"cluster": "slurm", "adapt": "0:0"}, "such as 0:40"),
    ({"cluster": "slurm", "adapt": "many"}, "such as 0:40"),
    ({"force": True, "verify": True}, "choose one of the two"),
    ({"retries": -1}, "cannot be negative"),
]


@pytest.mark.parametrize(("options", "sentence"), _REFUSED)
def test_words_and_keywords_are_refused_alike(options: dict[str, Any], sentence: str) -> None:
    """The same mistake gives the same sentence on the command line and in Python."""
    given = {"year": 2014, **options}
    words = [f"--{name}" if value is True else f"--{name}={value}" for name, value in given.items()]
    with pytest.raises(ConfigurationError, match=sentence) as on_the_line:
        request_from_arguments(parser().parse_args(words))
    with pytest.raises(ConfigurationError) as in_python:
        request_of(given)
    assert str(in_python.value) == str(on_the_line.value)


def test_words_and_keywords_make_the_same_request() -> None:
    """All that can be asked for arrives, whichever way it is said."""
    words = [
        "--year=2014",
        "--cluster=slurm",
        "--adapt=0:40",
        "--fix=Q11",
        "--format=nc",
        "--format=mat",
        "--retries=3",
    ]
    by_words = request_from_arguments(parser().parse_args(words))
    by_keywords = request_of(
        {
            "year": 2014,
            "cluster": "slurm",
            "adapt": (0, 40),
            "fixes": "Q11",
            "format": ["nc", "mat"],
            "retries": 3,
        }
    )
    in_python = BatchRequest(
        query=RunQuery(years=frozenset({2014})),
        cluster=ClusterSpec("slurm", adapt=(0, 40)),
        fixes=("Q11",),
        formats=("nc", "mat"),
        retries=3,
    )
    assert by_words == by_keywords == in_python


def test_keywords_have_types() -> None:
    """A number given as text is refused with a sentence, not with a traceback."""
    with pytest.raises(ConfigurationError, match="workers must be a whole number, not 'two'"):
        request_of({"year": 2014, "workers": "two"})
