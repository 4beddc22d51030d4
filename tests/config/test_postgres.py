"""The embedded PostgreSQL, shared by real processes that are killed in every way there is."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from config import postgres

REPOSITORY = Path(__file__).parents[2]
NOBODY = 65534
USE_IT = """
import os, sys
from pathlib import Path
from config import postgres
{before}
postgres.start(Path(sys.argv[1]))
{after}
print("started", flush=True)
sys.stdin.read()
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


class Server:
    """A folder with a server, and the processes that use it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "server"
        self.users: list[subprocess.Popen[str]] = []
        self.python = sys.executable

    def begin(self, before: str = "", after: str = "", uid: int | None = None) -> subprocess.Popen[str]:
        """A process that starts the server; ``after`` it has, it holds on until its stdin is closed."""
        user = subprocess.Popen(
            [self.python, "-c", USE_IT.format(before=before, after=after), str(self.folder)],
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            user=uid,
        )
        self.users.append(user)
        return user

    def wait_for(self, user: subprocess.Popen[str]) -> subprocess.Popen[str]:
        assert user.stdout
        if user.stdout.readline() != "started\n":
            pytest.fail(f"not started: {user.communicate()[1]}")
        return user

    def user(self, before: str = "", after: str = "", uid: int | None = None) -> subprocess.Popen[str]:
        return self.wait_for(self.begin(before, after, uid))

    def leave(self, user: subprocess.Popen[str]) -> None:
        user.communicate()
        self.users.remove(user)

    def kill(self, user: subprocess.Popen[str]) -> None:
        user.kill()
        self.leave(user)

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(postgres.url(self.folder), autocommit=True)

    def query(self, sql: str) -> object:
        with self.connect() as connection:
            row = connection.execute(sql).fetchone()
            return row[0] if row else None

    @property
    def pid(self) -> int:
        return int((self.home / "data" / "postmaster.pid").read_text().split()[0])

    def processes(self) -> list[psutil.Process]:
        return postgres._server_processes(self.home)

    def keepers(self) -> list[psutil.Process]:
        return [
            process
            for process in psutil.process_iter(["cmdline"])
            if (process.info["cmdline"] or [])[2:5] == ["config.postgres", "keep", str(self.folder.resolve())]
            and postgres._alive(process)
        ]

    def is_gone(self) -> bool:
        return not self.processes() and not self.keepers()

    def kill_everything(self) -> None:
        for process in self.keepers() + self.processes():
            process.kill()
        for user in list(self.users):
            self.kill(user)
        until(self.is_gone)


@pytest.fixture
def empty() -> Iterator[Server]:
    """A server that has never been started."""
    folder = Path(tempfile.mkdtemp(prefix="touchstone-test-", dir="/tmp"))
    folder.chmod(0o711)  # pytest's own temporary folders are closed to the user PostgreSQL runs as for root
    server = Server(folder / "postgres")
    yield server
    for user in list(server.users):
        server.kill(user)
    until(server.is_gone)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def new_data() -> Iterator[Path]:
    """A data folder as the first start makes it."""
    folder = Path(tempfile.mkdtemp(prefix="touchstone-test-", dir="/tmp"))
    folder.chmod(0o711)
    server = Server(folder / "postgres")
    server.leave(server.user())
    until(server.is_gone)
    yield server.home / "data"
    shutil.rmtree(folder)


@pytest.fixture
def server(empty: Server, new_data: Path) -> Server:
    """A server that was started once before, which saves its creation."""
    empty.home.mkdir(parents=True)
    empty.folder.chmod(0o711)
    subprocess.run(["cp", "-a", new_data, empty.home], check=True)
    return empty


def test_two_processes_share_one_server_that_ends_with_the_last_of_them(server: Server) -> None:
    first, second = server.user(), server.user()
    pid = server.pid
    assert server.query("show fsync") == server.query("show synchronous_commit") == "on"
    server.leave(first)
    time.sleep(0.3)  # the keeper looks every 0.1 s
    assert server.query("select 1") == 1
    assert server.pid == pid
    server.kill(second)
    until(server.is_gone)
    assert not (server.home / "data" / "postmaster.pid").exists(), "it was stopped, not killed"


def test_data_survive_a_stop_and_pgvector_is_there(server: Server) -> None:
    user = server.user()
    with server.connect() as connection:
        connection.execute("create extension vector")
        connection.execute("create table kept as select '[1,2]'::vector as v, 'GRÖẞE' as word")
    server.leave(user)
    until(server.is_gone)
    server.user()
    assert server.query("select v <-> '[1,5]' from kept") == 3
    assert server.query("select lower(word) from kept") == "größe"


def test_six_processes_at_once_get_one_server(empty: Server) -> None:
    users = [empty.begin() for _ in range(6)]
    for user in users:
        empty.wait_for(user)
    assert len(empty.keepers()) == 1
    main_processes = [each for each in empty.processes() if "-D" in each.cmdline()]
    assert [each.pid for each in main_processes] == [empty.pid]


def test_a_killed_server_comes_back_without_being_asked(server: Server) -> None:
    server.user()
    connected = server.connect()
    connected.execute("create table written as select 2 as n")
    killed = server.pid
    os.kill(killed, signal.SIGKILL)
    until(lambda: postgres._answers(server.folder, server.home))
    connected.close()
    assert server.pid != killed
    assert server.query("select n from written") == 2


def test_after_a_killed_keeper_the_next_start_takes_the_server_over(server: Server) -> None:
    first = server.user()
    pid = server.pid
    server.keepers()[0].kill()
    until(lambda: not server.keepers())
    second = server.user()
    assert server.pid == pid
    assert len(server.keepers()) == 1
    server.leave(first)
    server.leave(second)
    until(server.is_gone)


def test_what_was_committed_survives_the_kill_of_everything(server: Server) -> None:
    server.user()
    with server.connect() as connection:
        connection.execute("create table labels as select generate_series(1, 1000) as n")
        connection.execute("insert into labels values (1001)")
    server.kill_everything()
    assert (server.home / "data" / "postmaster.pid").exists(), "left behind"
    server.user()
    assert server.query("select count(*) from labels") == 1001


def test_a_process_id_that_now_belongs_to_something_else_is_no_obstacle(server: Server) -> None:
    server.user()
    left_behind = (server.home / "data" / "postmaster.pid").read_text()
    killed, owner = server.pid, (server.home / "data").stat().st_uid
    server.kill_everything()
    stranger = subprocess.Popen(["sleep", "60"], user=owner if os.geteuid() == 0 else None)
    try:
        for file in (server.home / "data" / "postmaster.pid", server.home / ".s.PGSQL.5432.lock"):
            file.write_text(left_behind.replace(str(killed), str(stranger.pid)))
        server.user()
        assert server.query("select 1") == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_forked_child_holds_the_server_and_a_program_it_runs_does_not(server: Server) -> None:
    pids = server.folder.with_name("pids")
    fork = f"""
