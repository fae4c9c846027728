"""The commit protocol: what stands after any two have met, and nothing finished is dropped without need."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from covis_dask.errors import LegacyProduct, ProductDamaged, StorageUnavailable
from covis_dask.products.commit import (
    Adoption,
    NewLevel1,
    NewLevel2,
    Seen,
    Standing,
    Verdict,
    commit,
    look,
    standing,
)
from covis_dask.products.manifest import Manifest
from tests.unit._manifests import BASENAME, RUN, MemoryStore, manifest, second

_OLD = manifest("old", "0", token=1)


def _stands(store: MemoryStore) -> Manifest:
    found = look(store, RUN).manifest
    assert found is not None
    return found


def _held(*manifests: Manifest) -> MemoryStore:
    return MemoryStore.holding(manifests[-1].to_document()) if manifests else MemoryStore()


@pytest.mark.parametrize("before", [(), (_OLD,)])
def test_an_undisturbed_commit_stands(before: tuple[Manifest, ...]) -> None:
    """The first product of a run, and one that replaces another, are what is read afterwards."""
    store, ours = _held(*before), manifest("new", token=2)
    assert commit(store, RUN, look(store, RUN), NewLevel1(ours)) is Verdict.COMMITTED
    assert _stands(store) == ours


def test_of_two_with_the_same_fingerprint_the_first_stands() -> None:
    """The second is told that it was there already; a higher token of its own then stands on it."""
    for token in (1, 2, 3):
        store, first = _held(_OLD), manifest("new", "1", token=2)
        start = look(store, RUN)
        commit(store, RUN, start, NewLevel1(first))
        late = NewLevel1(manifest("new", "2", token=token), renew=True)
        assert commit(store, RUN, start, late) is Verdict.ALREADY
        assert _stands(store) == replace(first, token=max(token, 2))


@pytest.mark.parametrize(("ours", "theirs", "stands"), [(3, 2, "ours"), (2, 3, "theirs"), (2, 2, "theirs")])
@pytest.mark.parametrize("before", [(), (_OLD,)])
def test_the_newest_request_wins(before: tuple[Manifest, ...], ours: int, theirs: int, stands: str) -> None:
    """Of two fingerprints the higher token stands; of equal ones the one that was committed first."""
    store = _held(*before)
    start = look(store, RUN)
    commit(store, RUN, start, NewLevel1(manifest("theirs", token=theirs)))
    verdict = commit(store, RUN, start, NewLevel1(manifest("ours", token=ours)))
    assert verdict is (Verdict.COMMITTED if stands == "ours" else Verdict.SUPERSEDED)
    assert _stands(store).fingerprint == stands


def test_a_level_2_that_was_added_meanwhile_does_not_cost_a_product() -> None:
    """Level 1 is unchanged: the swap is made again; what was derived from other numbers is not kept."""
    for fingerprint, kept in (("old", True), ("new", False)):
        store = _held(_OLD)
        start = look(store, RUN)
        assert commit(store, RUN, start, NewLevel2(second("old"))) is Verdict.COMMITTED
        ours = NewLevel1(manifest(fingerprint, token=1), renew=True)
        assert commit(store, RUN, start, ours) is Verdict.COMMITTED
        assert _stands(store).folder == ours.ours.folder
        assert (_stands(store).level2 is not None) == kept


def test_formats_that_two_add_at_once_are_both_there() -> None:
    """Each swaps again with what the other has added; the files stay where their makers put them."""
    store = _held(manifest("a", "0"))
    start = look(store, RUN)
    commit(store, RUN, start, NewLevel1(manifest("a", "1", formats=("nc", "mat"))))
    verdict = commit(store, RUN, start, NewLevel1(manifest("a", "2", formats=("nc", "zarr"))))
    assert verdict is Verdict.COMMITTED
    assert _stands(store).formats == {"nc", "mat", "zarr"}
    assert {entry.name for entry in _stands(store).files} == {
        f"v/a-2/{BASENAME}.nc", f"v/a-2/{BASENAME}.zarr", "v/a-2/output.txt", f"v/a-1/{BASENAME}.mat",
    }  # fmt: skip


def test_what_others_build_on_is_not_taken_for_lost() -> None:
    """The answer is lost, another adds a format of its own: ours is committed, its folder must stay."""
    store = MemoryStore()
    ours = NewLevel1(manifest("a", "1", formats=("nc", "mat")))
    commit(store, RUN, Seen(), ours)
    commit(store, RUN, look(store, RUN), NewLevel1(manifest("a", "2", formats=("nc", "zarr"))))
    assert _stands(store).folder == "v/a-2"
    assert commit(store, RUN, Seen(), ours) is Verdict.COMMITTED


def test_a_level_2_of_an_older_product_is_never_committed() -> None:
    """Its level 1 is another one now, or is gone."""
    store = _held(_OLD)
    start = look(store, RUN)
    commit(store, RUN, start, NewLevel1(manifest("new")))
    assert commit(store, RUN, start, NewLevel2(second("old"))) is Verdict.SUPERSEDED
    assert commit(MemoryStore(), RUN, start, NewLevel2(second("old"))) is Verdict.SUPERSEDED


def test_level_2_swaps_over_a_level_1_made_again() -> None:
    """The same numbers in another version: what was derived from them holds."""
    store = _held(manifest("a", "1"))
    start = look(store, RUN)
    commit(store, RUN, start, NewLevel1(manifest("a", "2", token=1), renew=True))
    assert commit(store, RUN, start, NewLevel2(second("a"))) is Verdict.COMMITTED
    assert (_stands(store).folder, _stands(store).level2) == ("v/a-2", second("a"))


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [
        (second("old", "2", "A", token=9), Verdict.ALREADY),
        (second("old", "2", "B", token=3), Verdict.COMMITTED),
        (second("old", "2", "B", token=2), Verdict.SUPERSEDED),
        (second("old", "2", "B", token=1), Verdict.SUPERSEDED),
    ],
)
def test_two_of_level_2(ours: "object", verdict: Verdict) -> None:
    """As with level 1: the same is there already, else the newest request wins."""
    store = _held(_OLD)
    start = look(store, RUN)
    commit(store, RUN, start, NewLevel2(second("old", "1", "A", token=2)))
    assert commit(store, RUN, start, NewLevel2(ours)) is verdict  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [b"{", b"\xff\xfe", b"[]", b'{"schema": "covis-dask/manifest/9"}', b""])
def test_a_manifest_that_changes_to_what_we_cannot_read_is_left(data: bytes) -> None:
    """A later version has been there meanwhile, or another program: ours steps back."""
    store = MemoryStore()
    store.objects[f"{RUN}/metadata.json"] = data
    assert commit(store, RUN, Seen(), NewLevel1(manifest())) is Verdict.SUPERSEDED
    assert store.objects[f"{RUN}/metadata.json"] == data


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        (b"{", ProductDamaged),
        ({"schema": "covis-dask/manifest/9"}, ProductDamaged),
        ({"a": 1}, LegacyProduct),
    ],
)
def test_what_we_cannot_read_is_replaced_when_told_to(document: object, fault: type[Exception]) -> None:
    """Unasked it is one run's fault, with advice; with --force it is swapped as anything else is."""
    store = MemoryStore.holding(document)
    seen = look(store, RUN)
    with pytest.raises(fault, match="--force"):
        standing(seen, fingerprint="a", formats=frozenset(), token=0)
    stands = standing(seen, fingerprint="a", formats=frozenset(), token=0, forced_by="b")
    assert stands is Standing.MAKE
    assert commit(store, RUN, seen, NewLevel1(manifest(), renew=True)) is Verdict.COMMITTED


