"""Documents of runs: what users have today, and back."""

import datetime as dt
import json

from catalog.model import Batch, Content, ProductRecord, RawFile, Run, iso, to_json

START = dt.datetime(2014, 1, 1, 0, 0, 43, 76000, dt.UTC)
RUN = Run(
    "APLUWCOVISMBSONAR001_20140101T000043.076Z-IMAGING",
    START,
    "IMAGING",
    "Endeavour",
    (RawFile("DMAS", "x.tar"), RawFile("OLD-COVIS-NAS5", "2014/01/01/x.tar.gz", 526996026)),
    (Content("sweep.json", 4727, "abc"), Content("index.csv", 5)),
    ProductRecord("failed", "native", "1", "f", "p", 2, "b", START, "timeout", "too slow", "i", ("nc",)),
)


def test_document_is_the_users_own() -> None:
    """The fields of docs/method.md#catalogue are as they were, without nulls; ours is `product`."""
    document = RUN.to_document()
    assert list(document) == ["basename", "datetime", "mode", "site", "raw", "contents", "product"]
    assert document["raw"] == [
        {"host": "DMAS", "filename": "x.tar"},
        {"host": "OLD-COVIS-NAS5", "filename": "2014/01/01/x.tar.gz", "filesize": 526996026},
    ]
    assert document["contents"][0] == {"name": "sweep.json", "size": 4727, "sha1": "abc"}
    assert set(Run("b", START, "m", "s").to_document()) == {"basename", "datetime", "mode", "site", "raw"}


def test_round_trips() -> None:
    """A run comes back from its document and from its JSON the same."""
    assert Run.from_document(RUN.to_document()) == RUN
    assert Run.from_document(json.loads(to_json(RUN.to_document()))) == RUN
    batch = Batch("20260101T000000-abcdef", {"years": [2014]}, {}, {}, {"done": 1}, START, START, "r")
    assert Batch.from_document(json.loads(to_json(batch.to_document()))) == batch


def test_documents_of_others_are_read() -> None:
    """Unknown fields, hosts in lower case and naive times of older programs do no harm."""
    document = RUN.to_document() | {
        "_id": 1,
        "claim": {},
        "datetime": START.replace(tzinfo=None),
        "extra": None,
    }
    document["product"] = {**document["product"], "newer": 1}
    document["raw"] = [{**entry, "host": entry["host"].lower(), "md5": "x"} for entry in document["raw"]]
    assert Run.from_document(document) == RUN


def test_iso_texts_sort_as_times_do() -> None:
    """Times as text have one length, end in Z and lose only what is below a millisecond."""
    assert iso(START) == "2014-01-01T00:00:43.076Z"
    assert iso(START.replace(microsecond=0)) == "2014-01-01T00:00:43.000Z"
    assert iso(START.astimezone(dt.timezone(dt.timedelta(hours=-8)))) == iso(START)