import subprocess
from time import sleep
program = subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=-3)
child = os.fork()
if child == 0:
    [os.close(n) for n in range(3)]
    while True: sleep(1)
Path({str(pids)!r}).write_text(f"{{child}} {{program.pid}}")
"""
    user = server.user(after=fork)
    child, program = map(int, pids.read_text().split())
    try:
        server.leave(user)
        time.sleep(0.3)
        assert server.query("select 1") == 1
        os.kill(child, signal.SIGKILL)
        until(server.is_gone)
        assert psutil.pid_exists(program)
    finally:
        os.kill(program, signal.SIGKILL)


def test_a_folder_cleared_away_takes_its_server_with_it(server: Server) -> None:
    server.user()
    main = psutil.Process(server.pid)
    server.folder.rename(server.folder.with_name("cleared"))
    until(lambda: not postgres._alive(main) and server.is_gone())
    server.user()
    assert server.query("select 1") == 1


def test_a_path_too_long_for_a_socket_gets_a_short_one(empty: Server) -> None:
    empty.folder = empty.folder / ("long" * 30)
    empty.home = empty.folder / "server"
    empty.user()
    assert empty.query("select 1") == 1
    host = Path(postgres.parameters(empty.folder)["HOST"])
    assert host.parent == Path("/tmp")
    assert host.stat().st_mode & 0o777 == 0o700
    empty.kill_everything()
    shutil.rmtree(host)


def test_a_server_that_cannot_start_says_why(server: Server) -> None:
    (server.home / "data" / "PG_VERSION").write_text("9\n")
    user = server.begin()
    assert "initialized by PostgreSQL version 9" in user.communicate()[1]
    assert user.returncode == 1


@as_root
def test_it_works_as_a_plain_user(empty: Server) -> None:
    pythons = [sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"]
    python = next((each for each in pythons if postgres._can_reach(NOBODY, Path(each))), None)
    if python is None or not postgres._can_reach(NOBODY, Path(psycopg.__file__).parent):
        pytest.skip("this Python or this checkout is closed to other users")
    empty.python = python
    os.chown(empty.folder.parent, NOBODY, NOBODY)
    empty.leave(empty.user(uid=NOBODY))
    until(empty.is_gone)
    empty.user(uid=NOBODY)
    assert (empty.home / "data").stat().st_uid == NOBODY
    assert empty.query("select 1") == 1


@as_root
def test_root_in_a_closed_folder_keeps_the_data_elsewhere(empty: Server) -> None:
    closed = empty.folder.with_name("closed")
    closed.mkdir(mode=0o700)
    elsewhere = empty.folder.with_name("elsewhere")
    empty.folder = closed / "postgres"
    empty.home = empty.folder / "server"
    empty.user(before=f"postgres.ELSEWHERE = Path({str(elsewhere)!r})")
    assert empty.home.resolve().parent == elsewhere
    assert empty.query("select 1") == 1
    empty.user()
    assert len(empty.keepers()) == 1


@as_root
def test_root_with_nowhere_to_put_the_data_is_told_what_to_do(empty: Server) -> None:
    empty.folder.mkdir(mode=0o700)
    closed = empty.folder.with_name("closed")
    closed.mkdir(mode=0o700)
    user = empty.begin(before=f"postgres.ELSEWHERE = Path({str(closed)!r})")
    error = user.communicate()[1]
    assert "refuses to run as root" in error
    assert "DATABASE_URL" in error
