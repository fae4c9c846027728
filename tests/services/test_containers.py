"""docker-compose.yml as a user runs it, on a real engine: process, break, account for all, leave nothing."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.processes import ServerFailed
from tests.browser._chrome import browser
from tests.services._compose import Stack, wait_for
from tests.services._docker import ROOT, Docker, Unavailable, docker_engine
from tests.standin.runs import archive_of, matlab_files, native

pytestmark = [pytest.mark.clusters, pytest.mark.service, pytest.mark.timeout(1800)]

_RUNS = 5
"""Runs of the demonstration that are processed, to be quick."""
_FEW = ("--year", "2014", "--limit", str(_RUNS))
_IN_NOTEBOOK = """
import nbclient, nbformat
cell = nbformat.v4.new_code_cell('''
from covis_dask import notebook as covis
batch = covis.submit(year=2014, mode="diffuse", limit=1, force=True, scheduler="tcp://scheduler:8786")
batch.wait()
print(batch.table().state[0], batch.open(batch.table().run[0]).attrs["title"])
''')
nbclient.NotebookClient(nbformat.v4.new_notebook(cells=[cell]), timeout=300).execute()
print(cell.outputs[-1]["text"])
"""


@pytest.fixture(scope="module")
def docker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    """Give a running engine with the images that a user would pull, or skip with the reason."""
    folder = tmp_path_factory.mktemp("docker")
    try:
        with docker_engine(folder) as engine:
            engine.make_images()
            yield engine
    except Unavailable as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def stack(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Give the running project with two workers; nothing of it stays."""
    it = Stack(docker, tmp_path_factory.mktemp("compose"))
    try:
        it.compose("build", "worker")
        it.compose("up", "--detach", "--wait", "--wait-timeout", "180", "--scale", "worker=2")
        yield it
    except ServerFailed:
        print(it.compose("logs", "--tail", "40", check=False).stdout)
        raise
    finally:
        it.compose("--profile", "*", "down", "--volumes", "--timeout", "5", check=False)


def test_compose_refuses_to_start_without_credentials(docker: Docker, tmp_path: Path) -> None:
    """With no .env the very first word is what to do, and nothing starts; .env.example holds no secret."""
    empty = tmp_path / "empty"
    empty.touch()
    done = docker.run(
        "compose", "--env-file", str(empty), "--file", str(ROOT / "docker-compose.yml"), "config", check=False
    )
    assert done.returncode != 0
    assert "run sh cluster/make-env, or copy .env.example to .env" in done.stderr
    values = [
        line.split("=", 1) for line in (ROOT / ".env.example").read_text().splitlines() if line[:1].isalpha()
    ]
    assert {name for name, value in values if value} == {
        "MONGODB_USER",
        "MINIO_ACCESS_KEY",
        "PAGE_MONGODB_USER",
        "PAGE_MINIO_ACCESS_KEY",
    }


def test_the_demo_is_processed(stack: Stack) -> None:
    """`docker compose run demo` simulates, catalogues and processes; run again, nothing is done twice."""
    done = stack.compose("run", "--rm", "-T", "demo", "--json", "--limit", str(_RUNS))
    report = json.loads(done.stdout[done.stdout.index("{") :])
    assert report["counts"]["done"] == report["expected"] == _RUNS, report["counts"]
    again = stack.batch(*_FEW).report()
    assert again["counts"]["already"] == again["expected"] == _RUNS
    logs = stack.compose("logs").stdout
    assert not any(secret in logs for secret in stack.secrets)
    assert len(stack.containers("worker")) == 2


def test_containers_are_confined(stack: Stack) -> None:
    """No service runs as root, with capabilities, or on a root it can write; ports are on loopback."""
    for service in ("mongodb", "minio", "scheduler", "worker"):
        (container, *_) = stack.containers(service)
        facts = stack.facts(container)
        host = facts["HostConfig"]
        assert facts["Config"]["User"].split(":")[0] not in {"", "0", "root"}, service
        assert host["ReadonlyRootfs"], service
        assert host["CapDrop"] == ["ALL"], service
        assert host["Init"], service
        assert host["Memory"] > 0, service
        assert host["RestartPolicy"]["Name"] == "unless-stopped", service
        bound = [entry["HostIp"] for entries in (host["PortBindings"] or {}).values() for entry in entries]
        assert set(bound) <= {"127.0.0.1"}, service


def test_the_dashboard_opens_in_a_browser(stack: Stack) -> None:
    """Dask's dashboard is drawn by a real browser, and the COVIS page tells of the batch that has run."""
    with browser() as page:
        page.open(f"{stack.dashboard}/status")
        drawn = "return window.Bokeh !== undefined && Bokeh.documents.some(it => it.roots().length > 0)"
        wait_for(lambda: bool(page.driver.execute_script(drawn)), 60)
        page.open(f"{stack.dashboard}/covis")
        page.wait_for(lambda text: f"{_RUNS} EXPECTED" in text and f"{_RUNS} done" in text)