@pytest.mark.parametrize(
    ("held", "token", "force", "stands"),
    [
        (None, 0, False, Standing.MAKE),
        (manifest("a", token=1), 2, False, Standing.ALREADY),
        (manifest("a", token=3), 2, False, Standing.ALREADY),
        (manifest("a", token=1), 2, True, Standing.MAKE),
        (manifest("a", token=3), 2, True, Standing.BEHIND),
        (replace(manifest("a", token=2), batch="ours"), 2, True, Standing.ALREADY),
        (manifest("b", token=2), 2, False, Standing.MAKE),
        (manifest("b", token=3), 2, False, Standing.BEHIND),
        (manifest("a", token=2, formats=("mat",)), 2, False, Standing.MAKE),
        (manifest("a", token=3, formats=("mat",)), 2, False, Standing.BEHIND),
    ],
)
def test_what_a_look_decides(held: Manifest | None, token: int, force: bool, stands: Standing) -> None:
    """Already only after comparing fingerprints; never anything older over what a newer claim has made."""
    seen = Seen() if held is None else Seen("t", held)
    forced_by = "ours" if force else None
    decided = standing(seen, fingerprint="a", formats=frozenset({"nc"}), token=token, forced_by=forced_by)
    assert decided is stands


def test_what_is_adopted_comes_under_the_newer_claim() -> None:
    """Else an older request that is still on its way could replace what a newer one has called done."""
    store = MemoryStore()
    assert commit(store, RUN, look(store, RUN), NewLevel1(manifest("a", token=1))) is Verdict.COMMITTED
    zombie = look(store, RUN)
    adoption = Adoption("a", frozenset({"nc"}), 3)
    assert commit(store, RUN, look(store, RUN), adoption) is Verdict.ALREADY
    late = replace(manifest("b", token=2), folder="v/bbbbbbbb-00000002")
    assert commit(store, RUN, zombie, NewLevel1(late)) is Verdict.SUPERSEDED
    held = look(store, RUN).manifest
    assert held is not None
    assert (held.fingerprint, held.token) == ("a", 3)
    assert commit(store, RUN, look(store, RUN), replace(adoption, token=2)) is Verdict.ALREADY
    assert commit(store, RUN, look(store, RUN), replace(adoption, fingerprint="b")) is Verdict.SUPERSEDED


