"""Where tasks run: a local cluster, any scheduler by its address, or a cluster started for the batch."""

import asyncio
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any

import dask.config
from dask.system import CPU_COUNT
from distributed import Client, LocalCluster, Security
from distributed.comm.addressing import parse_address, parse_host_port
from distributed.comm.core import connect

from catalog.redaction import redact_error, register_options, watch_logs
from covis_dask.batches.request import LOCAL, ClusterSpec
from covis_dask.config import expand_options
from covis_dask.config.defaults import DEFAULTS
from covis_dask.errors import ConfigurationError
from covis_dask.runs.versions import differences, disagreement, versions_in
from covis_dask.runs.warmup import ReadyPlugin

__all__ = ["KINDS", "check_versions", "open_client", "page_link", "steering_note"]

logger = logging.getLogger(__name__)

_DASK_LINK = "{scheme}://{host}:{port}/status"
_ANSWER = 3.0
_BUSY = 15.0
_ARRIVAL = 60.0
_RETURN = 300.0
_CLOSING = 60.0


def _dashboard_address(spec: ClusterSpec) -> str:
    """Return where a scheduler is to serve its dashboard: on loopback unless somebody says otherwise."""
    default = DEFAULTS["dashboard"]["address"]
    return spec.dashboard or str(dask.config.get("covis.dashboard.address", default))


def _listens(dask_scheduler: Any) -> tuple[str, int, str]:
    """Say where a scheduler's web server listens, and on which machine; runs there."""
    server = dask_scheduler.http_server
    return str(server.address), int(server.port), socket.gethostname()


def page_link(client: Client) -> str:
    """Return the address of the COVIS page, as somebody at this machine would open it.

    Where the configuration of Dask has a template of its own (``distributed.dashboard.link``: a proxy), that
    counts; else it is where the server listens.
    """
    template = str(dask.config.get("distributed.dashboard.link"))
    if template != _DASK_LINK:
        return f"{str(client.dashboard_link).removesuffix('/status').removesuffix('/covis')}/covis"
    try:
        address, port, machine = client.run_on_scheduler(_listens)
    except Exception:  # whatever is raised on the scheduler comes here; a link is no reason to end a batch
        return f"{str(client.dashboard_link).removesuffix('/status')}/covis"
    scheme = "https" if dask.config.get("distributed.scheduler.dashboard.tls.cert") else "http"
    if address in ("0.0.0.0", "::", ""):  # noqa: S104 (compared, not bound)
        address = (
            str(client.scheduler_info()["address"]).partition("://")[2].rpartition(":")[0] or "127.0.0.1"
        )
    link = f"{scheme}://{f'[{address}]' if ':' in address else address}:{port}/covis"
    elsewhere = address in ("127.0.0.1", "::1") and machine != socket.gethostname()
    return f"{link} on {machine}" if elsewhere else link


def _token_file(dask_scheduler: Any) -> str | None:
    """Say where a scheduler keeps the token for steering, if it has one; runs there."""
    steering = getattr(dask_scheduler.plugins.get("covis-status"), "steering", None)
    return None if steering is None or steering.file is None else str(steering.file)


def steering_note(client: Client) -> str:
    """Tell the owner of a scheduler where the page's token for steering lies; empty where there is none."""
    try:
        file = client.run_on_scheduler(_token_file)
    except Exception:  # whatever is raised on the scheduler comes here
        return ""
    return f"; steering token in {file}" if file else ""


def _free(address: str) -> str:
    """Return the address of a dashboard, or any free port where another program has taken that one."""
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError:
            return f"{host}:0"
    return address


@contextmanager
def open_client(spec: ClusterSpec, say: Callable[[str], object] = logger.warning) -> Iterator[Client]:
    """Connect to a cluster, started if need be, and leave it as it was.

    Parameters
    ----------
    spec : ClusterSpec
    say : callable
        Takes a line for the user, about what could not be closed; no batch fails for that.

    Raises
    ------
    ConfigurationError
        When no scheduler answers, it has no workers, none that offers the resources, or other versions of
        what must agree; when the package that starts such clusters is not installed.
    """
    # A run that kills its worker is ours to judge, so the scheduler must not try it again by itself.
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        if spec.is_there:
            with _connected(spec.where, say) as client:
                with _staying(spec.where):
                    _await_worker(client, spec)
                    check_versions(client)
                    _check_resources(client, spec.resources)
                    client.register_plugin(ReadyPlugin())
                # A scheduler that is started again is worth more patience than one that never was.
                client._timeout = _RETURN
                client.rpc.timeout = _BUSY
                yield client
            return
        with _started(spec, say) as cluster:
            with _staying(spec.where):
                client = Client(cluster)
            with _left("the connection to the scheduler", client.close, say):
                with _staying(spec.where):
                    check_versions(client)
                    client.register_plugin(ReadyPlugin())
                yield client


