#!/usr/bin/env bash
# mysqlclient's ssl_mode="REQUIRED" on MariaDB Connector/C 3.3 goes on in the clear where the server has no TLS.
# Expected: an error, as Oracle's client library gives one. Seen: a session without a cipher; VERIFY_IDENTITY is refused
# (2026), and so is a certificate's fingerprint (`ssl-fp` in an option file), on mysqlclient 2.3.1 and Connector/C 3.3.
# Where Lockgate takes it into account: connectors/mariadb/encryption.py.
source "$(dirname "$0")/with/scratch.sh"
source "$(dirname "$0")/with/mariadb.sh"
python_packages "mysqlclient==2.3.1"
start_mariadb --skip-ssl

"$PYTHON" - "$MARIADB_PORT" <<'PYTHON'
import sys, MySQLdb

def cipher(**options):
    try:
        connection = MySQLdb.connect(
            host="127.0.0.1", port=int(sys.argv[1]), user="root", password="finding", **options
        )
    except MySQLdb.OperationalError as error:
        return error.args[0]
    connection.query("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
    ((_, found),) = connection.store_result().fetch_row(0)
    connection.close()
    return found.decode() if isinstance(found, bytes) else found

required, verified = cipher(ssl_mode="REQUIRED"), cipher(ssl_mode="VERIFY_IDENTITY")
print(f"Connector/C {MySQLdb.get_client_info()}: REQUIRED gives the cipher {required!r}, VERIFY_IDENTITY gives {verified!r}")
assert required == ""
assert verified == 2026
PYTHON
seen "ssl_mode=REQUIRED is a session without encryption where the server has no TLS; VERIFY_IDENTITY is refused"
