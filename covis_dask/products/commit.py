"""How a product is committed: the manifest changes by compare-and-swap, and nothing else ever does.

The files of a new version go up first, under a name that nobody else draws. Then the manifest that names them
is put on condition that the one in the store is still the one that was read. When it is not, it is read again
and decided anew (`NewLevel1`, `NewLevel2`, `Adoption`); so no finished work is dropped because somebody else
was quicker with something else, and no older request replaces what a newer one has committed. Requests are
ordered by the fencing tokens of their claims, never by a clock.

All of this is pure but for the three calls of a `ManifestStore`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Protocol

from covis_dask.errors import LegacyProduct, ProductDamaged, RunError, StorageUnavailable
from covis_dask.products.manifest import Level2, Manifest, is_ours
from covis_dask.products.paths import ProductPaths
from covis_dask.storage import Tagged

__all__ = [
    "Adoption",
    "ManifestStore",
    "NewLevel1",
    "NewLevel2",
    "Seen",
    "Standing",
    "Verdict",
    "commit",
    "look",
    "standing",
]

_MOST_SWAPS = 100
"""So often a manifest may change under our hands before we take it for a fault of the store."""


class ManifestStore(Protocol):
    """What the protocol asks of a store; each call either says what is so, or raises `StorageUnavailable`.

    A put that says no, or raises, may have been carried out all the same.
    """

    def read_tagged(self, path: str) -> Tagged | None:
        """Return the contents with their tag, or None."""

    def put_if_absent(self, path: str, data: bytes) -> bool:
        """Store on condition that there is nothing."""

    def put_if_match(self, path: str, data: bytes, tag: str) -> bool:
        """Store on condition that the contents are those of the tag."""


class Verdict(Enum):
    """How a commit ended."""

    COMMITTED = auto()
    ALREADY = auto()
    """Another has committed the same; ours is not needed."""
    SUPERSEDED = auto()
    """Another has committed something else that stands before ours."""


class Standing(Enum):
    """What is to be done, after a look at the manifest and before anything is computed."""

    MAKE = auto()
    ALREADY = auto()
    BEHIND = auto()
    """It was committed under a higher token than ours: our claim is not the newest, or its catalogue is."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What lay where the manifest goes, when it was looked at.

    Parameters
    ----------
    tag : str, optional
        None when nothing was there.
    manifest : Manifest, optional
    fault : RunError, optional
        What was there instead of a manifest that we can use: `LegacyProduct` or `ProductDamaged`.
    """

    tag: str | None = None
    manifest: Manifest | None = None
    fault: RunError | None = field(default=None, compare=False)


def look(store: ManifestStore, run: str, name: str = "") -> Seen:
    """Read the manifest in a run's folder.

    Parameters
    ----------
    store : ManifestStore
    run : str
        The run's folder below the store.
    name : str
        What faults call that folder; its path when not given.

    Raises
    ------
    StorageUnavailable
        When the store does not answer.
    """
    found, name = store.read_tagged(ProductPaths.manifest(run)), name or run
    if found is None:
        return Seen()
    try:
        document = json.loads(found.data)
    except ValueError as error:
        fault = ProductDamaged(
            f"the manifest at {name} cannot be used (it is no JSON: {error}); --force replaces the product"
        )
        return Seen(found.tag, fault=fault)
    if not is_ours(document):
        legacy = LegacyProduct(
            f"a product that this program did not make lies at {name}: --force replaces it, "
            "--prefix writes elsewhere"
        )
        return Seen(found.tag, fault=legacy)
    try:
        return Seen(found.tag, Manifest.at(name, document))
    except ProductDamaged as damaged:
        return Seen(found.tag, fault=damaged)


def standing(
    seen: Seen,
    *,
    fingerprint: str,
    formats: frozenset[str],
    token: int,
    forced_by: str | None = None,
) -> Standing:
    """Decide whether a product is to be made.

    Parameters
    ----------
    seen : Seen
    fingerprint : str
        Of the product that is wanted.
    formats : frozenset of str
        That it must have.
    token : int
        Fencing token of our claim.
    forced_by : str, optional
        The batch that makes it whatever is there; but what that batch itself has made is not made again.

    Raises
    ------
    LegacyProduct, ProductDamaged
        When what is there must not be replaced unasked.
    """
    if seen.fault is not None and forced_by is None:
        raise seen.fault
    held = seen.manifest
    if held is None:
        return Standing.MAKE
    made = forced_by is None or (token > 0 and held.batch == forced_by)
    if made and held.fingerprint == fingerprint and held.formats >= formats:
        return Standing.ALREADY
    return Standing.BEHIND if held.token > token else Standing.MAKE


@dataclass(frozen=True, slots=True)
class Swap:
    """A manifest that is to take the place of the one that was read, and how the commit has ended then."""

    manifest: Manifest
    verdict: Verdict = Verdict.COMMITTED


class _Change(Protocol):
    """A change of the manifest that is to be committed."""

    def settle(self, start: Seen, now: Seen) -> Swap | Verdict:
        """Say what manifest to put in the place of the one that is there now, or that it is over.

        Parameters
        ----------
        start : Seen
            What was there when the work began.
        now : Seen
            What is there now; the same at first.
        """


@dataclass(frozen=True, slots=True)
class NewLevel1:
    """A product that was made, anew or for the first time.

    Parameters
    ----------
    ours : Manifest
    renew : bool
        Leave nothing of the product that is replaced, even if it has formats that ours lacks.
    """

    ours: Manifest
    renew: bool = False

    def settle(self, start: Seen, now: Seen) -> Swap | Verdict:
        """See `_Change`."""
        ours, theirs = self.ours, now.manifest
        if theirs is not None and _names(theirs, ours.folder):
            return Verdict.COMMITTED  # the answer was lost, or somebody has built on ours since
        if now.tag == start.tag or now.tag is None:
            return self._over(theirs, formats=not self.renew)
        if theirs is None:
            return Verdict.SUPERSEDED  # by a later version of this program, or another one
        if start.manifest is not None and _level1(theirs) == _level1(start.manifest):
            return self._over(theirs, formats=not self.renew)
        if theirs.fingerprint == ours.fingerprint:
            if theirs.formats >= ours.formats:
                return _adopted(theirs, ours.token)
            return self._over(theirs, formats=True)
        return self._over(theirs, formats=False) if ours.token > theirs.token else Verdict.SUPERSEDED

    def _over(self, theirs: Manifest | None, *, formats: bool) -> Swap:
        """Put ours in the place of theirs, and keep of theirs what belongs to ours as well."""
        ours = self.ours
        if theirs is None or theirs.fingerprint != ours.fingerprint:
            return Swap(ours)
        held = {entry.plain for entry in ours.files}
        kept = tuple(
            entry
            for entry in theirs.files
            if formats and _format_of(theirs, entry.plain) and entry.plain not in held
        )
        return Swap(replace(ours, files=ours.files + kept, level2=theirs.level2))


@dataclass(frozen=True, slots=True)
class NewLevel2:
    """Something derived from a product, to be named beside it.

    Parameters
    ----------
    ours : Level2
    """

    ours: Level2

    def settle(self, start: Seen, now: Seen) -> Swap | Verdict:
        """See `_Change`. What was derived from an older product is never committed beside a newer one."""
        ours, below = self.ours, now.manifest
        if below is None or below.fingerprint != ours.level1:
            return Verdict.SUPERSEDED
        theirs = below.level2
        if theirs is not None:
            if theirs.folder == ours.folder:
                return Verdict.COMMITTED
            before = None if start.manifest is None else start.manifest.level2
            if theirs != before:
                if theirs.fingerprint == ours.fingerprint:
                    return Verdict.ALREADY
                if ours.token <= theirs.token:
                    return Verdict.SUPERSEDED
        return Swap(replace(below, level2=ours))


@dataclass(frozen=True, slots=True)
class Adoption:
    """Nothing new: what is there is what is wanted, and comes under the newest claim.

    Without that, somebody with an older claim than ours could still put something else in its place, after we
    have said that all is well.

    Parameters
    ----------
    fingerprint : str
        Of the product that is wanted.
    formats : frozenset of str
        That it must have.
    token : int
        Fencing token of our claim.
    """

    fingerprint: str
    formats: frozenset[str]
    token: int

    def settle(self, start: Seen, now: Seen) -> Swap | Verdict:  # noqa: ARG002 (what was there once is no matter)
        """See `_Change`; `SUPERSEDED` when it is not there any more."""
        theirs = now.manifest
        if theirs is None or theirs.fingerprint != self.fingerprint or not theirs.formats >= self.formats:
            return Verdict.SUPERSEDED
        return _adopted(theirs, self.token)


def _adopted(theirs: Manifest, token: int) -> Swap | Verdict:
    """Leave what is there, under the higher token; a manifest of layout 1 has none, and stays as it is."""
    if theirs.token >= token or not theirs.folder:
        return Verdict.ALREADY
    return Swap(replace(theirs, token=token), Verdict.ALREADY)


def commit(
    store: ManifestStore,
    run: str,
    start: Seen,
    change: NewLevel1 | NewLevel2 | Adoption,
    check: Callable[[Manifest], None] = lambda _: None,
) -> Verdict:
    """Commit a change; may be repeated, with the same arguments, when it raised.

    Parameters
    ----------
    store : ManifestStore
    run : str
        The run's folder below the store.
    start : Seen
        What lay there when the work began (`look`).
    change : NewLevel1, NewLevel2 or Adoption
    check : callable
        Looks at the files that a manifest names, right before it is put.

    Returns
    -------
    Verdict
        Unless it is `COMMITTED`, no manifest names our files, and none will: they can be removed.

    Raises
    ------
    StorageUnavailable
        When the store does not answer; then it is not known whether the change was committed.
    """
    now, path = start, ProductPaths.manifest(run)
    for _ in range(_MOST_SWAPS):
        wanted = change.settle(start, now)
        if isinstance(wanted, Verdict):
            return wanted
        check(wanted.manifest)
        data = wanted.manifest.to_json().encode()
        tag = now.tag
        put = store.put_if_absent(path, data) if tag is None else store.put_if_match(path, data, tag)
        if put:
            return wanted.verdict
        now = look(store, run)
    raise StorageUnavailable(f"the manifest at {run} does not stand still: {_MOST_SWAPS} swaps were refused")


def _names(manifest: Manifest, folder: str) -> bool:
    return manifest.folder == folder or any(entry.is_in(folder) for entry in manifest.files)


def _level1(manifest: Manifest) -> Manifest:
    return replace(manifest, level2=None)


def _format_of(manifest: Manifest, plain: str) -> bool:
    """Tell the data files from log and picture, of which a product has one."""
    head = plain.split("/")[0]
    return any(head == f"{manifest.basename}.{name}" for name in manifest.formats)
