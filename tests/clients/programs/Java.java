// PostgreSQL's JDBC driver, and HikariCP's pool on it.
//
//     java -cp … Java.java jdbc|hikari

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.io.StringReader;
import java.io.StringWriter;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

public class Java {
    static final String LEVEL = System.getenv("LEVEL");
    static final boolean MAY_WRITE = !LEVEL.equals("read");
    static final String NOT_ALLOWED = Map.of("read", "INSERT", "write", "CREATE TABLE", "ddl", "GRANT").get(LEVEL);
    static final String NOT_ALLOWED_SQL = Map.of(
        "read", "INSERT INTO things (name) VALUES ('not allowed')",
        "write", "CREATE TABLE not_allowed (id int)",
        "ddl", "GRANT SELECT ON things TO PUBLIC").get(LEVEL);

    public static void main(String[] arguments) throws Exception {
        if (arguments[0].equals("jdbc")) {
            Jdbc.use();
        } else {
            Hikari.use();
        }
    }

    // --- What a program says, a line each; as telling.py does

    interface Work {
        void run() throws Exception;
    }

    static void tell(String... pairs) {
        StringBuilder line = new StringBuilder("{");
        for (int at = 0; at < pairs.length; at += 2) {
            line.append(at == 0 ? "" : ", ").append(quoted(pairs[at])).append(": ").append(quoted(pairs[at + 1]));
        }
        System.out.println(line.append("}"));
    }

    static String quoted(String text) {
        String safe = String.valueOf(text).replace("\\", "\\\\").replace("\"", "\\\"");
        return '"' + safe.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t") + '"';
    }

    static String sqlstate(Throwable error) {
        return error instanceof SQLException one && one.getSQLState() != null ? one.getSQLState() : "";
    }

    static void does(String what, String how, Work work) {
        try {
            work.run();
            tell("does", what, "how", how);
        } catch (Throwable error) {
            tell("fails", what, "how", how, "sqlstate", sqlstate(error), "said", error.toString());
        }
    }

    static void refused(Work work) {
        try {
            work.run();
            tell("fails", "refusing " + NOT_ALLOWED, "how", "", "sqlstate", "", "said", "It was not refused.");
        } catch (Throwable error) {
            tell("refused", NOT_ALLOWED, "sqlstate", sqlstate(error), "said", error.getMessage());
        }
    }

    static void same(Object found, Object wanted) {
        if (!wanted.equals(found)) {
            throw new AssertionError(found + " instead of " + wanted);
        }
    }

    // --- What both do

    static String url(String... options) {
        return "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/"
            + System.getenv("PGDATABASE") + "?" + String.join("&", options);
    }

