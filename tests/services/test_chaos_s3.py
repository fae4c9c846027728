"""Processes that are killed and stopped at random, with products on S3 (see `tests.services._chaos`)."""

from pathlib import Path

import pytest

from cluster.servers import S3Server
from tests.services._chaos import SCHEDULES, made, tell

pytestmark = [pytest.mark.service, pytest.mark.timeout(280)]


@pytest.mark.parametrize("seed", range(1, SCHEDULES, 2))
def test_whatever_is_killed_or_stopped(
    seed: int, tmp_path: Path, nas: S3Server, request: pytest.FixtureRequest
) -> None:
    """No run is lost, none committed twice, none visible by halves; the same command finishes what is left.

    No process stays behind. Every third schedule has its catalogue on MongoDB.
    """
    mongo_url = None if seed % 3 else request.getfixturevalue("mongo_url")
    with made(tmp_path, mongo_url, nas) as setting:
        tell(setting, seed)