def test_a_store_that_always_refuses_is_an_outage() -> None:
    """The protocol does not turn for ever."""

    class Stubborn(MemoryStore):
        def _put(self, *_: object) -> bool:
            return False

    with pytest.raises(StorageUnavailable, match="does not stand still"):
        commit(Stubborn(), RUN, Seen(), NewLevel1(manifest()))


def test_nothing_is_put_that_the_check_refuses() -> None:
    """Files that are not there are never named."""

    def refuse(_: Manifest) -> None:
        raise StorageUnavailable("gone")

    store = _held(_OLD)
    with pytest.raises(StorageUnavailable):
        commit(store, RUN, look(store, RUN), NewLevel1(manifest()), refuse)
    assert _stands(store) == _OLD


# Any number of writers, in any order, each stopped for a while at any call; with answers lost and refused.


@dataclass
class _Writer:
    """One that looks, decides, and then commits; it repeats what raised."""

    change: NewLevel1 | NewLevel2
    start: Seen | None = None
    verdict: Verdict | None = None
    busy: bool = False


@dataclass
class _World(MemoryStore):
    """Before a put, lets another writer do all it can, or loses an answer, as it is told."""

    events: list[str | int] = field(default_factory=list)
    writers: list[_Writer] = field(default_factory=list)
    history: list[Manifest] = field(default_factory=list)

    def _put(self, path: str, data: bytes, tag: str | None) -> bool:
        event = self.events.pop() if self.events else "none"
        if isinstance(event, int):
            self.go(self.writers[event % len(self.writers)])
        if event == "before":
            raise StorageUnavailable("no answer")
        if event == "denied":
            return False
        done = super()._put(path, data, tag)
        if done:
            self.history.append(Manifest.from_document(json.loads(data)))
        if event == "after":
            raise StorageUnavailable("the answer was lost")
        return done

    def go(self, writer: _Writer) -> None:
        """Let a writer look, or else commit, unless it is stopped in the middle of that."""
        if writer.busy or writer.verdict is not None:
            return
        writer.busy = True
        if writer.start is None:
            writer.start, writer.verdict = _looked(self, writer.change)
        else:
            with suppress(StorageUnavailable):
                writer.verdict = commit(self, RUN, writer.start, writer.change)
        writer.busy = False


