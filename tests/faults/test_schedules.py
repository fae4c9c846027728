"""Whatever is killed, stopped, lost or cut off: no run is lost, none committed twice or by halves."""

import pytest

from tests.faults.simulation.story import tell

_SCHEDULES = 2000
_BLOCKS = 40
_FAILED_ONCE: tuple[int, ...] = ()


@pytest.mark.parametrize("block", range(_BLOCKS))
def test_schedules(block: int) -> None:
    """Under kills, pauses, lost answers and partitions every promise holds at every moment."""
    for seed in range(block, _SCHEDULES, _BLOCKS):
        try:
            tell(seed)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise


@pytest.mark.parametrize("seed", _FAILED_ONCE)
def test_schedules_that_once_failed(seed: int) -> None:
    """What has gone wrong once does not again."""
    tell(seed)
