"""Starting and ending processes: as another user where root must not be, never outliving the program that started them."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path

from deploy.local.errors import CommandFailed, ServerDidNotStart


def spawn(
    command: list[str],
    *,
    log: Path,
    user: str = "",
    environment: dict[str, str] | None = None,
    folder: Path | str = "/",
    last_signal: signal.Signals = signal.SIGTERM,
) -> subprocess.Popen[bytes]:
    """Start a process in a group of its own, so that Ctrl-C reaches us alone and everything ends in order.

    If we die without having ended it, by SIGKILL for instance, the kernel sends it `last_signal`. Call from the main
    thread: the kernel takes the end of the thread that called for our end.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            [*_setpriv(user, last_signal), *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )


def run(command: list[str], *, user: str = "", text: str = "", environment: dict[str, str] | None = None) -> None:
    """Run to the end. Raises `CommandFailed` with the last that it said."""
    whole = [*_setpriv(user), *command]
    done = subprocess.run(whole, input=text, capture_output=True, text=True, cwd="/", env=environment, check=False)
    if done.returncode != 0:
        raise CommandFailed(f"{command[0]}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def end(pid: int, number: signal.Signals, patience_seconds: float) -> None:
    """Ask a process to end, wait until it has, and insist when it takes longer than `patience_seconds`."""
    try:
        os.kill(pid, number)
        deadline = time.monotonic() + patience_seconds
        while is_running(pid):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                return
            time.sleep(0.02)
    except ProcessLookupError:
        return


def end_children(patience_seconds: float = 15.0) -> None:
    """End whatever this program has started and does not know of.

    When a signal comes between the start of a process and the moment that its number is stored, nothing else remembers it.
    """
    for pid in _children():
        end(pid, signal.SIGTERM, patience_seconds)


def is_running(pid: int) -> bool:
    """Whether there is such a process, and it has not ended already."""
    try:
        has_ended = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        # Its first thread may be through while others still hold what they share: ports, files.
        return not has_ended or len(os.listdir(f"/proc/{pid}/task")) > 1
    except OSError:
        return False


def server_user(name: str) -> str:
    """Who a server runs as when we are root: the user that its package made. As an ordinary user: oneself, written ''."""
    if os.geteuid() != 0:
        return ""
    try:
        return pwd.getpwnam(name).pw_name
    except KeyError:
        return ""


def may_enter(folder: Path, user: str) -> bool:
    """Whether `user` can get into a folder: not, say, below root's home."""
    return subprocess.run([*_setpriv(user), "test", "-x", str(folder)], check=False).returncode == 0


def find(name: str) -> str | None:
    """Where a program is; servers are where an ordinary user's shell does not look."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def program(name: str) -> str:
    """Where a program is. Raises `ServerDidNotStart` when it is nowhere."""
    found = find(name)
    if found is None:
        raise ServerDidNotStart(f"There is no program {name!r} on this machine.")
    return found


def _children() -> list[int]:
    us = str(os.getpid())
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            # Behind the name, which may hold anything: the state and the parent.
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
        except OSError:  # it has ended since
            continue
        if parent == us:
            found.append(int(entry.name))
    return found


def _setpriv(user: str, last_signal: signal.Signals | None = None) -> list[str]:
    """What stands in front of a command; util-linux's program, which then becomes the command, under the same pid."""
    words = [f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
    if last_signal is not None:
        words += ["--pdeathsig", last_signal.name.removeprefix("SIG")]
    return ["setpriv", *words] if words else []
