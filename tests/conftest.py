"""Fixtures that every test may use."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from catalog.redaction import forgetting
from cluster import programs

_SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(autouse=True)
def _made_up_secrets() -> Iterator[None]:
    """Forget the secrets that a test makes up, such as ``mounted``: others use these words."""
    with forgetting():
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """Give the folder of reference data beside the checkout, or skip."""
    if not _SHARED.is_dir():
        pytest.skip("the reference data (../shared) are not beside this checkout")
    return _SHARED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which servers the service tests ran on."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    if not any("service" in report.keywords for report in reports):
        return
    if programs.minio():
        s3 = "MinIO"
    elif programs.weed():
        s3 = "SeaweedFS, for there is no MinIO here (`make services` builds it where there is Go)"
    else:
        s3 = "nothing: neither MinIO nor SeaweedFS is here"
    mongo = "COVIS_TEST_MONGODB_URL" if os.environ.get("COVIS_TEST_MONGODB_URL") else programs.mongo()
    terminalreporter.write_line(f"service tests: S3 on {s3}; MongoDB protocol on {mongo or 'nothing'}")
