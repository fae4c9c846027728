"""Hosts of raw archives: names, kinds, and which copy comes first."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.hosts import DEFAULT_ORDER, best_file, host_kind, normalise, one_per_host, preferred
from catalog.model import RawFile


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("covis-nas", "nas"),
        ("OLD-COVIS-NAS6", "old-nas"),
        ("OLD-COVIS-NAS7", "other"),
        ("Wasabi", "wasabi"),
        ("dmas", "dmas"),
        ("MY-DISK", "other"),
    ],
)
def test_host_kind(name: str, kind: str) -> None:
    """The kind of a host is told by its name, in any case."""
    assert host_kind(name) == kind


def test_names_are_kept_in_upper_case() -> None:
    """A host's name is brought to upper case."""
    assert normalise(" my-disk_2.lab ") == "MY-DISK_2.LAB"


@pytest.mark.parametrize("name", ["", " ", "a b", "a/b", "-nas", "näs"])
def test_what_is_no_host_name(name: str) -> None:
    """A name that no configuration could carry is refused."""
    with pytest.raises(ValueError, match="not a host name"):
        normalise(name)


def test_default_order() -> None:
    """COVIS-NAS, the old NAS by number, WASABI, DMAS, then others by name; however they were listed."""
    hosts = ["COVIS-NAS", "OLD-COVIS-NAS2", "OLD-COVIS-NAS5", "WASABI", "DMAS", "A-DISK", "Z-DISK"]
    for order in list(permutations(hosts))[::97]:
        assert [file.host for file in preferred(RawFile(host, "f.tar") for host in order)] == hosts


def test_order_of_ones_own() -> None:
    """Hosts named in an order come first, in any case; the others follow in the usual order."""
    raw = [RawFile(host, "f.tar") for host in ("COVIS-NAS", "OLD-COVIS-NAS1", "WASABI", "DMAS", "A-DISK")]
    chosen = preferred(raw, order=("a-disk", "dmas", "not-here"))
    assert [file.host for file in chosen] == ["A-DISK", "DMAS", "COVIS-NAS", "OLD-COVIS-NAS1", "WASABI"]


@given(st.permutations(["x.tar.gz", "x.tar", "x.7z", "tmp/x.tar.gz"]))
def test_best_file(names: list[str]) -> None:
    """Of several files of a run .tar.gz wins, then .tar, then .7z; the others are handed back."""
    best, others = best_file(RawFile("H", name) for name in names)
    assert [file.filename for file in (best, *others)] == ["x.tar.gz", "tmp/x.tar.gz", "x.tar", "x.7z"]


@given(
    st.lists(
        st.tuples(st.sampled_from((*DEFAULT_ORDER, "X")), st.sampled_from(["x.tar.gz", "x.tar", "x.7z"]))
    )
)
def test_one_per_host(entries: list[tuple[str, str]]) -> None:
    """Each host keeps exactly one entry, and none is lost."""
    kept = one_per_host(RawFile(*entry) for entry in entries)
    assert [file.host for file in kept] == [
        h for h in (*DEFAULT_ORDER, "X") if h in {host for host, _ in entries}
    ]
