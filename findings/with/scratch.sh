# What every finding begins with: a folder of its own, a Python of its own, and nothing left behind.
set -euo pipefail

SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/finding-XXXXXXXX")
chmod 755 "$SCRATCH"  # a server runs as another user
FINDING=$(basename "$0" .sh)
PIDS=()
SEEN=

_clean_up() {
    status=$?
    for pid in "${PIDS[@]}"; do
        kill -TERM "$pid" 2>/dev/null || true
        kill -INT "$pid" 2>/dev/null || true  # PostgreSQL waits for its sessions after the first; others ignore this one
    done
    for pid in "${PIDS[@]}"; do
        for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
        kill -KILL "$pid" 2>/dev/null || true
    done
    rm -rf "$SCRATCH"
    if [ -z "$SEEN" ] && [ "$status" = 0 ]; then status=1; fi
    [ "$status" = 0 ] || echo "FAILED $FINDING: the behaviour is not what is written there, or could not be tried" >&2
    exit "$status"
}
trap _clean_up EXIT

# python_packages NAME==VERSION…: $PYTHON has them.
python_packages() {
    python3 -m venv "$SCRATCH/venv"
    PYTHON=$SCRATCH/venv/bin/python
    "$PYTHON" -m pip install --quiet --disable-pip-version-check "$@"
}

# free_port: prints one of the loopback address.
free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# as_nobody COMMAND…: servers refuse to be root, and have no need to be.
as_nobody() {
    if [ "$(id -u)" = 0 ]; then setpriv --reuid nobody --regid nogroup --clear-groups "$@"; else "$@"; fi
}

# in_background LOG COMMAND…: as nobody, ended with the script. Leaves the process id in $BACKGROUND.
in_background() {
    local log=$1
    shift
    if [ "$(id -u)" = 0 ]; then
        (cd / && exec setpriv --reuid nobody --regid nogroup --clear-groups "$@") >"$log" 2>&1 </dev/null &
    else
        (cd / && exec "$@") >"$log" 2>&1 </dev/null &
    fi
    BACKGROUND=$!
    PIDS+=("$BACKGROUND")
}

# seen TEXT: the script's last word.
seen() {
    SEEN=yes
    echo "SEEN $FINDING: $*"
}
