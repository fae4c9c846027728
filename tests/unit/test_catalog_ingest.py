"""Listings become runs: what is taken, what is left out and why; the facts of the real listings."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from catalog.ingest import ImportReport, ListingError, import_listing, walk_store
from catalog.model import RawFile

IMAGING = "APLUWCOVISMBSONAR001_20141215T030021.657Z-IMAGING"
DOPPLER = "APLUWCOVISMBSONAR001_20141215T090839.005Z-DOPPLER"
FOLDER = "2014/06/11/APLUWCOVISMBSONAR001_20140611T214957.743Z_20140611T215002.743Z-DIFFUSE"


def accounted(report: ImportReport) -> bool:
    """Say whether every entry became a run or was counted."""
    return report.entries == len(report.runs) + sum(sort.count for sort in report.skipped.values())


def raw(report: ImportReport) -> dict[str, tuple[RawFile, ...]]:
    return {run.basename: run.raw for run in report.runs}


def test_onc_list() -> None:
    """Only .tar files of an ONC list are raw; products, logs and nonsense are counted by reason."""
    names = [f"{IMAGING}.{kind}" for kind in ("mat", "pdf", "png", "tar", "tar.gz", "tar")]
    log = "APLUWCOVISMBSONAR001_20141215T000000.000Z.txt"
    report = import_listing(json.dumps([*names, log, 7, "other.tar"]), "dmas")
    assert raw(report) == {IMAGING: (RawFile("DMAS", f"{IMAGING}.tar"),)}
    assert {reason: sort.count for reason, sort in report.skipped.items()} == {
        "products (.mat, .pdf, .png)": 3,
        "archives other than .tar, the raw kind of DMAS": 1,
        "entries listed twice": 1,
        "logs (.txt)": 1,
        "entries that are not file names": 1,
        "archives whose name is not that of a COVIS run": 1,
    }
    assert accounted(report)


def test_nas_listing() -> None:
    """A NAS listing knows its host, gives sizes, and its loose files and folders are no runs."""
    lines = [
        f"5\t526996026\t./2014/12/15/{IMAGING}.tar.gz",
        f"5\t11209144320\t./2014/12/15/{DOPPLER}.tar",
        f"5\t3405708780\t./2014/12/15/{DOPPLER}.tar.gz",
        f"5\t4818\t./{FOLDER}/sweep.json",
        f"5\t1181500\t./{FOLDER}/rec_7038_000001.bin",
        f"5\t11837325\t./{FOLDER}",
        f"5\t87\t./2014/12/15/{DOPPLER}",
        f"6\t87\t./2014/12/15/{DOPPLER}.7z",
        "5\tmuch\t./x.tar.gz",
    ]
    report = import_listing("\n".join(lines) + "\n")
    assert raw(report) == {
        IMAGING: (RawFile("OLD-COVIS-NAS5", f"2014/12/15/{IMAGING}.tar.gz", 526996026),),
        DOPPLER: (RawFile("OLD-COVIS-NAS5", f"2014/12/15/{DOPPLER}.tar.gz", 3405708780),),
    }
    assert {reason: sort.count for reason, sort in report.skipped.items()} == {
        "loose files in the folder of a run": 2,
        "folders, and files without an extension": 2,
        "further files of a run that has a better one here": 1,
        "lines of another NAS than 5": 1,
        "lines that are not NAS number, size and path": 1,
    }
    assert report.skipped["further files of a run that has a better one here"].examples == (
        f"2014/12/15/{DOPPLER}.tar",
    )
    assert accounted(report)
    assert {run.raw[0].host for run in import_listing("\n".join(lines), "my-copy").runs} == {"MY-COPY"}


def test_metadata_report() -> None:
    """A metadata report makes runs without raw files, or, at the word of who names a host, with them."""
    text = (
        "# basename,datetime,site,mode,raw_size,gz_size,7z_size\r\n"
        "COVIS-20180729T144948-imaging,2018-07-29 14:49:48,Ashes,imaging,1559363172,406232570,265181263\r\n"
        "COVIS-20180729T160020-diffuse,2018-07-29 16:00:20,Ashes,diffuse,8440227,,3229448\r\n"
        "COVIS-20180729T160021-diffuse,when,Ashes,diffuse,8440227,,3229448\r\n"
        "readme,2018-07-29 16:00:20,Ashes,diffuse,1,1,1\r\n"
    )
    report = import_listing(text)
    assert [(run.mode, run.site, run.raw) for run in report.runs] == [
        ("imaging", "Ashes", ()),
        ("diffuse", "Ashes", ()),
    ]
    assert {reason: sort.count for reason, sort in report.skipped.items()} == {
        "rows that cannot be read": 1,
        "names that are not of a COVIS run": 1,
    }
    assert accounted(report)
    assert [run.raw for run in import_listing(text, "wasabi").runs] == [
        (RawFile("WASABI", "2018/07/29/COVIS-20180729T144948-imaging.tar.gz", 406232570),),
        (RawFile("WASABI", "2018/07/29/COVIS-20180729T160020-diffuse.7z", 3229448),),
    ]


def test_faulty_names_are_taken_and_told() -> None:
    """An archive whose name lost its mode is a run all the same; the report says so."""
    report = import_listing("1\t5\t./2011/10/01/APLUWCOVISMBSONAR001_20111001T210757.7z\n")
    assert [(run.mode, run.site) for run in report.runs] == [("(unknown)", "Endeavour")]
    assert report.faulty["the mode is lost"].examples == ("APLUWCOVISMBSONAR001_20111001T210757",)


@pytest.mark.parametrize(
    ("text", "host", "sentence"),
    [
        ("", "DMAS", "unknown kind of listing"),
        ("hello", "DMAS", "unknown kind of listing"),
        ('["a.tar', "DMAS", "the JSON list is damaged"),
        ("[]", None, "does not say where its files lie"),
        ("5\t1\t./x.tar\n", "OLD-COVIS-NAS6", "this is the listing of NAS 5"),
        ("5\t1\t./x.tar\n", "a b", "not a host name"),
    ],
)
def test_no_listing(text: str, host: str | None, sentence: str) -> None:
    """What is no listing, or contradicts its host, is refused by a sentence."""
    with pytest.raises(ListingError, match=sentence):
        import_listing(text, host)


A, B, C = (f"2019/10/24/COVIS-20191024T0{hour}3346-diffuse3.tar.gz" for hour in (1, 2, 3))


@pytest.mark.parametrize(
    ("kind", "bad"),
    [
        ("nas", "5\tmany\tx.tar.gz"),
        ("nas", "9\t12"),
        ("nas", "# of disk 5"),
        ("nas", "\0\0\0"),
        ("nas", f"\u0665\t\u0665\t{A}"),
        ("nas", f"5\t{'9' * 30}\tx"),
        ("onc", f'"{A}'),
        ("onc", "{"),
        ("onc", '"\\u12"'),
        ("report", '"' + "x" * 200_000),
        ("report", 'COVIS-20191024T043346-diffuse3,2019,"'),
        ("report", "COVIS-20191024T043346-diffuse3,9999-99-99,Ashes,diffuse3,1,2,3"),
        ("report", "\0,\0"),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 3])
def test_one_bad_line_costs_that_line(kind: str, bad: str, place: int) -> None:
    """Wherever a bad line stands, the others are read, and it is told, unless nothing is on it."""
    names = [name.rpartition("/")[2].removesuffix(".tar.gz") for name in (A, B, C)]
    if kind == "nas":
        lines = [f"5\t1000\t{name}" for name in (A, B, C)]
        text = "\n".join([*lines[:place], bad, *lines[place:]])
    elif kind == "onc":
        lines = [f'"{name}"' for name in (A, B, C)]
        text = "[\n" + ",\n".join([*lines[:place], bad, *lines[place:]]) + "\n]"
    else:
        lines = [f"{name},2019-10-24T01:33:46,Ashes,diffuse3,1,2,3" for name in names]
        header = "basename,datetime,site,mode,raw_size,gz_size,7z_size"
        text = "\n".join([header, *lines[:place], bad, *lines[place:]])
    report = import_listing(text, "COVIS-NAS" if kind == "onc" else None)
    assert [run.basename for run in report.runs] == names
    assert sum(skipped.count for skipped in report.skipped.values()) == (bad.strip("\0") != "")


def test_wide_text(tmp_path: Path) -> None:
    """A listing that an editor has saved as UTF-16 is read."""
    path = tmp_path / "list.txt"
    path.write_text(f"5\t1000\t{A}\r\n", "utf-16")
    assert len(import_listing(path).runs) == 1


def test_no_file(tmp_path: Path) -> None:
    """A listing that is not there is refused by a sentence that names it."""
    with pytest.raises(ListingError, match=r"listing\.json cannot be read: No such file"):
        import_listing(tmp_path / "listing.json", "DMAS")


@pytest.fixture
def store() -> fsspec.AbstractFileSystem:
    """Give a store in memory that nobody else uses."""

    class Store(MemoryFileSystem):  # type: ignore[misc]
        store: dict[str, object] = {}  # noqa: RUF012 (the files of this class, as fsspec has it)
        pseudo_dirs = [""]  # noqa: RUF012

    return Store(skip_instance_cache=True)


def test_walk(store: fsspec.AbstractFileSystem) -> None:
    """A walk takes the archives below a folder, with paths relative to it and the store's sizes."""
    store.pipe(f"/raw/2014/12/15/{IMAGING}.tar.gz", b"12345")
    store.pipe(f"/raw/2014/12/15/{IMAGING}.7z", b"1")
    store.pipe(f"/raw/{FOLDER}/sweep.json", b"{}")
    store.pipe(f"/other/{DOPPLER}.tar", b"1")
    report = walk_store(store, "/raw", "covis-nas")
    assert raw(report) == {IMAGING: (RawFile("COVIS-NAS", f"2014/12/15/{IMAGING}.tar.gz", 5),)}
    assert accounted(report)


