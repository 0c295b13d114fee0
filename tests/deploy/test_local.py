"""Servers of one's own, with real processes: where they live, what a crash leaves behind, and that all of them end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis

from deploy.local import packages
from deploy.local.errors import FolderInUse, FolderNotOurs, NotAPort, PackagesMissing, PortTaken, ServerDidNotStart
from deploy.local.installed import ROOT
from deploy.local.processes import end, is_running, may_enter, server_user, spawn
from deploy.local.servers import PORTS, PostgreSQL, Redis, free_port, port_is_free
from deploy.local.stack import Stack

PATIENCE_SECONDS = 40
#: For the whole demo, which gives up by itself where something hangs: its own patience is with each part, and this is with all.
DEMO_SECONDS = 300
NOBODY = 65534
IS_ROOT = os.geteuid() == 0


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that the servers' users can get into; pytest's own folders are root's alone."""
    path = Path(tempfile.mkdtemp(prefix="lockgate-test-local-"))
    path.chmod(0o711)
    yield path
    wait_until(lambda: not processes_of(path), "the end of what a test has started")
    shutil.rmtree(path)


@pytest.fixture
def queue(folder: Path) -> Iterator[Redis]:
    """The smallest of the servers."""
    server = Redis(folder / "queue")
    yield server
    server.stop()


def answers(server: Redis) -> bool:
    with redis.Redis.from_url(server.url) as client:
        return bool(client.ping())


def wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS} s: {what}"
        time.sleep(0.05)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# -- Ports ---------------------------------------------------------------------------------------------------------------


def test_a_free_port_is_one_that_nobody_uses_and_that_no_connection_is_given() -> None:
    lowest_of_the_kernel = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = {free_port() for _ in range(50)}
    assert len(ports) > 1, "two that look at the same time hardly find the same"
    assert all(port in PORTS and port_is_free(port) and port < lowest_of_the_kernel for port in ports)


def test_a_port_that_somebody_listens_on_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        port = free_port()
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert not port_is_free(port)
        monkeypatch.setattr("deploy.local.servers.PORTS", [port] * 3 + [free := free_port()])
        assert {free_port() for _ in range(5)} == {free}


def test_a_folder_keeps_its_port_and_its_password(queue: Redis) -> None:
    again = Redis(queue.folder)
    assert (again.port, again.password) == (queue.port, queue.password)


def test_a_port_that_was_taken_meanwhile_is_named_and_so_is_the_way_out(queue: Redis) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", queue.port))
        taken.listen()
        with pytest.raises(PortTaken, match=f"queue needs port {queue.port}. Free it, or remove {queue.folder}"):
            queue.start()
    assert queue.pid is None
    queue.start()
    assert answers(queue)


@pytest.mark.parametrize("port", ["http", "0", "65536", "-1"])
def test_what_is_no_port_is_refused_in_words(folder: Path, port: str) -> None:
    with demo(folder, port=port) as refused:
        assert refused.wait(PATIENCE_SECONDS) == 1
        assert f"{NotAPort.__doc__} It is {port!r}." in said(refused)


# -- Folders -------------------------------------------------------------------------------------------------------------


def test_what_is_secret_is_readable_by_the_server_alone(queue: Redis) -> None:
    queue.start()
    assert mode(queue.folder) == 0o711
    assert mode(queue.folder / "password") == 0o600
    assert mode(queue.folder / "redis.conf") == 0o600
    assert (queue.folder / "redis.conf").owner() == (server_user("redis") or Path.home().owner())


def test_nobody_without_the_password_gets_in(queue: Redis) -> None:
    queue.start()
    with socket.create_connection(("127.0.0.1", queue.port), timeout=5) as client:
        client.sendall(b"PING\r\n")
        assert client.recv(100).startswith(b"-NOAUTH")


def test_a_folder_that_postgresqls_user_cannot_enter_is_no_obstacle(tmp_path: Path) -> None:
    """Such as one below root's home. As an ordinary user the servers are oneself, and any folder will do."""
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    assert may_enter(private / "..", server_user("postgres")) is not IS_ROOT
    stack = Stack(private / "data", durable=False)
    assert (stack.servers_folder != stack.folder) is IS_ROOT
    try:
        stack.state.start()
        stack.state.create_database("lockgate")
        stack.state.create_database("lockgate")  # a second time is no mistake
        with psycopg.connect(stack.environment()["DATABASE_URL"]) as connection:
            found = connection.execute("SELECT current_database(), current_setting('data_directory')").fetchone()
        assert found == ("lockgate", str(stack.servers_folder / "state" / "data"))
        assert mode(stack.servers_folder / "state" / "data") == 0o700
        assert Stack(private / "data").servers_folder == stack.servers_folder
    finally:
        stack.stop()
        stack.forget()
    assert not stack.servers_folder.exists()
    assert not stack.folder.exists()