def test_every_run_survives_what_goes_wrong(stack: Stack) -> None:
    """A worker killed, MinIO frozen, the scheduler restarted: each run is committed once or accounted for."""
    words = ("--year", "2014", "--limit", "8")
    batch = stack.batch(*words, "--force", "--retries", "5")
    crashed = stack.busy_worker(batch)
    stack.crash(crashed)
    wait_for(lambda: stack.facts(crashed)["RestartCount"] == 1)
    stack.busy_worker(batch)
    (minio,) = stack.containers("minio")
    stack.docker.run("pause", minio)
    time.sleep(5)  # the length of the outage
    stack.docker.run("unpause", minio)
    stack.busy_worker(batch)
    stack.docker.run("restart", "--time", "2", *stack.containers("scheduler"))
    report = batch.report()
    ended = {run["state"] for run in report["runs"]}
    assert ended <= {"done", "already", "failed"}, report["counts"]
    assert all(run["kind"] for run in report["runs"] if run["state"] == "failed")
    stack.wait_workers(2)
    after = stack.batch(*words, "--verify").report()
    assert after["counts"]["done"] + after["counts"]["already"] == after["expected"] == 8, after["counts"]


def test_a_run_beyond_its_memory_limit_is_told(stack: Stack) -> None:
    """The kernel kills a run at its container's limit: it ends out of memory, its worker takes the next."""
    stack.wait_workers(2)
    words = ("--year", "2014", "--mode", "imaging", "--limit", "1", "--force", "--retries", "0")
    fine = [word for axis in "xyz" for word in ("--set", f"grids.backscatter_cross_section.d{axis}=0.1")]
    start = time.time()
    report = stack.batch(*words, *fine, "--prefix", "too-fine").report()
    (run,) = report["runs"]
    assert (run["state"], run["kind"]) == ("failed", "out-of-memory"), run
    (killed,) = stack.killed_for_memory(start)
    assert killed in stack.containers("worker")
    stack.wait_workers(2)
    report = stack.batch(*words).report()
    assert report["counts"]["done"] == 1


def test_matlab_runs_go_to_matlab_workers(stack: Stack, tmp_path: Path) -> None:
    """The Matlab image runs both Pythons; both kinds of worker serve one cluster; `both` is summed up."""
    kind = "Endeavour/diffuse"
    (mat,) = matlab_files(kind, native(kind, archive_of(kind, tmp_path)), tmp_path)
    products = tmp_path / "products"
    products.mkdir()
    mat.rename(products / "diffuse.mat")
    stack.docker.make_matlab(products)
    stack.compose("--profile", "matlab", "build", "matlab-worker")
    stack.compose("--profile", "matlab", "up", "--detach", "--wait", "--no-recreate", "matlab-worker")
    words = ("--year", "2014", "--mode", "diffuse", "--limit", "2")
    report = stack.batch(*words, "--engine", "matlab").report()
    assert report["counts"]["done"] == 2, report["runs"]
    (container,) = stack.containers("matlab-worker")
    assert {run["worker"] for run in report["runs"]} == {container[:12]}
    report = stack.batch(*words[:4], "--limit", "1", "--engine", "both").report()
    assert report["counts"]["done"] == 1, report["runs"]
    assert {row["variable"] for row in report["comparison"]} >= {"intensity", "decorrelation"}
    pythons = stack.docker.run(
        "exec", container, "sh", "-c", "/usr/bin/python3 -V; python3 -V"
    ).stdout.split()
    assert pythons[1].startswith("3.9.")
    assert pythons[3].startswith("3.11.")


def test_the_notebook_service_processes_and_opens(stack: Stack) -> None:
    """JupyterLab asks for the token of .env; a notebook there has a run processed, and opens its product."""
    stack.compose("--profile", "notebook", "build", "jupyter")
    stack.compose("--profile", "notebook", "up", "--detach", "--wait", "--no-recreate", "jupyter")
    contents = f"{stack.jupyter}/api/contents"
    with pytest.raises(urllib.error.HTTPError, match="403") as refused:
        urllib.request.urlopen(contents, timeout=20)
    refused.value.close()
    asked = urllib.request.Request(contents, headers={"Authorization": f"token {stack.token}"})
    with urllib.request.urlopen(asked, timeout=20) as answer:
        names = {item["name"] for item in json.load(answer)["content"]}
    assert {path.name for path in (ROOT / "notebooks").glob("*.ipynb")} <= names
    (container,) = stack.containers("jupyter")
    assert stack.facts(container)["HostConfig"]["ReadonlyRootfs"]
    said = stack.docker.run("exec", container, "python3", "-c", _IN_NOTEBOOK).stdout
    assert said.startswith("done COVIS"), said


def test_down_leaves_nothing(stack: Stack) -> None:
    """`docker compose down --volumes` takes containers, volumes and networks with it."""
    stack.compose("--profile", "*", "down", "--volumes", "--timeout", "5")
    label = f"label=com.docker.compose.project={stack.project}"
    for words in (("ps", "--all"), ("volume", "ls"), ("network", "ls")):
        assert stack.docker.run(*words, "--quiet", "--filter", label).stdout.strip() == "", words
    assert stack.volumes() <= stack.volumes_before
