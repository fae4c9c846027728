"""Leases and claims as a batch sees them: what it holds, what it waits for, what it has lost.

A batch lives for the others as long as the counter of its lease moves. Whoever wants a run of a batch whose
counter has stood still for two heartbeats, by its own monotonic clock and under its own eyes, takes the lease
over. No wall clock decides anything. Here are the decisions; catalogue and clock are given, and nothing here
waits or has a thread (`covis_dask.batches.keeper` has).
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from catalog.model import Batch
from catalog.store import Catalog
from covis_dask.batches.job import Task

__all__ = ["BEATS", "Claims", "Lease", "LeaseWatch", "Settled", "heartbeat_of"]

BEATS = 2
"""Heartbeats without a sign of life after which a batch counts as dead."""

_LOOKS = 8
"""Looks at the leases a heartbeat, at most, while runs wait."""
_NOBODY = ""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A counter, and since when it has been seen to stand there."""

    beat: int
    since: float


def heartbeat_of(batch: Batch) -> float:
    """Return the heartbeat that a batch's document tells, s; 0 where it tells none."""
    told = batch.settings.get("heartbeat")
    return float(told) if isinstance(told, int | float) else 0.0


class LeaseWatch:
    """Tells whether leases move, by looking at their counters again and again.

    Parameters
    ----------
    heartbeat : float
        Between two looks no more time than this may pass, s; else nobody has watched, and it begins anew.
    """

    def __init__(self, heartbeat: float) -> None:
        self._heartbeat = heartbeat
        self._seen: Mapping[str, _Seen] = {}
        self._looked = float("-inf")

    def look(self, counters: Mapping[str, int], now: float) -> None:
        """Take in the counters of the open leases, as they are at a moment of one's own clock."""
        watched = self._seen if now - self._looked <= self._heartbeat else {}
        fresh = {batch: _Seen(beat, now) for batch, beat in counters.items()}
        self._seen = {
            batch: before if (before := watched.get(batch)) and before.beat == seen.beat else seen
            for batch, seen in fresh.items()
        }
        self._looked = now

    def still_for(self, batch: str) -> float:
        """Return for how long a counter has been seen to stand still, s."""
        seen = self._seen.get(batch)
        return 0.0 if seen is None else self._looked - seen.since

    def beat_of(self, batch: str) -> int | None:
        """Return the counter as it was last seen; None for a lease that is not open."""
        seen = self._seen.get(batch)
        return None if seen is None else seen.beat


class Lease:
    """A batch's own lease, and its eye on those of the others.

    Parameters
    ----------
    catalog : Catalog
    batch : str
    heartbeat : float
        How often the counter is raised, s.
    clock : callable
        Monotonic seconds.
    """

    def __init__(self, catalog: Catalog, batch: str, heartbeat: float, clock: Callable[[], float]) -> None:
        self.catalog = catalog
        self.batch = batch
        self.heartbeat = heartbeat
        self.clock = clock
        self.watch = LeaseWatch(heartbeat)
        self.is_lost = False
        """Whether another batch has taken it over."""
        self._is_open = False
        self._beaten = 0.0
        self._one_look = threading.Lock()

    def open(self) -> None:
        """Begin it, or begin it anew after it was lost."""
        self._beaten = self.clock()
        self.catalog.open_lease(self.batch)
        self._is_open, self.is_lost = True, False

    def close(self) -> None:
        """End it."""
        self._is_open = False
        self.catalog.close_lease(self.batch)

    def round(self) -> None:
        """Give a sign of life when it is due, and look for those of the others; several a heartbeat."""
        now = self.clock()
        if self._is_open and not self.is_lost and now - self._beaten >= self.heartbeat:
            self.beat()
        self.look()

    def beat(self) -> bool:
        """Give a sign of life; False when another batch has taken the lease over."""
        now = self.clock()
        alive = self.catalog.beat(self.batch)
        self._beaten = now
        self.is_lost = self.is_lost or not alive
        return alive

    def look(self) -> None:
        """Look at the counters of all leases."""
        with self._one_look:  # what was read first must not come last
            self.watch.look(self.catalog.leases(), self.clock())


@dataclass(frozen=True, slots=True)
class Settled:
    """What has become of runs that another batch held.

    Parameters
    ----------
    free : tuple of Task
        Nobody holds them any more: to be claimed.
    taken : tuple of (Task, str)
        The batch that holds them lives and is at them; an empty text where the catalogue has lost the run.
    dead : tuple of str
        Batches without a lease, whose documents may have to be closed.
    """

    free: tuple[Task, ...] = ()
    taken: tuple[tuple[Task, str], ...] = ()
    dead: tuple[str, ...] = ()