@contextmanager
def _connected(address: str, say: Callable[[str], object]) -> Iterator[Client]:
    try:
        _reach(address)
        client = Client(address, timeout=_ANSWER)
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        raise ConfigurationError(
            f"no Dask scheduler answers at {address} ({error}); start one, or use --scheduler local"
        ) from error
    with _left("the connection to the scheduler", client.close, say):
        yield client


def _reach(address: str) -> None:
    """See whether somebody there speaks as a scheduler does; Dask's client would wait for that for ever.

    Raises
    ------
    OSError, ValueError, TypeError
        When nobody does.
    """

    async def greet() -> None:
        security = Security().get_connection_args("client")
        comm = await asyncio.wait_for(connect(address, timeout=_ANSWER, **security), _ANSWER)
        await comm.close()

    def look() -> None:
        # A closed port is known at once; and a name server that does not answer holds up this thread alone.
        socket.create_connection(parse_host_port(parse_address(address)[1]), _ANSWER).close()
        try:
            asyncio.run(greet())
        except (OSError, TimeoutError, TypeError):
            raise
        except Exception as error:  # whatever Dask makes of the words of another program
            raise OSError("what answers there is no Dask scheduler") from error

    fault = _within(_ANSWER, look)
    if isinstance(fault, TimeoutError):
        raise TimeoutError(f"there was no answer within {_ANSWER:g} s") from fault
    if fault is not None:
        raise fault


def _within(seconds: float, call: Callable[[], object]) -> Exception | None:
    """Call something that may hang, and be patient for so long; return its error, or that of our patience."""
    faults: list[Exception] = []

    def guarded() -> None:
        try:
            call()
        except Exception as error:  # it is for the caller to say which are expected
            faults.append(error)

    thread = threading.Thread(target=guarded, name="covis-waiting", daemon=True)
    thread.start()
    thread.join(seconds)
    return (
        TimeoutError(f"it takes longer than {seconds:g} s") if thread.is_alive() else next(iter(faults), None)
    )


@contextmanager
def _staying(where: str) -> Iterator[None]:
    """Say so when a scheduler goes away while we make its acquaintance."""
    try:
        with dask.config.set({"distributed.comm.timeouts.connect": _ANSWER}):
            yield
    except (OSError, RuntimeError, AttributeError, asyncio.CancelledError) as error:
        raise ConfigurationError(
            f"the scheduler ({where}) went away while the batch connected to it ({type(error).__name__}: "
            f"{error}); when it is back, give the same command again"
        ) from error


@contextmanager
def _left(what: str, close: Callable[[], object], say: Callable[[str], object]) -> Iterator[None]:
    """Close something at the end, or leave it behind after a while when it cannot be closed."""
    try:
        yield
    finally:
        fault = _within(_CLOSING, close)
        if fault is not None:
            say(f"{what} could not be closed ({fault}): look for jobs or processes that are left of it")


def _await_worker(client: Client, spec: ClusterSpec) -> None:
    try:
        client.wait_for_workers(1, timeout=_ARRIVAL)
    except TimeoutError as error:
        raise ConfigurationError(f"the scheduler at {spec.where} has no workers; start some") from error