def test_walk_of_nothing(store: fsspec.AbstractFileSystem) -> None:
    """A folder that is not there, or a store that does not answer, is a sentence."""
    with pytest.raises(ListingError, match="there is no '/raw' to walk"):
        walk_store(store, "/raw", "covis-nas")

    def broken(*_: object, **__: object) -> None:
        raise ConnectionResetError("reset by peer")

    store.find = broken
    with pytest.raises(
        ListingError, match=r"'/raw' cannot be walked: the store does not answer \(reset by peer\)"
    ):
        walk_store(store, "/raw", "covis-nas")


@pytest.fixture(scope="session")
def listing(shared: Path) -> Callable[[str, str | None], ImportReport]:
    """Give the real listings, each read once."""
    known: dict[tuple[str, str | None], ImportReport] = {}

    def read(name: str, host: str | None = None) -> ImportReport:
        if (name, host) not in known:
            known[name, host] = import_listing(shared / "listings" / name, host)
        return known[name, host]

    return read


Listing = Callable[..., ImportReport]


@pytest.mark.parametrize(
    ("years", "modes"),
    [
        ("2010_2012", {"IMAGING": 4235, "DOPPLER": 3913, "DIFFUSE": 3654}),
        ("2013", {"IMAGING": 2855, "DOPPLER": 2880, "DIFFUSE": 2852}),
        ("2014", {"IMAGING": 2554, "DOPPLER": 2552, "DIFFUSE": 2914}),
    ],
)
def test_runs_of_the_onc_lists(listing: Listing, years: str, modes: dict[str, int]) -> None:
    """The real ONC lists hold so many runs of each mode (2014: 8,020), and nothing else becomes one."""
    report = listing(f"covis_dmas_{years}.json", "DMAS")
    assert Counter(run.mode for run in report.runs) == modes
    assert {run.raw[0].filename for run in report.runs} == {f"{run.basename}.tar" for run in report.runs}
    assert set(report.skipped) == {"products (.mat, .pdf, .png)", "logs (.txt)"}
    assert accounted(report)