@dataclass(slots=True)
class _Held:
    """Runs that another batch holds, by what its counter was when they began to wait; None before a look."""

    tasks: dict[int | None, list[Task]] = field(default_factory=dict)

    def all(self) -> list[Task]:
        return [task for tasks in self.tasks.values() for task in tasks]

    def see(self, beat: int) -> None:
        """Say what the counter is now."""
        if None in self.tasks:
            self.tasks.setdefault(beat, []).extend(self.tasks.pop(None))

    def overtaken(self, beat: int) -> list[Task]:
        """Take out the runs that have seen the counter move."""
        gone = [before for before in self.tasks if before not in (None, beat)]
        return [task for before in gone for task in self.tasks.pop(before)]


@dataclass(slots=True)
class Claims:
    """The claims of one batch.

    Parameters
    ----------
    lease : Lease
    say : callable
        Takes a line for the user.
    """

    lease: Lease
    say: Callable[[str], None]
    _held: dict[str, _Held] = field(default_factory=dict)
    _patience: dict[str, float] = field(default_factory=dict)
    _nobodys: frozenset[str] = frozenset()
    _settled_at: float = float("-inf")

    def __len__(self) -> int:
        """Count the runs that wait because another batch holds them."""
        return sum(len(held.all()) for held in self._held.values())

    def claim(self, tasks: Sequence[Task], floors: Mapping[str, int] | None = None) -> list[Task]:
        """Claim runs; return those that are ours, under their tokens. The others wait here (`settle`)."""
        catalog, names = self.lease.catalog, [task.basename for task in tasks]
        tokens = catalog.claim(names, self.lease.batch, floors)
        others = [task for task in tasks if task.basename not in tokens]
        holders = catalog.holders([task.basename for task in others]) if others else {}
        for task in others:
            held = self._held.setdefault(holders.get(task.basename, _NOBODY), _Held())
            held.tasks.setdefault(None, []).append(task)
        return [task.under(tokens[task.basename]) for task in tasks if task.basename in tokens]

    def settle(self) -> Settled:
        """Decide about the runs that other batches hold; what is not decided yet goes on waiting.

        A lease that has stood still is taken over here. When the catalogue fails nothing is decided, and the
        same call may be made again.
        """
        now = self.lease.clock()
        if not self._held or now - self._settled_at < self.lease.heartbeat / _LOOKS:
            return Settled()
        self.lease.look()
        free = [batch for batch in self._held if self._is_free(batch)]
        self._settled_at = now
        unknown = self._unknown()
        tasks = [task for batch in free for task in self._held.pop(batch).all()]
        return Settled(
            free=tuple(task for task in tasks if task.basename not in unknown),
            taken=(*((task, _NOBODY) for task in tasks if task.basename in unknown), *self._taken()),
            dead=tuple(batch for batch in free if batch != _NOBODY),
        )

    def _is_free(self, batch: str) -> bool:
        """Tell whether the runs of a batch may be claimed; take over its lease when it has stood still."""
        beat = self.lease.watch.beat_of(batch)
        if beat is None:
            return True
        patience = self._patience_with(batch)
        if self.lease.watch.still_for(batch) < patience or not self.lease.catalog.take_over(batch, beat):
            return False
        self.say(
            f"batch {batch} has given no sign of life for {patience:g} s: it is abandoned, and its runs are "
            "taken over"
        )
        return True

    def _patience_with(self, batch: str) -> float:
        """Return how long a counter must stand still; a batch with slower heartbeats gets more time."""
        if batch not in self._patience:
            document = self.lease.catalog.get_batch(batch)
            theirs = heartbeat_of(document) if document else 0.0
            patience = BEATS * max(self.lease.heartbeat, theirs)
            self._patience[batch] = patience
            count = len(self._held[batch].all())
            self.say(
                f"{count} {'run is' if count == 1 else 'runs are'} held by batch {batch}: waiting for a sign "
                f"of life from it, {patience:g} s at most"
            )
        return self._patience[batch]

    def _unknown(self) -> frozenset[str]:
        """Return the runs that twice were not ours, and nobody's: the catalogue does not hold them."""
        before = self._nobodys
        nobodys = self._held[_NOBODY].all() if _NOBODY in self._held else []
        self._nobodys = frozenset(task.basename for task in nobodys)
        return self._nobodys & before

    def _taken(self) -> list[tuple[Task, str]]:
        """Take out the runs whose holders have given a sign of life since."""
        taken: list[tuple[Task, str]] = []
        for batch, held in list(self._held.items()):
            beat = self.lease.watch.beat_of(batch)
            if beat is not None:
                held.see(beat)
                taken += [(task, batch) for task in held.overtaken(beat)]
            if not held.tasks:
                del self._held[batch]
        return taken

    def lost(self, names: Sequence[str]) -> Mapping[str, str]:
        """Return which of the runs that we held we hold no more, and who took them (empty: nobody knows)."""
        catalog = self.lease.catalog
        holders = catalog.holders(names)
        lost: dict[str, str] = {}
        for name in names:
            holder = holders.get(name)
            if holder != self.lease.batch:
                run = catalog.get(name) if holder is None else None
                lost[name] = holder or (run.product.batch if run is not None and run.product else _NOBODY)
        return lost