def _check_resources(client: Client, resources: Mapping[str, float]) -> None:
    """Refuse a cluster on which our tasks would wait for ever."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    for name, amount in resources.items():
        if not any(worker.get("resources", {}).get(name, 0) >= amount for worker in workers):
            raise ConfigurationError(
                f"none of the {len(workers)} workers offers {name}={amount:g}: start workers from the Matlab "
                f"image with `dask worker --resources {name}={amount:g}` (docker compose --profile matlab up)"
            )


def check_versions(client: Client) -> None:
    """Compare what must agree between this process, the scheduler and the workers that are there.

    The scheduler counts as well: Dask unpacks tasks there too. Workers that come later
    find out for themselves, with the first run they are given (`versions.require`).

    Raises
    ------
    ConfigurationError
        With who has which version of what, and what to do.
    """
    reported: Any = client.get_versions(packages=["covis-dask"])
    ours = versions_in(reported["client"]["packages"])
    others = {"the scheduler": reported["scheduler"]}
    others |= {f"worker {address}": known for address, known in reported["workers"].items()}
    differing: dict[tuple[str, str], list[str]] = {}
    for who, known in others.items():
        if not isinstance(known, Mapping):
            continue  # a worker that has just left
        for package, version in differences(ours, versions_in(known["packages"])).items():
            differing.setdefault((package, version), []).append(who)
    if differing:
        raise disagreement(
            [
                f"{package} is {ours[package]} here and {version} on {who[0]}"
                + (f" and {len(who) - 1} others" if len(who) > 1 else "")
                for (package, version), who in differing.items()
            ]
        )


@contextmanager
def _kept_from_ctrl_c() -> Iterator[None]:
    """Keep Ctrl-C from all processes and threads that begin meanwhile, and from those that these begin.

    A terminal sends it to everybody. The batch alone is to take it, and to end its workers when it is ready;
    one that comes meanwhile waits.
    """
    # Python starts it with the first process otherwise, and lets Ctrl-C through to that thread again.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _started(spec: ClusterSpec, say: Callable[[str], object]) -> Iterator[Any]:
    """Start a cluster, with its workers, and end it."""
    if spec.where == LOCAL:
        with _kept_from_ctrl_c():
            # One run per process with one thread each beats threads (docs/performance.md).
            local = LocalCluster(
                n_workers=spec.workers or CPU_COUNT,
                threads_per_worker=1,
                dashboard_address=_free(_dashboard_address(spec)),
                silence_logs=logging.CRITICAL,
                resources=dict(spec.resources),
            )
        with _left("the local cluster", local.close, say):
            yield local
        return
    arguments = dict(dask.config.get(f"covis.cluster.{spec.where}", None) or {})
    if spec.where != "slurm":  # what a job's script refers to, its own shell looks up
        arguments = expand_options(arguments)
    register_options(arguments)
    watch_logs()
    try:
        with _kept_from_ctrl_c():
            cluster = KINDS[spec.where](arguments, spec)
    except ImportError as error:
        raise ConfigurationError(
            f"--cluster {spec.where} needs a package that is not installed ({error.name}): "
            f"pip install 'covis-dask[{spec.where}]'"
        ) from error
    except (TypeError, ValueError, OSError, RuntimeError) as error:
        raise ConfigurationError(
            f"the {spec.where} cluster cannot be started ({error}); its arguments are in "
            f"covis.cluster.{spec.where}"
        ) from redact_error(error)
    with _left(f"the {spec.where} cluster", cluster.close, say):
        if spec.adapt is not None:
            cluster.adapt(minimum=spec.adapt[0], maximum=spec.adapt[1])
        elif spec.workers is not None and spec.where != "ssh":
            cluster.scale(spec.workers)
        yield cluster


def _slurm(arguments: dict[str, Any], spec: ClusterSpec) -> Any:
    from dask_jobqueue.slurm import SLURMCluster

    extra = [*arguments.pop("worker_extra_args", []), *_offers(spec.resources)]
    options = {"dashboard_address": _dashboard_address(spec), **arguments.pop("scheduler_options", {})}
    return SLURMCluster(
        **{"python": sys.executable, **arguments, "worker_extra_args": extra, "scheduler_options": options}
    )


def _ssh(arguments: dict[str, Any], spec: ClusterSpec) -> Any:
    from distributed import SSHCluster

    hosts = arguments.pop("hosts", None)
    if not hosts or len(hosts) < 2:
        raise ValueError("list hosts: the scheduler's, then one for each worker")
    if spec.adapt is not None:
        raise ValueError("an SSH cluster has one worker per listed host: --adapt does not apply")
    options: dict[str, Any] = {"nthreads": 1, **arguments.pop("worker_options", {})}
    if spec.resources:
        options["resources"] = dict(spec.resources)
    if spec.workers is not None:
        options["n_workers"] = spec.workers
    of_scheduler = {"dashboard_address": _dashboard_address(spec), **arguments.pop("scheduler_options", {})}
    further = {"worker_options": options, "scheduler_options": of_scheduler}
    with dask.config.set({"covis.cluster": {}}):  # else it would be part of a command line over there
        return SSHCluster(hosts, **{"remote_python": sys.executable, **arguments, **further})


def _kubernetes(arguments: dict[str, Any], spec: ClusterSpec) -> Any:
    from dask_kubernetes.operator import KubeCluster

    if spec.resources:
        extra = [*arguments.pop("worker_command", ["dask", "worker"]), *_offers(spec.resources)]
        arguments["worker_command"] = extra
    return KubeCluster(**{"name": "covis", "n_workers": spec.workers or 1, **arguments})


def _gateway(arguments: dict[str, Any], spec: ClusterSpec) -> Any:
    from dask_gateway import Gateway

    if spec.resources:
        raise ValueError(
            f"its administrator sets what workers offer; {', '.join(spec.resources)} cannot be requested"
        )
    options = arguments.pop("options", {})
    return Gateway(**arguments).new_cluster(**options)


def _offers(resources: Mapping[str, float]) -> list[str]:
    """Return the words of `dask worker` for resources."""
    if not resources:
        return []
    return ["--resources", ",".join(f"{name}={amount:g}" for name, amount in resources.items())]


KINDS: Mapping[str, Callable[[dict[str, Any], ClusterSpec], Any]] = {
    "slurm": _slurm,
    "ssh": _ssh,
    "kubernetes": _kubernetes,
    "gateway": _gateway,
}
"""Clusters that can be started for a batch, by the word of ``--cluster``."""
