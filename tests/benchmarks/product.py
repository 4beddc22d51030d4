"""The whole product as processes on a database of its own, for benchmarks and journeys."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

REPOSITORY = Path(__file__).resolve().parents[2]
# PostgreSQL's keeper is a child of whoever asked for it first. This process does, so that none that is killed takes
# the database along; it lets go when we close its input, or die.
HOLD_DATABASE = "import sys; from config import database; database.start(); print(flush=True); sys.stdin.read()"


class Product:
    """A running instance: `url`, and `manage` for its commands. `root` has the code, of this release or another."""

    def __init__(self, var: Path, root: Path = REPOSITORY) -> None:
        self.var, self.root = var, root
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **{key: value for key, value in os.environ.items() if key not in ("DATABASE_URL", "TOUCHSTONE_DB_POOL")},
            "TOUCHSTONE_VAR": str(var),
            "PYTHONPATH": str(root),
            "PYTHONUNBUFFERED": "1",
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.logs = var / "log" if root == REPOSITORY else var / "log" / root.name
        self.logs.mkdir(parents=True, exist_ok=True)
        self.database = subprocess.Popen(
            [sys.executable, "-c", HOLD_DATABASE],
            cwd=root,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        assert self.database.stdout is not None
        self.database.stdout.readline()  # it holds PostgreSQL now, or it ended and the next to ask will say why

    def manage(self, *arguments: str, stdin: str | None = None) -> str:
        """Run a management command to its end; returns what it printed."""
        return self.python("manage.py", *arguments, stdin=stdin)

    def python(self, *arguments: str, stdin: str | None = None) -> str:
        """Run Python with these arguments to its end, in the product's environment; returns what it printed."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env=self.environment,
            input=stdin,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """Start `web`, `queue`, `gpu` or `models`; what it prints goes to <name>.log in the folder of `logs`."""
        if name == "web":
            return self.serve(name, "config.wsgi", f"127.0.0.1:{self.port}")
        return self._start(name, "manage.py", "serve_models" if name == "models" else "qcluster")

    def serve(
        self, name: str, application: str, bind: str, *, pass_fds: Collection[int] = ()
    ) -> subprocess.Popen[bytes]:
        """Start gunicorn as the Procfile does, under this name."""
        command = ["-m", "gunicorn", application, "-b", bind, "-w", "2", "--threads", "4", "--timeout", "120"]
        return self._start(name, *command, "--keep-alive", "75", "--no-control-socket", pass_fds=pass_fds)

    def _start(self, name: str, *command: str, pass_fds: Collection[int] = ()) -> subprocess.Popen[bytes]:
        cluster = {"queue": "default", "gpu": "gpu"}.get(name, "")
        with self._log(name).open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *command],
                cwd=self.root,
                env={**self.environment, "Q_CLUSTER_NAME": cluster},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=pass_fds,
            )
        return self.processes[name]

    def how_all_are(self) -> str:
        """Of each process that was started, whether it still runs, and its last lines."""
        said = []
        for name, process in self.processes.items():
            ended = process.poll()
            state = "runs" if ended is None else f"ended with {ended}"
            said.append(f"{name} {state}; its last lines:\n{self._log(name).read_text(errors='replace')[-2000:]}")
        return "\n".join(said)

    def _log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def wait_for_pages(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                requests.get(f"{self.url}/sign-in/", timeout=5)
                return
            except requests.RequestException:
                if time.monotonic() > deadline or self.processes["web"].poll() is not None:
                    raise TimeoutError(self.how_all_are()) from None
                time.sleep(0.1)

    def recipes(self, method: str) -> list[psutil.Process]:
        """The processes in which this recipe runs here."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.name() == f"recipe {method}" and process.environ().get("TOUCHSTONE_VAR") == str(self.var):
                    found.append(process)
        return found

    def kill(self, name: str) -> None:
        """kill -9 a process and everything below it, some of which may end by itself meanwhile."""
        family = _family(self.processes.pop(name).pid)
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(family, timeout=10)

    def kill_orphans(self) -> None:
        """What lost its parent still carries our folder in its environment; end it too."""
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                ours = process.environ().get("TOUCHSTONE_VAR") == str(self.var)
                if ours and "qcluster" in process.cmdline():
                    process.kill()

    def stop(self) -> None:
        for name in list(self.processes):
            self.kill(name)
        self.kill_orphans()
        self.database.communicate()


@dataclass(frozen=True)
class Beginning:
    """What a product begins with: `fill` makes it, and `folder` is one that was filled, unless its data lie elsewhere,
    where a copy would share them."""

    fill: Callable[[Product], object]
    folder: Path | None = None

    def bring_to(self, var: Path) -> bool:
        """Copy what is in the folder; whether there was one."""
        if self.folder is not None:
            kept = [path for name in ("postgres", "artifacts") if (path := self.folder / name).exists()]
            subprocess.run(["cp", "-a", *kept, var], check=True)  # with their owner, who is another
        return self.folder is not None


_usual = [Beginning(lambda product: product.manage("migrate", "--verbosity=0"))]


@contextmanager
def usually(begin: Beginning) -> Iterator[None]:
    """While this is open, products begin with this unless another beginning is named."""
    _usual.append(begin)
    try:
        yield
    finally:
        _usual.remove(begin)


@contextmanager
def filled_once(fill: Callable[[Product], object]) -> Iterator[Beginning]:
    """Fill a product once: while this is open, others can begin as a copy of it, which saves seconds each time."""
    folder = Path(tempfile.mkdtemp(prefix="touchstone-"))
    try:
        with running(var=folder, begin=Beginning(fill)):
            pass
        _wait_for_database_to_stop(folder)
        elsewhere = (folder / "postgres" / "server").is_symlink()
        yield Beginning(fill, None if elsewhere else folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running(*names: str, var: Path | None = None, begin: Beginning | None = None) -> Iterator[Product]:
    """Yields the product with a fresh database and these processes; ends and removes everything after."""
    begin = begin or _usual[-1]
    folder = var or Path(tempfile.mkdtemp(prefix="touchstone-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # for root, PostgreSQL runs as a user that must reach its folder
    copied = not (folder / "postgres").exists() and begin.bring_to(folder)
    product = Product(folder)
    try:
        if not copied:
            begin.fill(product)
        for name in names:
            product.start(name)
        if "web" in names:
            product.wait_for_pages()
        yield product
    finally:
        product.stop()
        if var is None:
            _wait_for_database_to_stop(folder)
            shutil.rmtree(folder, ignore_errors=True)


class Client:
    """A person at the API."""

    def __init__(self, product: Product, name: str, password: str) -> None:
        self.base = f"{product.url}/api/v1/"
        self.session = requests.Session()
        # As browsers do: ask again, if the server closed an idle connection at the very moment it was used.
        once_more = Retry(connect=2, read=2, allowed_methods=["GET"])
        self.session.mount("http://", HTTPAdapter(max_retries=once_more))
        token = self.post("token/", username=name, password=password)["token"]
        self.session.headers["Authorization"] = f"Token {token}"

    def get(self, path: str, **query: Any) -> dict:
        return self._checked(self.session.get(self.base + path, params=query, timeout=60))

    def post(self, path: str, **data: object) -> dict:
        return self._checked(self.session.post(self.base + path, json=data, timeout=60))

    def pages(self, path: str, **query: object) -> Iterator[dict]:
        """Every row of a list, page by page."""
        answer = self.get(path, page_size=500, **query)
        yield from answer["results"]
        while answer["next"]:
            answer = self._checked(self.session.get(answer["next"], timeout=60))
            yield from answer["results"]

    @staticmethod
    def _checked(answer: requests.Response) -> dict:
        if not answer.ok:
            raise RuntimeError(f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text[:500]}")
        return answer.json()


def new_password() -> str:
    return secrets.token_urlsafe(12)


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_database_to_stop(folder: Path, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    pid_file = folder / "postgres" / "server" / "data" / "postmaster.pid"
    while pid_file.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
