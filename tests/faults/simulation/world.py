"""A clock, and actors that take turns by it: the same seed is the same story, whatever the machine does."""

import heapq
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

from greenlet import getcurrent, greenlet

__all__ = ["Actor", "Faults", "Killed", "Process", "World"]

T = TypeVar("T")
_MOST_TURNS = 200_000


class Killed(BaseException):
    """The process of this actor is no more: nothing it does from here on reaches anybody."""


@dataclass(frozen=True, slots=True)
class Faults:
    """How likely it is, per call to another process, that something goes wrong.

    Parameters
    ----------
    fail : float
        It is not carried out.
    lose : float
        It is carried out, but the answer is lost.
    stop : float
        The process stands still for a while, perhaps for longer than its lease.
    kill : float
        The process is killed, before the call or after it.
    partition : float
        The process and the other cannot reach each other for a while.
    """

    fail: float = 0.0
    lose: float = 0.0
    stop: float = 0.0
    kill: float = 0.0
    partition: float = 0.0


@dataclass(eq=False, slots=True)
class Process:
    """What is killed, or stands still, as a whole; with a clock of its own."""

    name: str
    ahead: float = 0.0
    rate: float = 1.0
    killed: bool = False
    stopped_until: float = 0.0
    cut_until: dict[str, float] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Actor:
    """A line of execution; only one of them runs at any time."""

    process: Process
    line: greenlet


class World:
    """Lets actors run, one at a time, each to its next `sleep`.

    Parameters
    ----------
    seed : int
    faults : Faults
        Until `heal` is called.
    """

    def __init__(self, seed: int, faults: Faults) -> None:
        self.dice = random.Random(seed)
        self.faults = faults
        self.now = 0.0
        self.watch: Callable[[], None] = lambda: None
        self._queue: list[tuple[float, int, Actor]] = []
        self._number = 0
        self._hub = getcurrent()
        self._current: Actor | None = None
        self._actors: list[Actor] = []

    @property
    def process(self) -> Process:
        """The process whose turn it is."""
        assert self._current is not None
        return self._current.process

    def start(self, process: Process, work: Callable[[], None], after: float = 0.0) -> Actor:
        """Let somebody begin."""

        def live() -> None:
            with suppress(Killed):
                if not process.killed:
                    work()

        actor = Actor(process, greenlet(live, self._hub))
        self._actors.append(actor)
        self._wake(actor, after)
        return actor

    def _wake(self, actor: Actor, after: float) -> None:
        self._number += 1
        heapq.heappush(self._queue, (self.now + after, self._number, actor))

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Let time pass until nobody has anything to do any more, or a condition holds.

        Raises
        ------
        BaseException
            Whatever an actor let out, or the watch objects to.
        """
        for _ in range(_MOST_TURNS):
            if not self._queue or until():
                return
            at, _, actor = heapq.heappop(self._queue)
            stopped = actor.process.stopped_until
            if stopped > at and not actor.process.killed:
                self._number += 1
                heapq.heappush(self._queue, (stopped, self._number, actor))
                continue
            self.now = max(self.now, at)
            self._current = actor
            actor.line.switch()
            self._current = None
            self.watch()
        raise AssertionError("it does not come to an end")

    def close(self) -> None:
        """End every actor that has not ended."""
        for actor in self._actors:
            actor.process.killed = True
            if not actor.line.dead:
                self._current = actor
                actor.line.throw(Killed)

    def sleep(self, seconds: float) -> None:
        """Let the actor whose turn it is wait, by the world's time."""
        actor = self._current
        assert actor is not None
        if actor.process.killed:
            raise Killed
        self._wake(actor, seconds)
        self._hub.switch()
        if actor.process.killed:
            raise Killed

    def clock(self) -> float:
        """Return the monotonic time of the process whose turn it is; no two agree."""
        process = self.process
        return process.ahead + process.rate * self.now

    def call(self, place: str, effect: Callable[[], T], away: Callable[[str], Exception]) -> T:
        """Ask another process for something; it is carried out at one moment, or not at all.

        Parameters
        ----------
        place : str
            Whom.
        effect : callable
        away : callable
            Makes the error of a call that failed or was not answered.
        """
        process, dice, faults = self.process, self.dice, self.faults
        self._mishap(process, place)
        self.sleep(dice.expovariate(20.0))
        if self.now < process.cut_until.get(place, 0.0) or dice.random() < faults.fail:
            self.sleep(dice.uniform(0.1, 5.0))
            raise away(f"{place} does not answer")
        result = effect()
        self.watch()
        if dice.random() < faults.kill / 2:
            process.killed = True
            raise Killed
        if dice.random() < faults.lose:
            self.sleep(dice.uniform(0.1, 5.0))
            raise away(f"the answer of {place} was lost")
        return result

    def _mishap(self, process: Process, place: str) -> None:
        dice, faults = self.dice, self.faults
        if dice.random() < faults.kill / 2:
            process.killed = True
        elif dice.random() < faults.stop:
            process.stopped_until = self.now + dice.expovariate(1 / 30)
        elif dice.random() < faults.partition:
            process.cut_until[place] = self.now + dice.expovariate(1 / 30)

    def heal(self) -> None:
        """Let nothing go wrong any more."""
        self.faults = Faults()
        for actor in self._actors:
            actor.process.cut_until.clear()
