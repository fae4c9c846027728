"""The `covis` command: sub-commands, configuration, doctor, completion."""

import shutil
import subprocess
import sys
from pathlib import Path

import dask.config
import pytest
import yaml

from covis_dask.cli import main
from covis_dask.cli.config import settings_in_force, write_default_file
from covis_dask.config import load_settings
from covis_dask.errors import ConfigurationError
from tests._place import Place

Captured = pytest.CaptureFixture[str]


def test_help_and_slips(capsys: Captured) -> None:
    """Without words there is a list of commands; a slip of the pen gets a hint and exit code 2."""
    assert main([]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in ("batch", "process", "catalog", "config", "doctor", "completion"))
    assert main(["bacth"]) == 2
    assert "did you mean batch?" in capsys.readouterr().err
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("covis-dask ")


def test_help_is_quick() -> None:
    """The list of commands imports none of them."""
    code = "import sys; from covis_dask.cli import main; main([]); sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_same_functions(capsys: Captured) -> None:
    """`covis batch` and `covis catalog` take the words that `python -m` does."""
    assert main(["batch", "--scheduler", "nowhere", "--year", "2014"]) == 2
    assert "--scheduler nowhere" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["catalog", "--help"])
    assert "usage: covis catalog" in capsys.readouterr().out


def test_import_of_a_configured_host(tmp_path: Path, capsys: Captured) -> None:
    """`covis catalog import --walk --host NAME` finds the host in the configuration; others are named."""
    archive = tmp_path / "raw" / "COVIS-20191024T003346-diffuse3.tar.gz"
    archive.parent.mkdir()
    archive.write_bytes(b"x")
    settings = {
        "covis.hosts": {"My-Disk": {"url": str(archive.parent)}},
        "covis.catalog.url": f"sqlite:///{tmp_path}/c.sqlite",
    }
    with dask.config.set(settings):
        assert main(["catalog", "import", "--walk", "--host", "my-disk"]) == 0
        assert "1 runs on MY-DISK" in capsys.readouterr().out
        assert main(["catalog", "import", "--walk", "--host", "other"]) == 3
        assert "host OTHER is not configured (covis.hosts); there are MY-DISK" in capsys.readouterr().err


def test_walk_of_a_host_needs_the_configuration(tmp_path: Path) -> None:
    """`python -m catalog` knows no addresses, and says which command does."""
    done = Place(tmp_path).run("catalog", "import", "--walk", "--host", "COVIS-NAS")
    assert done.returncode == 2
    assert "covis catalog import --walk --host COVIS-NAS" in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion(shell: str, capsys: Captured) -> None:
    """Completion scripts know the commands and their words."""
    assert main(["completion", shell]) == 0
    said = capsys.readouterr().out
    assert "--dry-run" in said
    assert "doctor" in said
    if shell == "bash":
        if shutil.which("bash") is None:
            pytest.skip("there is no bash here to read the script")
        subprocess.run(["bash", "-n"], input=said, text=True, check=True)


def test_config_show_says_where_from(tmp_path: Path) -> None:
    """Each value has its origin: default, file, DASK_COVIS__ variable or variable of the old worker."""
    place = Place(tmp_path)
    (tmp_path / "config").mkdir()
    hosts = {"Ship": {"url": "sftp://ship/raw", "secret": "${SHIP_PASSWORD}"}}
    text = yaml.safe_dump({"covis": {"timeout": "2h", "retries": 5, "hosts": hosts}})
    (tmp_path / "config" / "mine.yaml").write_text(text)
    done = place.run(
        "covis_dask.cli", "config", "show",
        DASK_COVIS__TIMEOUT="3h", NAS_URL="nas:9000", MONGODB_URL="mongodb://me:hush@db",
        DASK_COVIS__HOSTS__OLD_COVIS_NAS2__URL="/mnt/two",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    file = str(tmp_path / "config" / "mine.yaml")
    for name, value, origin in (
        ("timeout", "3h", "variable DASK_COVIS__TIMEOUT"),
        ("retries", "5", file),
        ("backoff", "5s", "default"),
        ("hosts.SHIP.secret", "${SHIP_PASSWORD} (not set)", file),
        ("hosts.COVIS-NAS.endpoint", "http://nas:9000", "variable NAS_URL"),
        ("hosts.OLD-COVIS-NAS2.url", "/mnt/two", "variable DASK_COVIS__HOSTS__OLD_COVIS_NAS2__URL"),
        ("catalog.url", "mongodb://***@db", "variable MONGODB_URL"),
    ):
        line = lines[f"covis.{name}"]
        assert value in line
        assert line.endswith(origin), line
    assert "hush" not in done.stdout


def test_the_default_file(tmp_path: Path) -> None:
    """The file that `config init` writes changes nothing until edited, and is never overwritten unasked."""
    path = write_default_file(tmp_path / "new")
    assert path == tmp_path / "new" / "covis.yaml"
    text = path.read_text()
    assert yaml.safe_load(text) is None
    assert all(f"{setting.name.split('.')[-1]}:" in text for setting in settings_in_force({}))
    with pytest.raises(ConfigurationError, match="--force"):
        write_default_file(path)
    write_default_file(path, force=True)
    bare = "\n".join(line[1:] for line in text.splitlines()[1:] if line.startswith("#") and line[1:2] in "c ")
    assert yaml.safe_load(bare[bare.index("covis:") :])["covis"]["retries"] == 2


def test_doctor_on_an_empty_folder(tmp_path: Path) -> None:
    """A healthy machine has no RED line; what is not there is RED, with advice, and the exit code is 1."""
    place = Place(tmp_path)
    (tmp_path / "covis-data" / "raw").mkdir(parents=True)
    done = place.run("covis_dask.cli", "doctor")
    assert done.returncode == 0, done.stdout
    assert "RED" not in done.stdout
    assert "catalogue" in done.stdout
    assert "scratch here" in done.stdout
    done = place.run(
        "covis_dask.cli", "doctor", "--scheduler", "tcp://127.0.0.1:9",
        DASK_COVIS__HOSTS__WASABI__URL=str(tmp_path / "nowhere"),
        MONGODB_URL="mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=200",
    )  # fmt: skip
    assert done.returncode == 1
    red = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("RED")]
    assert red == ["catalogue", "host", "scheduler"]
    assert all("->" in line for line in done.stdout.splitlines() if line.startswith("RED"))


def test_hosts_of_any_name_and_from_the_environment() -> None:
    """Hosts are matched in any case; entries of file and environment add up; DMAS needs its key alone."""
    hosts = {
        "Old-Covis-NAS2": {"url": "s3://raw"},
        "old_covis_nas2": {"endpoint": "http://two"},
        "my_nas": "/x",
    }
    with dask.config.set({"covis.hosts": hosts}):
        settings = load_settings({"DMAS_API_KEY": "x"})
    assert settings.hosts["OLD-COVIS-NAS2"].url == "s3://raw"
    assert settings.hosts["OLD-COVIS-NAS2"].endpoint == "http://two"
    assert settings.hosts["MY_NAS"] == settings.hosts["MY-NAS"]
    assert settings.hosts["DMAS"].key == "${DMAS_API_KEY}"