def test_a_folder_elsewhere_that_somebody_else_has_prepared_is_refused(tmp_path: Path) -> None:
    """Anybody may write to /var/tmp, and the name can be worked out."""
    (tmp_path / "private").mkdir(mode=0o700)
    elsewhere = Stack(tmp_path / "private").servers_folder
    if not IS_ROOT:
        assert elsewhere == tmp_path / "private", "an ordinary user's servers need no folder elsewhere"
        return
    elsewhere.rmdir()
    elsewhere.symlink_to(tmp_path)
    try:
        with pytest.raises(FolderNotOurs, match=str(elsewhere)):
            Stack(tmp_path / "private")
        elsewhere.unlink()
        elsewhere.mkdir()
        os.chown(elsewhere, NOBODY, NOBODY)
        with pytest.raises(FolderNotOurs, match=str(elsewhere)):
            Stack(tmp_path / "private")
    finally:
        elsewhere.unlink() if elsewhere.is_symlink() else elsewhere.rmdir()


def test_forgetting_leaves_what_somebody_else_put_into_the_folder(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    (folder / "secrets").mkdir()
    (folder / "secrets" / "postgresql-admin").write_text("the demo's")
    stack = Stack(folder)
    assert stack.queue.port
    stack.forget()
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


# -- After a crash ---------------------------------------------------------------------------------------------------------


def test_a_pid_that_belongs_to_somebody_else_by_now_is_not_taken_for_the_server(queue: Redis) -> None:
    with subprocess.Popen(["sleep", "600"]) as somebody:
        try:
            queue.start()
            end(queue.pid or 0, signal.SIGKILL, 5)
            again = Redis(queue.folder)
            (again.folder / "pid").write_text(f"{somebody.pid}\n")
            assert again.pid is None
            again.start()
            assert answers(again)
            assert again.pid not in (None, somebody.pid)
            again.stop()
            assert somebody.poll() is None
        finally:
            somebody.kill()


@pytest.mark.parametrize("left", ["", "no number", "4194304999"])
def test_whatever_is_in_the_file_of_the_pid_the_server_starts(queue: Redis, left: str) -> None:
    assert queue.port
    (queue.folder / "pid").write_text(left)
    queue.start()
    assert answers(queue)


def test_a_server_that_runs_is_found_by_the_next_program_and_not_started_twice(queue: Redis) -> None:
    queue.start()
    found = Redis(queue.folder)
    found.start()
    assert found.pid == queue.pid
    found.stop()
    assert queue.pid is None


def test_postgresql_that_was_killed_starts_again_with_its_data(folder: Path) -> None:
    server = PostgreSQL(folder / "state")
    try:
        server.start()
        with psycopg.connect(server.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 1 AS one")
        os.kill(server.pid or 0, signal.SIGKILL)
        wait_until(lambda: server.pid is None, "the end of PostgreSQL")
        assert (server.folder / "data" / "postmaster.pid").exists()
        again = PostgreSQL(folder / "state")
        again.start()
        with psycopg.connect(again.url) as connection:
            assert connection.execute("SELECT one FROM kept").fetchone() == (1,)
        again.stop()
        assert again.pid is None
    finally:
        server.stop()


def test_a_server_that_cannot_start_says_where_to_look(queue: Redis) -> None:
    assert queue.port
    (queue.folder / "redis.conf").write_text("no-such-setting yes\n")
    (queue.folder / "redis.conf").chmod(0o644)
    with pytest.raises(ServerDidNotStart, match=f"(?s){queue.log}.*no-such-setting"):
        queue.start()
    assert queue.pid is None


HOLDER = """
import sys, time
from pathlib import Path
from deploy.local.stack import Stack
stack = Stack(Path(sys.argv[1]))
with stack.claimed():
    stack.queue.start()
    print(stack.queue.pid, flush=True)
    time.sleep(600)
"""


def test_a_claim_holds_while_its_program_lives_and_ends_with_it_and_so_do_its_servers(folder: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        pid = int(holder.stdout.readline())
        with (
            pytest.raises(FolderInUse, match=f"It is {folder}; LOCKGATE_DATA chooses another"),
            Stack(folder).claimed(),
        ):
            pytest.fail("two may not have it at once")
        holder.kill()
    wait_until(lambda: not is_running(pid), "the end of a server whose program was killed")
    stack = Stack(folder)
    with stack.claimed():
        assert stack.queue.pid is None
        stack.queue.start()
        assert answers(stack.queue)
        stack.queue.stop()


# -- Packages ----------------------------------------------------------------------------------------------------------------


def refusal_without_rights(wanted: dict[str, str], path: str) -> str:
    """What somebody reads who may not install anything and has only `path` to find programs on."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        words = "nothing was missing"
        try:
            if IS_ROOT:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            os.environ["PATH"] = path
            packages.install(wanted)
        except PackagesMissing as error:
            words = str(error)
        finally:
            os.write(writing, words.encode())
            os._exit(0)
    os.close(writing)
    os.waitpid(pid, 0)
    with os.fdopen(reading) as told:
        return told.read()


def test_what_is_missing_is_named_in_the_command_that_installs_it(folder: Path) -> None:
    """On Debian: programs and files are missing here that no machine has."""
    (folder / "apt-get").symlink_to("/usr/bin/apt-get")
    wanted = {
        "lockgate-server": "lockgate-no-such-program",
        "lockgate-dev": "/usr/include/lockgate/*.h",
        "base-files": "/etc/debian_version*",
    }
    assert refusal_without_rights(wanted, str(folder)) == (
        "Packages of the system are missing, and this user may not install them."
        " Have an administrator run: apt-get install --no-install-recommends lockgate-server lockgate-dev"
    )


def test_on_another_system_the_names_have_to_do(folder: Path) -> None:
    told = refusal_without_rights({"lockgate-server": "lockgate-no-such-program"}, str(folder))
    assert told.endswith("Install what your system calls these, then try again: lockgate-server")


def test_where_nothing_is_missing_nothing_is_asked(folder: Path) -> None:
    assert refusal_without_rights({"base-files": "/etc/passwd"}, str(folder)) == "nothing was missing"


def test_each_package_that_is_needed_has_a_sign_and_this_machine_shows_them_all() -> None:
    """The suite could not run otherwise; a sign that is misspelt would make apt run at every start."""
    assert packages.missing(packages.SERVERS | packages.COMPILER | packages.DRIVER | packages.BROWSER) == []


# -- Ending -------------------------------------------------------------------------------------------------------------------


def test_a_process_that_does_not_listen_is_ended_all_the_same(folder: Path) -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    process = spawn([sys.executable, "-c", code], log=folder / "log")
    wait_until(lambda: "deaf" in (folder / "log").read_text(), "a process that ignores SIGTERM")
    end(process.pid, signal.SIGTERM, 0.2)
    assert process.wait(5) == -signal.SIGKILL


def test_ending_what_has_ended_is_no_mistake() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    end(process.pid, signal.SIGTERM, 1)


@contextmanager
def demo(folder: Path, port: str) -> Iterator[subprocess.Popen[str]]:
    """`make demo` without make, in a session of its own, as under a terminal of its own."""
    ours = ("LOCKGATE_", "DATABASE_URL", "REDIS_URL", "EMAIL_URL")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    with subprocess.Popen(
        [sys.executable, "-m", "deploy.local", "demo"],
        cwd=ROOT,
        env={**environment, "LOCKGATE_DATA": str(folder / "demo"), "LOCKGATE_PORT": port},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    return process.stderr.read()


def said_until(process: subprocess.Popen[str], words: str) -> str:
    """What it says until `words` are among it; fails when it ends or takes too long before."""
    assert process.stderr is not None
    late = threading.Timer(DEMO_SECONDS, process.kill)
    late.start()
    text = ""
    try:
        while words not in text:
            piece = process.stderr.read(1)
            assert piece, f"it ended before it said {words!r}:\n{text}"
            text += piece
    finally:
        late.cancel()
    return text


def processes_of(folder: Path) -> list[str]:
    """Every process that has the folder in its command or its environment, or a file below it open, as Redis has its log."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = [(entry / name).read_bytes().decode(errors="replace") for name in ("cmdline", "environ")]
            opened = [os.readlink(file) for file in (entry / "fd").iterdir()]
        except OSError:  # somebody else's, or it has just ended
            continue
        if int(entry.name) != os.getpid() and any(str(folder) in text for text in [*words, *opened]):
            found.append(words[0].replace("\0", " "))
    return found


def left_after(number: signal.Signals, running: subprocess.Popen[str], folder: Path) -> list[str]:
    """Which processes are left when the signal has ended the demo, which it has to do in order."""
    running.send_signal(number)
    assert running.wait(DEMO_SECONDS) == 0
    return processes_of(folder)


def test_ctrl_c_and_sigterm_end_every_process_and_the_second_start_keeps_its_data(folder: Path) -> None:
    """The whole demo: four servers, web, worker, beat and gateway, and an identity provider."""
    port = str(free_port())
    with demo(folder, port) as running:
        said_until(running, "Ctrl-C ends it.")
        names = " ".join(processes_of(folder))
        for name in ("postgres", "mariadbd", "redis-server", "gunicorn", "worker", "beat", "gateway"):
            assert name in names
        assert left_after(signal.SIGINT, running, folder) == []
    with demo(folder, port) as running:
        text = said_until(running, "Ctrl-C ends it.")
        assert "alice@demo.example" in text
        assert "loading" not in text, "what takes long has been done"
        assert "bringing" not in text
        assert left_after(signal.SIGTERM, running, folder) == []


def test_a_first_start_that_is_interrupted_ends_what_it_had_started(folder: Path) -> None:
    with demo(folder, str(free_port())) as running:
        said_until(running, "bringing the database up to date")
        assert any("mariadbd" in command for command in processes_of(folder))
        assert left_after(signal.SIGINT, running, folder) == []


def test_a_command_that_runs_beside_the_servers_ends_with_them(folder: Path) -> None:
    environment = {**os.environ, "LOCKGATE_DATA": str(folder / "demo")}
    code = "import time; print('begun', flush=True); time.sleep(600)"
    command = [sys.executable, "-m", "deploy.local", "run", sys.executable, "-c", code]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "begun\n"
        running.send_signal(signal.SIGTERM)
        assert running.wait(PATIENCE_SECONDS) == 130
    assert processes_of(folder) == []
