#!/usr/bin/env bash
# Who drops the account that made a role leaves a role that nobody may grant, not even root.
# Expected: an administrator of everything may grant any role. Seen: 1698 on 10.11 and 11.8; the privileges of the role can be
# changed, and it can be dropped, but membership takes a line in mysql.roles_mapping and FLUSH PRIVILEGES.
# Where Lockgate takes it into account: connectors/mariadb/administering.py, and the setup SQL.
source "$(dirname "$0")/with/scratch.sh"
source "$(dirname "$0")/with/mariadb.sh"
python_packages "PyMySQL==1.1.2"
start_mariadb

"$PYTHON" - "$MARIADB_PORT" <<'PYTHON'
import sys, pymysql

root = pymysql.connect(host="127.0.0.1", port=int(sys.argv[1]), user="root", password="finding", autocommit=True)
cursor = root.cursor()

def run(sql):
    try:
        cursor.execute(sql)
    except pymysql.err.Error as error:
        return error.args[0]
    return "done"

for sql in ("CREATE USER boss@'%'", "CREATE USER alice@'%'", "CREATE ROLE readers WITH ADMIN boss@'%'", "DROP USER boss@'%'"):
    assert run(sql) == "done", sql
granted, changed = run("GRANT readers TO alice@'%'"), run("GRANT SELECT ON test.* TO readers")
run("INSERT INTO mysql.roles_mapping VALUES ('%', 'alice', 'readers', 'Y')")
run("FLUSH PRIVILEGES")
cursor.execute("SHOW GRANTS FOR alice@'%'")
has_it = any("readers" in line for (line,) in cursor.fetchall())
cursor.execute("SELECT VERSION()")
print(f"MariaDB {cursor.fetchone()[0]}: root grants the role: {granted}; changes it: {changed}; by the table: {has_it}")
assert (granted, changed, has_it) == (1698, "done", True)
PYTHON
seen "root is refused with 1698; a line in mysql.roles_mapping makes an administrator again"