    static String one(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
            return rows.next() ? rows.getString(1) : "";
        }
    }

    static void run(Connection connection, String... texts) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            for (String text : texts) {
                statement.execute(text);
            }
        }
    }

    static void insert(Connection connection, int rows) throws SQLException {
        connection.setAutoCommit(false);
        try (PreparedStatement statement = connection.prepareStatement("INSERT INTO things (name, price) VALUES (?, ?)")) {
            for (int number = 0; number < rows; number++) {
                statement.setString(1, "n" + number);
                statement.setInt(2, number);
                statement.addBatch();
            }
            same(statement.executeBatch().length, rows);
        }
        connection.commit();
        connection.setAutoCommit(true);
    }

    static void prepared(Connection connection) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement("SELECT item FROM orders WHERE id = ?")) {
            for (int round = 0; round < 12; round++) {
                statement.setInt(1, 2);
                try (ResultSet rows = statement.executeQuery()) {
                    rows.next();
                    same(rows.getString(1), "milk");
                }
            }
        }
    }

    // --- The driver by itself

    static class Jdbc {
        static Connection connect(String... options) throws SQLException {
            return DriverManager.getConnection(url(options), System.getenv("PGUSER"), System.getenv("PGPASSWORD"));
        }

        static void use() throws Exception {
            tell("version", org.postgresql.util.DriverInfo.DRIVER_VERSION);
            try (Connection connection = connect("ApplicationName=a program in Java")) {
                does("connects", "DriverManager", () -> same(one(connection, "SELECT count(*) FROM orders"), "3"));
                does("prepared", "by itself, after five times", () -> prepared(connection));
                does("describes", "DatabaseMetaData", () -> describe(connection));
                does("arrays", "createArrayOf", () -> arrays(connection));
                does("cursors", "setFetchSize", () -> fetch(connection));
                does("cancel", "setQueryTimeout", () -> cancel(connection));
                if (MAY_WRITE) {
                    does("bulk", "CopyManager.copyIn", () -> same(copier(connection).copyIn(
                        "COPY things (name) FROM STDIN", new StringReader("c\n".repeat(5000))), 5000L));
                } else {
                    does("bulk", "CopyManager.copyOut", () -> same(copier(connection).copyOut(
                        "COPY (SELECT generate_series(1, 5000)) TO STDOUT", new StringWriter()), 5000L));
                }
                if (LEVEL.equals("ddl")) {
                    does("migration", "CREATE TABLE, ALTER TABLE", () -> run(connection,
                        "CREATE TABLE made (id serial PRIMARY KEY); ALTER TABLE made ADD name text"));
                }
                refused(() -> run(connection, NOT_ALLOWED_SQL));
                does("goes on", "after a refusal", () -> same(one(connection, "SELECT 1"), "1"));
            }
            if (MAY_WRITE) {
                does("batch", "executeBatch, plain and with reWriteBatchedInserts", () -> {
                    for (String rewrite : new String[] {"false", "true"}) {
                        try (Connection connection = connect("reWriteBatchedInserts=" + rewrite)) {
                            insert(connection, 1000);
                        }
                    }
                });
            } else {
                does("batch", "several statements in one", () -> {
                    try (Connection connection = connect()) {
                        run(connection, "SELECT 1; SELECT 2; SELECT 3");
                    }
                });
            }
            does("schema", "currentSchema", () -> {
                try (Connection connection = connect("currentSchema=shop")) {
                    same(one(connection, "SELECT name FROM item"), "tea");
                    connection.setSchema("public");
                    same(one(connection, "SELECT count(*) FROM orders"), "3");
                }
            });
            does("read-only", "setReadOnly in each readOnlyMode", Jdbc::readOnly);
            does("query modes", "simple, extended, extendedForPrepared, extendedCacheEverything", Jdbc::modes);
            does("named later", "setClientInfo", () -> {
                try (Connection connection = connect()) {
                    connection.setClientInfo("ApplicationName", "a name of later");
                    same(one(connection, "SHOW application_name"), "a name of later");
                }
            });
            does("checked TLS", "sslmode=verify-full", () -> {
                try (Connection connection = connect("sslmode=verify-full", "sslrootcert=" + System.getenv("PGSSLROOTCERT"))) {
                    one(connection, "SELECT 1");
                }
            });
        }

        static CopyManager copier(Connection connection) throws SQLException {
            return connection.unwrap(PGConnection.class).getCopyAPI();
        }

        static void describe(Connection connection) throws SQLException {
            Set<String> tables = new HashSet<>();
            try (ResultSet rows = connection.getMetaData().getTables(null, "public", "%", new String[] {"TABLE"})) {
                while (rows.next()) {
                    tables.add(rows.getString("TABLE_NAME"));
                }
            }
            same(tables.containsAll(Set.of("orders", "things", "visits")), true);
            for (String table : tables) {
                connection.getMetaData().getColumns(null, "public", table, null).close();
                connection.getMetaData().getImportedKeys(null, "public", table).close();
                connection.getMetaData().getIndexInfo(null, "public", table, false, true).close();
            }
        }

        static void arrays(Connection connection) throws SQLException {
            try (PreparedStatement statement = connection.prepareStatement("SELECT item FROM orders WHERE id = ANY(?)")) {
                statement.setArray(1, connection.createArrayOf("int4", new Integer[] {1, 2}));
                try (ResultSet rows = statement.executeQuery()) {
                    same(rows.next() && rows.next(), true);
                }
            }
        }

        static void fetch(Connection connection) throws SQLException {
            connection.setAutoCommit(false);
            try (Statement statement = connection.createStatement()) {
                statement.setFetchSize(100);
                try (ResultSet rows = statement.executeQuery("SELECT generate_series(1, 1000)")) {
                    int seen = 0;
                    while (rows.next()) {
                        seen++;
                    }
                    same(seen, 1000);
                }
            }
            connection.commit();
            connection.setAutoCommit(true);
        }

        static void cancel(Connection connection) throws SQLException {
            try (Statement statement = connection.createStatement()) {
                statement.setQueryTimeout(1);
                statement.execute("SELECT pg_sleep(30)");
                throw new AssertionError("It was not cancelled.");
            } catch (SQLException error) {
                same(error.getSQLState(), "57014");
            }
        }

        static void readOnly() throws SQLException {
            for (String mode : new String[] {"ignore", "transaction", "always"}) {
                try (Connection connection = connect("readOnlyMode=" + mode)) {
                    for (boolean readOnly : new boolean[] {true, false, true, false}) {
                        connection.setReadOnly(readOnly);
                        connection.setAutoCommit(readOnly);
                        one(connection, "SELECT count(*) FROM orders");
                        if (!connection.getAutoCommit()) {
                            connection.commit();
                        }
                    }
                }
            }
        }

        static void modes() throws SQLException {
            for (String mode : new String[] {"simple", "extended", "extendedForPrepared", "extendedCacheEverything"}) {
                try (Connection connection = connect("preferQueryMode=" + mode)) {
                    prepared(connection);
                }
            }
        }
    }

    // --- In a pool

    static class Hikari {
        static void use() throws Exception {
            HikariConfig config = new HikariConfig();
            config.setJdbcUrl(url());
            config.setUsername(System.getenv("PGUSER"));
            config.setPassword(System.getenv("PGPASSWORD"));
            config.setMaximumPoolSize(3);
            config.setSchema("public");
            config.setConnectionTestQuery("SELECT 1");
            tell("version", System.getenv("HIKARI_VERSION"));
            try (HikariDataSource pool = new HikariDataSource(config)) {
                does("connects", "HikariDataSource", () -> {
                    try (Connection connection = pool.getConnection()) {
                        same(one(connection, "SELECT count(*) FROM orders"), "3");
                    }
                });
                does("prepared", "by the driver", () -> {
                    try (Connection connection = pool.getConnection()) {
                        prepared(connection);
                    }
                });
                does("takes back", "read-only, isolation, schema put back", () -> {
                    for (int round = 0; round < 6; round++) {
                        try (Connection connection = pool.getConnection()) {
                            connection.setReadOnly(round % 2 == 0);
                            connection.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
                            connection.setAutoCommit(false);
                            connection.setSchema("shop");
                            same(one(connection, "SELECT name FROM item"), "tea");
                        }
                    }
                });
                if (MAY_WRITE) {
                    does("batch", "executeBatch", () -> {
                        try (Connection connection = pool.getConnection()) {
                            insert(connection, 500);
                        }
                    });
                }
                refused(() -> {
                    try (Connection connection = pool.getConnection()) {
                        run(connection, NOT_ALLOWED_SQL);
                    }
                });
                does("goes on", "after a refusal", () -> {
                    try (Connection connection = pool.getConnection()) {
                        same(one(connection, "SELECT 1"), "1");
                    }
                });
            }
        }
    }
}
