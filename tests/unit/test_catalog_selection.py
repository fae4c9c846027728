"""The selection words: what they mean, and the nonsense they refuse."""

import argparse
import datetime as dt
import io
from pathlib import Path

import pytest

from catalog.errors import SelectionError
from catalog.query import RunQuery
from catalog.tools.arguments import add_selection_arguments, selection_texts

NAMES = ("APLUWCOVISMBSONAR001_20111001T210757.973Z-IMAGING", "COVIS-20191024T003346-diffuse3")


def query(*words: str, stdin: str = "") -> RunQuery:
    parser = argparse.ArgumentParser()
    add_selection_arguments(parser)
    return RunQuery.from_text(selection_texts(parser.parse_args(words)), io.StringIO(stdin))


def test_no_words_mean_every_run() -> None:
    """Without words nothing is narrowed."""
    assert query() == RunQuery()


def test_years_and_months_repeat_and_take_ranges() -> None:
    """Numbers may be repeated, given as ranges or in comma lists."""
    assert query("--year", "2011-2013,2018", "--year", "2014").years == {2011, 2012, 2013, 2014, 2018}
    assert query("--month", "1", "--month", "6-8", "--month", "12,11").months == {1, 6, 7, 8, 11, 12}


def test_days_are_whole() -> None:
    """Both days are included, the last to its last moment."""
    days = query("--from", "2014-03-01", "--to", "2014-03-31")
    assert days.start == dt.datetime(2014, 3, 1, tzinfo=dt.UTC)
    assert days.stop == dt.datetime(2014, 3, 31, 23, 59, 59, 999999, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "text", ["2014-03-01T12:30", "2014-03-01 12:30Z", "2014-03-01T05:30-07:00", "20140301T1230"]
)
def test_times_are_utc(text: str) -> None:
    """A time means that moment, in UTC unless it says otherwise."""
    assert query("--from", text).start == dt.datetime(2014, 3, 1, 12, 30, tzinfo=dt.UTC)


def test_modes() -> None:
    """A mode is a family or an exact word, in any case."""
    chosen = query("--mode", "Imaging,DIFFUSE3", "--mode", "diffuseslow", "--mode", "(unknown)")
    assert chosen.families == {"imaging", "unknown"}
    assert chosen.modes == {"diffuse3", "diffuseslow"}


def test_sites() -> None:
    """Sites are taken in any case."""
    assert query("--site", "ashes,ENDEAVOUR").sites == {"Ashes", "Endeavour"}


def test_basenames_from_everywhere(tmp_path: Path) -> None:
    """Basenames come from the line, a file or standard input; an archive's file name will do."""
    listed = tmp_path / "names.txt"
    listed.write_text(f"# chosen by hand\n\n  2011/10/01/{NAMES[0]}.tar.gz\r\n")
    assert query("--basename", f"@{listed}", "--basename", "-", stdin=f"{NAMES[1]}.7z\n").basenames == set(
        NAMES
    )
    assert query("--basename", NAMES[0], "--basename", f"{NAMES[1]}/").basenames == set(NAMES)


def test_sample_and_limit() -> None:
    """A sample has a seed, nought unless said."""
    assert (query("--sample", "5").sample, query("--sample", "5").seed) == (5, 0)
    drawn = query("--sample", "5:42", "--limit", "3", "--regex", "IMA")
    assert (drawn.sample, drawn.seed, drawn.limit, drawn.regex) == (5, 42, 3, "IMA")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--year 20114", "'20114' is neither a number nor a range"),
        ("--year 1900", "--year 1900 is out of range"),
        ("--year 2014-2011", "2014-2011 runs backwards: write 2011-2014"),
        ("--year 2011,", "'2011,' has an empty value"),
        ("--month 13", "--month 13 is out of range: use 1 to 12"),
        ("--month march", "'march' is neither a number nor a range"),
        ("--from yesterday", "'yesterday' is not a date or time"),
        ("--from 2014-02-30", "'2014-02-30' is not a date or time"),
        ("--to 2014-03", "'2014-03' is not a date or time"),
        ("--to 2014-W10", "'2014-W10' is not a date or time"),
        ("--from 2014-03-02 --to 2014-03-01", "is later than --to"),
        ("--year 2014 --from 2015-01-01", "contradict"),
        ("--year 2014 --month 3 --to 2014-02-28", "contradict"),
        ("--mode sonar", "'sonar' is not a mode: families are imaging"),
        ("--site axial", "'axial' is not a site: sites are Endeavour and Ashes"),
        ("--basename readme.txt", "'readme' is not the basename"),
        ("--basename @no-such-file", "cannot be read: No such file"),
        ("--basename -", "no names on standard input"),
        ("--regex (", "'(' is not a regular expression"),
        ("--limit 0", "'0' is not a number of runs"),
        ("--limit -3", "'-3' is not a number of runs"),
        ("--sample 5:x", "the seed after ':' is a whole number"),
        ("--sample some", "'some' is not a number of runs"),
    ],
)
def test_nonsense_is_refused(words: str, sentence: str) -> None:
    """Each piece of nonsense is refused by a sentence that says which word, and what would do."""
    with pytest.raises(SelectionError) as refusal:
        query(*words.split())
    assert sentence in str(refusal.value)


def test_an_empty_list_is_not_every_run(tmp_path: Path) -> None:
    """A file without names is refused: it must not come to mean the whole archive."""
    empty = tmp_path / "empty.txt"
    empty.write_text("# nothing\n")
    with pytest.raises(SelectionError, match="no names in"):
        query("--basename", f"@{empty}")


def test_words_from_python() -> None:
    """A program may say numbers and lists where a command line repeats words; what is None is not said."""
    said = RunQuery.from_text(
        {"year": 2014, "month": [1, "6-8"], "mode": ("imaging", "diffuse3"), "to": None}
    )
    assert said == query("--year", "2014", "--month", "1,6-8", "--mode", "imaging,diffuse3")
    assert RunQuery.from_text({"from_": "2014-03-01", "limit": 3}) == query(
        "--from", "2014-03-01", "--limit=3"
    )


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        ({"yaer": "2014"}, "no selection word 'yaer'; the nearest is 'year'"),
        ({"regex": ["a", "b"]}, "--regex takes one value, not a and b"),
        ({"from_": ["2014-01-01", "2015-01-01"]}, "--from takes one value"),
        ({"basename": "-"}, "no standard input"),
    ],
)
def test_nonsense_from_python(texts: dict[str, str | list[str]], sentence: str) -> None:
    """What a command line could not say is refused by name too."""
    with pytest.raises(SelectionError, match=sentence):
        RunQuery.from_text(texts)