@pytest.mark.parametrize(("number", "runs"), [(1, 4797), (3, 6111), (5, 5956), (6, 20696)])
def test_runs_of_the_nas_listings(listing: Listing, number: int, runs: int) -> None:
    """The real NAS listings hold so many archives, each with its size, on the host of their number."""
    report = listing(f"covis-nas{number}.txt")
    assert len(report.runs) == runs
    assert {run.raw[0].host for run in report.runs} == {f"OLD-COVIS-NAS{number}"}
    assert all(run.raw[0].filesize for run in report.runs)
    assert all(run.raw[0].filename == f"{run.datetime:%Y/%m/%d}/{run.basename}.tar.gz" for run in report.runs)
    assert not report.faulty
    assert accounted(report)


def test_junk_of_nas5(listing: Listing) -> None:
    """The loose files and folders of covis-nas5.txt are told by reason; two .tar yield to their .tar.gz."""
    assert {reason: sort.count for reason, sort in listing("covis-nas5.txt").skipped.items()} == {
        "loose files in the folder of a run": 26344,
        "folders, and files without an extension": 25,
        "further files of a run that has a better one here": 2,
    }


def test_runs_of_2014_on_the_nas(listing: Listing) -> None:
    """Of the 8,020 runs of 2014, the NAS listings hold 6,135."""
    year = {run.basename for run in listing("covis_dmas_2014.json", "DMAS").runs}
    held = {run.basename for number in (1, 3, 5, 6) for run in listing(f"covis-nas{number}.txt").runs}
    assert len(year) == 8020
    assert len(year & held) == 6135


def test_runs_of_the_metadata_report(listing: Listing) -> None:
    """The real report holds 5,862 Ashes runs, of the modes that docs/method.md#mode-words counts."""
    report = listing("covis_db_metadata_report_20190221.csv")
    assert len(report.runs) == 5862
    assert {run.site for run in report.runs} == {"Ashes"}
    modes = Counter(run.mode.rstrip("123") for run in report.runs)
    assert (modes["imaging"], modes["survey"], modes["doppler"], modes["target"]) == (542, 3, 99, 18)
    assert not report.skipped
