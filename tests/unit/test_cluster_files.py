"""The files that describe clusters: they parse, fit their schemas, and say the same as the package."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import kubernetes_validate
import pytest
import yaml

from catalog.settings import CatalogLocation
from cluster import programs
from covis_dask import __version__
from covis_dask.batches.clusters import check_versions, open_client
from covis_dask.batches.request import ClusterSpec
from covis_dask.errors import ConfigurationError
from covis_dask.runs.versions import require, versions_here

_ROOT = Path(__file__).resolve().parents[2]
_LOCKED = re.compile(r"([A-Za-z0-9._-]+)==(\S+)")


def _locked(name: str) -> dict[str, str]:
    lines = (_ROOT / "cluster" / name).read_text().splitlines()
    found = [_LOCKED.fullmatch(line) for line in lines if line and not line.startswith("#")]
    assert all(found)
    return {match[1].replace("_", "-"): match[2] for match in found if match}


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def test_the_lock_satisfies_the_package() -> None:
    """Each dependency of pyproject.toml is locked at a version it accepts (and so environment.yml's too)."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]
    locked = _locked("requirements.lock")
    further = project["optional-dependencies"]
    for requirement in [*project["dependencies"], *further["sftp"], *further["stack"]]:
        match = re.fullmatch(r"([A-Za-z0-9.-]+)>=([0-9.]+)(?:; .+)?", requirement)
        assert match, requirement
        assert _number(locked[match[1].lower()]) >= _number(match[2]), requirement


def test_compose_is_well_formed() -> None:
    """Each service of ours is confined, pinned, watched and limited, and holds no secret."""
    text = (_ROOT / "docker-compose.yml").read_text()
    services = yaml.safe_load(text)["services"]
    assert programs.MINIO_RELEASE in services["minio"]["image"]
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["read_only"], name
        assert service["init"], name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        if service.get("restart") != "no":
            assert "healthcheck" in service, name
            assert service["deploy"]["resources"]["limits"]["memory"], name
    assert not re.search(r"(PASSWORD|SECRET\w*): (?!\$\{)", text)


def test_the_matlab_image_keeps_the_native_one_s_settings() -> None:
    """Both images run our Python with the same user and the same settings."""
    files = [(_ROOT / "cluster" / name).read_text() for name in ("Dockerfile", "Dockerfile.matlab")]
    for words in (
        "useradd --uid 10001",
        "USER 10001:10001",
        "DASK_COVIS__SCRATCH=/scratch",
        "requirements.lock",
    ):
        assert all(words in text for text in files), words


def test_make_env_writes_random_secrets_once(tmp_path: Path) -> None:
    """`make-env` fills each empty word of .env.example, for its owner alone; it never overwrites."""
    (tmp_path / "cluster").mkdir()
    for name in ("cluster/make-env", ".env.example"):
        (tmp_path / name).write_bytes((_ROOT / name).read_bytes())
    for _ in range(2):
        subprocess.run(["sh", tmp_path / "cluster" / "make-env"], check=True, timeout=20, capture_output=True)
    made = tmp_path / ".env"
    values = dict(line.split("=", 1) for line in made.read_text().splitlines() if line[:1].isalpha())
    assert len(values["MONGODB_PASSWORD"]) == len(values["MINIO_SECRET_KEY"]) == 40
    assert values["MONGODB_PASSWORD"] != values["MINIO_SECRET_KEY"]
    assert made.stat().st_mode & 0o077 == 0
    made.write_text(re.sub(r"PAGE_MONGODB_PASSWORD=.*\n", "", made.read_text()))
    subprocess.run(["sh", tmp_path / "cluster" / "make-env"], check=True, timeout=20, capture_output=True)
    later = dict(line.split("=", 1) for line in made.read_text().splitlines() if line[:1].isalpha())
    assert {name for name in values if later[name] != values[name]} == {"PAGE_MONGODB_PASSWORD"}
    assert len(later["PAGE_MONGODB_PASSWORD"]) == 40


def test_kubernetes_manifests_fit_their_schemas() -> None:
    """Every object of cluster/kubernetes is valid for Kubernetes 1.30, with no unknown field."""
    objects = yaml.safe_load((_ROOT / "cluster" / "kubernetes" / "covis.yaml").read_text())["items"]
    for item in objects:
        kubernetes_validate.validate(item, "1.30", strict=True)
    assert {item["kind"] for item in objects} == {"Service", "Deployment", "CronJob", "NetworkPolicy"}


def test_the_scheduler_has_accounts_that_only_read() -> None:
    """What browsers reach is given the page's accounts, in Compose and on Kubernetes; nobody else is."""
    services = yaml.safe_load((_ROOT / "docker-compose.yml").read_text())["services"]
    names = ("MONGODB_USER", "MONGODB_PASSWORD", "MINIO_ACCESS_KEY", "MINIO_SECRET_KEY")
    for name, service in services.items():
        if name in ("scheduler", "worker", "batch", "matlab-worker", "jupyter"):
            given = [service["environment"][word].startswith("${PAGE_") for word in names]
            assert given == [name == "scheduler"] * 4, name
    assert services["scheduler"]["depends_on"]["accounts"] == {"condition": "service_completed_successfully"}
    objects = yaml.safe_load((_ROOT / "cluster" / "kubernetes" / "covis.yaml").read_text())["items"]
    secrets = {
        item["metadata"]["name"]: [source["secretRef"]["name"] for source in container["envFrom"]]
        for item in objects
        if item["kind"] == "Deployment"
        for container in item["spec"]["template"]["spec"]["containers"]
    }
    assert secrets == {"covis-scheduler": ["covis-page-credentials"], "covis-worker": ["covis-credentials"]}


def test_container_settings_hold_no_secret() -> None:
    """The settings that containers read name secrets, and hold none."""
    section = yaml.safe_load((_ROOT / "cluster" / "compose" / "covis.yaml").read_text())["covis"]
    assert CatalogLocation(section["catalog"]["url"], "covis", "runs")
    assert "${MONGODB_PASSWORD}" in section["catalog"]["url"]
    assert section["products"]["secret"] == "${MINIO_SECRET_KEY}"


def _versions(**changes: str) -> dict[str, Any]:
    known = {"python": "3.11.2.final.0", "dask": "2026.1", "distributed": "2026.1", "covis-dask": __version__}
    return {"packages": known | {name.replace("_", "-"): value for name, value in changes.items()}}


def _client(scheduler: dict[str, Any], *workers: dict[str, Any]) -> Any:
    found = {
        "client": _versions(),
        "scheduler": scheduler,
        "workers": {f"tcp://w{number}": worker for number, worker in enumerate(workers)},
    }
    return SimpleNamespace(get_versions=lambda packages: found if packages == ["covis-dask"] else None)


def test_versions_that_must_agree_are_checked() -> None:
    """Dask, Python and covis-dask must agree, the scheduler's too; patches of Python may differ."""
    check_versions(_client(_versions(), _versions(python="3.11.9.final.0")))
    cases = [
        ("dask is 2026.1 here and 2025.12 on the scheduler", _client(_versions(dask="2025.12"))),
        (
            f"covis-dask is {__version__} here and missing on the scheduler",
            _client(_versions(covis_dask="missing"), _versions()),
        ),
        ("python is 3.11 here and 3.12 on worker tcp://w0", _client(_versions(), _versions(python="3.12.1"))),
        (
            f"covis-dask is {__version__} here and 0.0.9 on worker tcp://w0 and 1 others",
            _client(_versions(), _versions(covis_dask="0.0.9"), _versions(covis_dask="0.0.9")),
        ),
    ]
    for words, client in cases:
        with pytest.raises(ConfigurationError, match=re.escape(words)):
            check_versions(client)


def test_a_worker_of_another_version_refuses() -> None:
    """Each worker compares a task's versions with its own, and says who has what."""
    require(versions_here(), "w1")
    with pytest.raises(
        ConfigurationError, match=re.escape(f"covis-dask is 0.0.9 in the batch and {__version__} on")
    ):
        require(versions_here() | {"covis-dask": "0.0.9"}, "w1")
    with pytest.raises(ConfigurationError, match=r"python is 3\.9 in the batch and 3\.1\d on worker w1"):
        require(versions_here() | {"python": "3.9"}, "w1")


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("ssh", "list hosts: the scheduler's, then one for each worker"),
        ("kubernetes", "pip install 'covis-dask[kubernetes]'"),
        ("gateway", "pip install 'covis-dask[gateway]'"),
    ],
)
def test_a_cluster_that_cannot_start_says_why(
    where: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing package or argument is named, with what to do."""
    for name in ("dask_kubernetes", "dask_gateway"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigurationError, match=re.escape(words)), open_client(ClusterSpec(where)):
        pass


@pytest.mark.parametrize(
    ("where", "module", "expected"),
    [
        (
            "kubernetes",
            "dask_kubernetes.operator",
            {
                "name": "covis",
                "n_workers": 3,
                "worker_command": ["dask", "worker", "--resources", "MATLAB=1"],
            },
        ),
        ("gateway", "dask_gateway", {}),
    ],
)
def test_arguments_reach_the_package_that_starts_clusters(
    where: str, module: str, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `covis.cluster` holds, and what the batch asks, becomes the class's arguments (not run)."""
    told: dict[str, Any] = {}

    def take(**arguments: Any) -> Any:
        told.update(arguments)
        raise RuntimeError("as far as this test goes")

    monkeypatch.setitem(sys.modules, module, SimpleNamespace(KubeCluster=take, Gateway=take))
    monkeypatch.setitem(sys.modules, module.split(".", maxsplit=1)[0], SimpleNamespace(Gateway=take))
    resources = {"MATLAB": 1.0} if where == "kubernetes" else {}
    with (
        pytest.raises(ConfigurationError, match="as far as this test goes"),
        open_client(ClusterSpec(where, workers=3, resources=resources)),
    ):
        pass
    assert told == expected


def test_the_settings_of_the_containers_are_sound(tmp_path: Path) -> None:
    """What Compose and Kubernetes mount passes the check that every command makes."""
    text = "from covis_dask.config import settings_faults; print(settings_faults())"
    environ = {**os.environ, "DASK_CONFIG": str(_ROOT / "cluster" / "compose")}
    done = subprocess.run(
        [sys.executable, "-c", text], env=environ, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
