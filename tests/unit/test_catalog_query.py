"""Queries: what they match, the spans of time they compile to, and the choice they make."""

import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.errors import DocumentError
from catalog.model import Run
from catalog.names import site_of
from catalog.query import RunQuery, choose, describe, matches, spans


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[misc,arg-type]


def run(moment: dt.datetime, mode: str = "IMAGING") -> Run:
    name = f"APLUWCOVISMBSONAR001_{moment:%Y%m%dT%H%M%S}.000Z-{mode}"
    return Run(name, moment, mode, site_of(moment))


MARCH = run(utc(2014, 3, 31, 12))


@pytest.mark.parametrize(
    "query",
    [
        RunQuery(),
        RunQuery(years=frozenset({2013, 2014}), months=frozenset({3})),
        RunQuery(months=frozenset({3})),
        RunQuery(start=utc(2014, 3, 31, 12), stop=utc(2014, 3, 31, 12)),
        RunQuery(families=frozenset({"imaging"})),
        RunQuery(families=frozenset({"doppler"}), modes=frozenset({"imaging"})),
        RunQuery(sites=frozenset({"ENDEAVOUR"})),
        RunQuery(basenames=frozenset({MARCH.basename})),
        RunQuery(regex="T12.*IMA"),
    ],
)
def test_a_match(query: RunQuery) -> None:
    """A run matches a query whose every word it fits."""
    assert matches(query, MARCH)


@pytest.mark.parametrize(
    "query",
    [
        RunQuery(years=frozenset({2013})),
        RunQuery(years=frozenset({2014}), months=frozenset({4})),
        RunQuery(start=utc(2014, 3, 31, 12, 0, 1)),
        RunQuery(stop=utc(2014, 3, 31, 11, 59, 59)),
        RunQuery(families=frozenset({"diffuse"})),
        RunQuery(modes=frozenset({"imaging1"})),
        RunQuery(sites=frozenset({"Ashes"})),
        RunQuery(basenames=frozenset({"COVIS-20191024T003346-diffuse3"})),
        RunQuery(regex="^IMA"),
    ],
)
def test_no_match(query: RunQuery) -> None:
    """One word that does not fit is enough to leave a run out."""
    assert not matches(query, MARCH)


_moments = st.integers(0, 4 * 366 * 86_400_000).map(
    lambda ms: utc(2012, 1, 1) + dt.timedelta(milliseconds=ms)
)
_edges = st.builds(lambda moment, us: moment + dt.timedelta(microseconds=us), _moments, st.integers(0, 999))
_queries = st.builds(
    RunQuery,
    years=st.frozensets(st.integers(2012, 2015)),
    months=st.frozensets(st.integers(1, 12)),
    start=st.none() | _edges,
    stop=st.none() | _edges,
)


@given(_queries, _moments)
def test_spans_say_what_matches_says(query: RunQuery, moment: dt.datetime) -> None:
    """Spans (and months) hold exactly the times, to the millisecond, that match; in order, apart."""
    within = spans(query)
    inside = within is None or any(start <= moment < stop for start, stop in within)
    assert (inside and (not query.months or moment.month in query.months)) == matches(query, run(moment))
    flat = [edge for span in within or () for edge in span]
    assert flat == sorted(set(flat))


def test_spans_of_the_last_year_there_is() -> None:
    """The end of the calendar is no special case."""
    assert spans(RunQuery(years=frozenset({9999}), stop=dt.datetime.max.replace(tzinfo=dt.UTC)))


def test_sample_is_reproducible() -> None:
    """The same seed draws the same runs, another seed others, in order of time; limit comes after."""
    runs = [run(utc(2014, 1, day, hour)) for day in range(1, 29) for hour in (0, 12)]
    drawn = list(choose(runs, RunQuery(sample=10, seed=1)))
    assert drawn == list(choose(reversed(runs), RunQuery(sample=10, seed=1)))
    assert drawn == sorted(drawn, key=lambda run: run.datetime)
    assert len(set(drawn)) == 10
    assert drawn != list(choose(runs, RunQuery(sample=10, seed=2)))
    assert list(choose(runs, RunQuery(sample=10, seed=1, limit=3))) == drawn[:3]
    assert list(choose(runs, RunQuery(limit=3))) == runs[:3]


def test_sample_hardly_changes_when_runs_are_added() -> None:
    """Runs added later displace few of those drawn before."""
    runs = [run(utc(2014, 1, day, hour)) for day in range(1, 29) for hour in range(24)]
    before = set(choose(runs[:-20], RunQuery(sample=50)))
    assert len(before & set(choose(runs, RunQuery(sample=50)))) >= 45


def test_words_are_kept_in_one_spelling() -> None:
    """Words in any case, and any collection of them, make the same query; its document says them."""
    query = RunQuery(
        years={2014},  # type: ignore[arg-type]
        families=["Imaging"],  # type: ignore[arg-type]
        modes=["DIFFUSE3"],  # type: ignore[arg-type]
        sites=["ashes"],  # type: ignore[arg-type]
        start=utc(2014, 1, 1).replace(tzinfo=None),
    )
    assert query.to_document() == {
        "years": [2014],
        "start": "2014-01-01T00:00:00+00:00",
        "families": ["imaging"],
        "modes": ["diffuse3"],
        "sites": ["Ashes"],
    }


def test_nonsense_is_refused() -> None:
    """A string in place of a set, a family that is none, a bad pattern, a negative number: all refused."""
    with pytest.raises(TypeError, match="not one string"):
        RunQuery(families="imaging")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not a mode family"):
        RunQuery(families=frozenset({"sonar"}))
    with pytest.raises(ValueError, match="not a regular expression"):
        RunQuery(regex="(")
    with pytest.raises(ValueError, match="cannot be negative"):
        RunQuery(sample=-1)


def test_a_query_in_words() -> None:
    """A query can be said in a sentence, word by word."""
    assert describe(RunQuery()) == "every run"
    query = RunQuery(
        years=frozenset({2014, 2013}),
        modes=frozenset({"diffuse3"}),
        families=frozenset({"imaging"}),
        basenames=frozenset({"a", "b"}),
        regex="x",
        sample=3,
        limit=2,
    )
    assert describe(query) == (
        "year 2013 or 2014, mode imaging or diffuse3, one of 2 basenames, regex 'x', sample 3:0, limit 2"
    )


def test_a_query_comes_back_from_its_document() -> None:
    """What a batch document keeps of a selection makes the same query again."""
    query = RunQuery(
        years=frozenset({2014}),
        start=utc(2014, 1, 1),
        families=frozenset({"imaging"}),
        regex="x",
        sample=3,
        seed=7,
        limit=2,
    )
    assert RunQuery.from_document(json.loads(json.dumps(query.to_document()))) == query


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"years": ["2014"]}, r"the selection cannot be read: years\[0\]: expected `int`, got `str`"),
        ({"depth": 5}, "there is no word 'depth'"),
        ({"regex": "("}, "not a regular expression"),
        ({"start": "yesterday"}, "start: invalid RFC3339"),
    ],
)
def test_documents_of_no_query(document: dict[str, object], sentence: str) -> None:
    """A selection that cannot be read, or says more than we know, is never taken for a wider one."""
    with pytest.raises(DocumentError, match=sentence):
        RunQuery.from_document(document)
