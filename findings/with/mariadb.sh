# MariaDB, as the system's packages have it: what is installed, or else unpacked into the folder and not installed.

# start_mariadb [--OPTION=VALUE…]: $MARIADB_PORT; root's password is `finding`.
start_mariadb() {
    local home=$SCRATCH/mariadb-$RANDOM
    local server=mariadbd share=/usr/share/mysql base=()
    mkdir -p "$home/tmp"
    if ! command -v mariadbd >/dev/null; then
        (cd "$home" && apt-get -qq download mariadb-server-core >/dev/null && dpkg-deb -x mariadb-server-core_*.deb unpacked)
        server=$home/unpacked/usr/sbin/mariadbd share=$home/unpacked/usr/share/mysql
        base=("--basedir=$home/unpacked/usr" "--lc-messages-dir=$share" "--character-sets-dir=$share/charsets")
    fi
    [ -e "$share/mysql_system_tables.sql" ] || share=/usr/share/mariadb
    mkdir -m 700 "$home/data"
    if [ "$(id -u)" = 0 ]; then chown -R nobody "$home/data" "$home/tmp"; fi
    local prefix=mysql
    [ -e "$share/mysql_system_tables.sql" ] || prefix=mariadb
    {
        echo "CREATE DATABASE IF NOT EXISTS mysql;"
        echo "USE mysql;"
        echo "SET @auth_root_socket = NULL;"
        cat "$share/${prefix}_system_tables.sql" "$share/${prefix}_performance_tables.sql" \
            "$share/${prefix}_system_tables_data.sql"
        find "$share" -name "${prefix}_sys_schema.sql" -exec cat {} +
    } >"$home/bootstrap.sql"
    (cd / && as_nobody "$server" --no-defaults "${base[@]}" --bootstrap "--datadir=$home/data" "--tmpdir=$home/tmp" \
        --max-allowed-packet=8M <"$home/bootstrap.sql" >"$home/bootstrap.log" 2>&1)
    cat >"$home/init.sql" <<SQL
DELETE FROM mysql.global_priv WHERE User = '' OR User = 'root' AND Host <> 'localhost';
FLUSH PRIVILEGES;
CREATE USER IF NOT EXISTS 'root'@'127.0.0.1' IDENTIFIED BY 'finding';
GRANT ALL PRIVILEGES ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;
SQL
    MARIADB_PORT=$(free_port)
    in_background "$home/log" "$server" --no-defaults "${base[@]}" "--datadir=$home/data" "--port=$MARIADB_PORT" \
        --bind-address=127.0.0.1 --socket=mariadb.sock --pid-file=mariadb.pid "--tmpdir=$home/tmp" \
        "--init-file=$home/init.sql" --event-scheduler=ON --skip-name-resolve "$@"
    MARIADB_PID=$BACKGROUND
    for _ in $(seq 300); do
        grep -q 'ready for connections' "$home/log" 2>/dev/null && break
        sleep 0.1
    done
    sleep 0.2  # the init file runs at the very end of the start
}
