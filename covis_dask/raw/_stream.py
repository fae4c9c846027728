"""The files of a run as an archive streams by (see `sweep`)."""

from collections.abc import Iterator, Mapping, Sequence

from covis_dask.raw._files import BIN, INDEX, SWEEP, Disorder, Litter, TextKeeper, is_text, run_folder, split
from covis_dask.raw._member import Archive, Limits, Member

__all__ = ["StreamedFiles"]


class StreamedFiles:
    """Files of the first folder that looks like a run (a `RunFiles`), each in its turn.

    Parameters
    ----------
    archive : Archive
        Open, not yet iterated over.
    limits : Limits
        For what is kept in memory.
    """

    def __init__(self, archive: Archive, limits: Limits) -> None:
        self.complete = False
        self._archive = archive
        self._members = iter(archive)
        self._keeper = TextKeeper(limits)
        self._litter = Litter()
        self._texts: dict[str, bytes] = {}
        self._folder: str | None = None
        self._sweep_folders: set[str] = set()
        self.numbers: set[int] = set()
        self._held: tuple[int, Member] | None = None
        self._begun = False
        self._rows: Mapping[int, int] | None = None
        self._row = -1

    @property
    def marked(self) -> bool:
        return self._archive.marked

    @property
    def notes(self) -> Sequence[str]:
        return [*self._archive.notes, *self._litter.notes]

    def text(self, name: str) -> bytes | None:
        self._read_head()
        return self._texts.get(name)

    def names(self) -> Sequence[str]:
        self._read_head()
        return sorted(self._texts)

    def bins(self, rows: Mapping[int, int]) -> Iterator[tuple[int, Member]]:
        self._read_head()
        if self._rows is not None:
            raise Disorder("the pings are requested a second time")
        self._rows = rows
        while (ping := self._next_listed()) is not None:
            yield ping

    def finish(self) -> None:
        self._read_head()
        while self._next_listed() is not None:
            pass
        if run_folder(self._sweep_folders, marked=self.marked) != self._folder:
            raise Disorder("the run lies in another folder than the first that looked like one")

    def _read_head(self) -> None:
        """Read up to the first ping: by its nature, or by its name, metadata mostly come first."""
        if not self._begun:
            self._begun = True
            self._held = self._next_bin()

    def _next_listed(self) -> tuple[int, Member] | None:
        """Return the next ping that has a row."""
        while True:
            ping, self._held = self._held or self._next_bin(), None
            if ping is None or self._rows is None:
                return ping
            row = self._rows.get(ping[0])
            if row is None:
                continue
            if row <= self._row:
                raise Disorder(f"ping {ping[0]} comes after a later one, or twice")
            self._row = row
            return ping

    def _next_bin(self) -> tuple[int, Member] | None:
        """Return the next ping, keeping the texts on the way."""
        for member in self._members:
            if self._litter.takes(member.name):
                continue
            folder, base = split(member.name)
            number = BIN.fullmatch(base)
            if base == SWEEP:
                self._sweep_folders.add(folder)
            if self._folder is None and (number or base in (INDEX, SWEEP) or base.startswith("rec_")):
                self._folder = folder
            if folder != self._folder:
                continue
            if number:
                self.numbers.add(int(number[1]))
                return int(number[1]), member
            if is_text(base):
                self._texts[base] = self._keeper.read(member)
        self.complete = True
        return None
