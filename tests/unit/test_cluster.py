"""Server programs and processes: what is found where, and that nothing is left running."""

import os
import socket
import sys
from pathlib import Path

import pytest

from cluster import programs
from cluster.processes import Process, ServerFailed, free_ports


def test_minio_is_kept_by_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was built lies in the cache under its release, outside the checkout, and is not built again."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kept = tmp_path / "covis-test" / f"minio-{programs.MINIO_RELEASE}" / "minio"
    kept.parent.mkdir(parents=True)
    kept.touch(mode=0o755)
    assert programs.minio() == str(kept)


def test_without_go_it_says_what_tests_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A machine without Go is no error: the list says that the stand-in will do."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert programs.main() == 0
    assert "there is no Go here; the tests use SeaweedFS" in capsys.readouterr().out


def test_failed_build_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When go install fails its last words are shown, and nothing half-made is kept."""
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text("#!/bin/sh\necho no route to proxy\nexit 1\n")
    go.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{go.parent}:/bin:/usr/bin")
    assert "no route to proxy" in programs._build_minio()
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _web_server(folder: Path, port: int, patience: float = 30) -> Process:
    command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
    return Process("web", command, folder, lambda: _listening(port), patience=patience)


def test_process_is_stopped_by_its_id(tmp_path: Path) -> None:
    """A server is up after start, keeps a log, can freeze, and is gone after stop, frozen or not."""
    (port,) = free_ports()
    server = _web_server(tmp_path, port)
    server.start()
    pid = server.pid
    assert pid is not None
    assert server.is_healthy()
    server.pause()
    server.stop()
    server.stop()
    assert server.pid is None
    assert not _listening(port)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert server.log.exists()


def test_process_that_does_not_come_up(tmp_path: Path) -> None:
    """The error has the end of the log, and the process is gone."""
    server = Process(
        "broken", [sys.executable, "-c", "raise SystemExit('bad luck')"], tmp_path, lambda: False
    )
    with pytest.raises(ServerFailed, match="bad luck"):
        server.start()
    assert server.pid is None