def _looked(store: MemoryStore, change: NewLevel1 | NewLevel2) -> tuple[Seen, Verdict | None]:
    seen = look(store, RUN)
    if isinstance(change, NewLevel2):
        fits = seen.manifest is not None and seen.manifest.fingerprint == change.ours.level1
        return seen, None if fits else Verdict.SUPERSEDED
    ours = change.ours
    stands = standing(
        seen,
        fingerprint=ours.fingerprint,
        formats=ours.formats,
        token=ours.token,
        forced_by="another" if change.renew else None,
    )
    return seen, None if stands is Standing.MAKE else Verdict.SUPERSEDED


_CHANGES = st.one_of(
    st.builds(
        lambda print_, token, formats, renew: (
            lambda number: NewLevel1(
                manifest(print_, str(number), token=token, formats=tuple(sorted(formats))), renew
            )
        ),
        st.sampled_from("abc"),
        st.integers(0, 3),
        st.sets(st.sampled_from(["nc", "mat", "zarr"]), min_size=1),
        st.booleans(),
    ),
    st.builds(
        lambda level1, print_, token: lambda number: NewLevel2(second(level1, str(number), print_, token)),
        st.sampled_from("abc"),
        st.sampled_from("AB"),
        st.integers(0, 3),
    ),
)
_EVENTS = st.sampled_from(["none", "before", "after", "denied", 0, 1, 2, 3, 4])


@given(st.lists(_CHANGES, min_size=1, max_size=5), st.lists(st.integers(0, 4)), st.lists(_EVENTS))
@settings(max_examples=400)
def test_whoever_meets_whom(
    changes: list[Callable[[int], NewLevel1 | NewLevel2]], order: list[int], events: list[str | int]
) -> None:
    """Who is told "committed" was; nothing gives way to an older request; what may be removed is unnamed."""
    writers = [_Writer(make(number)) for number, make in enumerate(changes)]
    world = _World(events=list(events), writers=writers)
    for turn in order:
        world.go(writers[turn % len(writers)])
    for writer in writers:
        while writer.verdict is None:
            world.go(writer)
    ever = {folder for one in world.history for folder in _folders(one)}
    last = _folders(world.history[-1]) if world.history else set()
    for writer in writers:
        if writer.verdict is Verdict.COMMITTED:
            assert writer.change.ours.folder in ever
        else:
            assert writer.change.ours.folder not in last
    for before, after in pairwise(world.history):
        _check_step(before, after, {one.change.ours.folder: one for one in writers})


def _folders(one: Manifest) -> set[str]:
    return {"/".join(entry.name.split("/")[:2]) for entry in one.all_files}


def _check_step(before: Manifest, after: Manifest, makers: dict[str, _Writer]) -> None:
    """Check that a manifest gave way to another by right."""
    if after.level2 is not None:
        assert after.level2.level1 == after.fingerprint
    if after.fingerprint == before.fingerprint:
        assert after.level2 is not None or before.level2 is None
        maker = makers[after.folder].change
        assert after.formats >= before.formats or (isinstance(maker, NewLevel1) and maker.renew)
        return
    start = makers[after.folder].start
    assert start is not None
    asked_over = start.manifest is not None and replace(start.manifest, level2=None) == replace(
        before, level2=None
    )
    assert after.token > before.token or (asked_over and after.token == before.token)
