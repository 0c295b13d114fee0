// What a program on PostgreSQL's JDBC driver does, and what DBeaver asks with it; each part prints a line, or fails.
//
//     java -cp postgresql.jar Jdbc.java <url> <user> <token> reading|writing

import java.io.StringReader;
import java.io.StringWriter;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

public class Jdbc {
    public static void main(String[] arguments) throws Exception {
        Properties properties = new Properties();
        properties.setProperty("user", arguments[1]);
        properties.setProperty("password", arguments[2]);
        properties.setProperty("ApplicationName", "a program in Java");
        for (String mode : new String[] {"extended", "simple", "extendedForPrepared", "extendedCacheEverything"}) {
            properties.setProperty("preferQueryMode", mode);
            try (Connection connection = DriverManager.getConnection(arguments[0], properties)) {
                if (arguments[3].equals("reading")) {
                    prepared(connection);
                    describing(connection);
                    asDBeaver(connection);
                    refused(connection);
                } else {
                    writing(connection, mode);
                    if (!mode.equals("simple")) {
                        fetching(connection);
                    }
                    copying(connection);
                    failing(connection);
                    cancelling(connection);
                    hearing(connection);
                }
                System.out.println("done " + mode);
            }
        }
    }

    static void is(Object wanted, Object found) {
        if (!wanted.equals(found)) {
            throw new AssertionError("wanted " + wanted + ", found " + found);
        }
    }

    static String one(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
            return rows.next() ? rows.getString(1) : "";
        }
    }

    // Often enough that the driver gives the statement a name.
    static void prepared(Connection connection) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement("SELECT item FROM orders WHERE id = ?")) {
            for (int round = 0; round < 12; round++) {
                statement.setInt(1, 2);
                try (ResultSet rows = statement.executeQuery()) {
                    rows.next();
                    is("milk", rows.getString(1));
                }
            }
        }
    }

    static void describing(Connection connection) throws SQLException {
        DatabaseMetaData about = connection.getMetaData();
        List<String> columns = new ArrayList<>();
        try (ResultSet rows = about.getColumns(null, "public", "orders", null)) {
            while (rows.next()) {
                columns.add(rows.getString("COLUMN_NAME") + " " + rows.getString("TYPE_NAME"));
            }
        }
        is(List.of("id int4", "item varchar"), columns);
        ResultSet[] all = {
            about.getCatalogs(), about.getSchemas(), about.getTableTypes(), about.getTypeInfo(),
            about.getTables(null, null, "%", null), about.getPrimaryKeys(null, "public", "orders"),
            about.getImportedKeys(null, "public", "orders"), about.getExportedKeys(null, "public", "orders"),
            about.getIndexInfo(null, "public", "orders", false, true), about.getTablePrivileges(null, "public", "%"),
            about.getColumnPrivileges(null, "public", "orders", "%"), about.getProcedures(null, "pg_catalog", "l%"),
            about.getFunctions(null, "pg_catalog", "lower"), about.getFunctionColumns(null, "pg_catalog", "lower", "%"),
            about.getUDTs(null, null, "%", null), about.getBestRowIdentifier(null, "public", "orders", 1, true),
            about.getClientInfoProperties(),
        };
        for (ResultSet rows : all) {
            while (rows.next()) {
                rows.getString(1);
            }
            rows.close();
        }
    }

    // Queries of its catalogue, as it writes them.
    static void asDBeaver(Connection connection) throws SQLException {
        connection.setClientInfo("ApplicationName", "DBeaver 24.0.0 - Main <orders-read>");
        String[] asked = {
            "SELECT version()", "SHOW search_path", "SELECT current_schema(),session_user",
            "SELECT * FROM pg_catalog.pg_settings where name='standard_conforming_strings'",
            "SELECT db.oid,db.* FROM pg_catalog.pg_database db WHERE datallowconn AND NOT datistemplate"
                + " OR db.datname ='orders' ORDER BY db.datname",
            "SELECT n.oid,n.*,d.description FROM pg_catalog.pg_namespace n LEFT OUTER JOIN pg_catalog.pg_description d"
                + " ON d.objoid=n.oid AND d.objsubid=0 AND d.classoid='pg_namespace'::regclass ORDER BY nspname",
            "SELECT c.oid,c.*,d.description,pg_catalog.pg_get_expr(c.relpartbound, c.oid) as partition_expr,"
                + "  pg_catalog.pg_get_partkeydef(c.oid) as partition_key FROM pg_catalog.pg_class c"
                + " LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0"
                + " AND d.classoid='pg_class'::regclass"
                + " WHERE c.relnamespace='public'::regnamespace AND c.relkind not in ('i','I','c')",
            "SELECT c.relname,a.*,pg_catalog.pg_get_expr(ad.adbin, ad.adrelid, true) as def_value,dsc.description,dep.objid"
                + " FROM pg_catalog.pg_attribute a INNER JOIN pg_catalog.pg_class c ON (a.attrelid=c.oid)"
                + " LEFT OUTER JOIN pg_catalog.pg_attrdef ad ON (a.attrelid=ad.adrelid AND a.attnum = ad.adnum)"
                + " LEFT OUTER JOIN pg_catalog.pg_description dsc ON (c.oid=dsc.objoid AND a.attnum = dsc.objsubid)"
                + " LEFT OUTER JOIN pg_depend dep on dep.refobjid = a.attrelid AND dep.deptype = 'i'"
                + " and dep.refobjsubid = a.attnum and dep.classid = dep.refclassid"
                + " WHERE NOT a.attisdropped AND c.relkind not in ('i','I','c') AND c.oid='orders'::regclass ORDER BY a.attnum",
            "SELECT t.oid,t.*,c.relkind,format_type(nullif(t.typbasetype, 0), t.typtypmod) as base_type_name, d.description"
                + " FROM pg_catalog.pg_type t LEFT OUTER JOIN pg_catalog.pg_type et ON et.oid=t.typelem"
                + " LEFT OUTER JOIN pg_catalog.pg_class c ON c.oid=t.typrelid"
                + " LEFT OUTER JOIN pg_catalog.pg_description d ON t.oid=d.objoid"
                + " WHERE t.typname IS NOT NULL AND (c.relkind IS NULL OR c.relkind = 'c')"
                + " AND (et.typcategory IS NULL OR et.typcategory <> 'C')",
            "SELECT i.*,i.indkey as keys,c.relname,c.relnamespace,c.relam,c.reltablespace,tc.relname as tabrelname,"
                + "dsc.description,pg_catalog.pg_get_expr(i.indpred, i.indrelid) as pred_expr,"
                + "pg_catalog.pg_get_expr(i.indexprs, i.indrelid, true) as expr,"
                + "pg_catalog.pg_relation_size(i.indexrelid) as index_rel_size,pg_catalog.pg_stat_get_numscans(i.indexrelid)"
                + " as index_num_scans FROM pg_catalog.pg_index i INNER JOIN pg_catalog.pg_class c ON c.oid=i.indexrelid"
                + " INNER JOIN pg_catalog.pg_class tc ON tc.oid=i.indrelid"
                + " LEFT OUTER JOIN pg_catalog.pg_description dsc ON i.indexrelid=dsc.objoid"
                + " WHERE i.indrelid='orders'::regclass ORDER BY tabrelname, c.relname",
            "SELECT c.oid,c.*,t.relname as tabrelname,rt.relnamespace as refnamespace,d.description,"
                + " case when c.contype='c' then \"substring\"(pg_get_constraintdef(c.oid), 7) else null end consrc_copy"
                + " FROM pg_catalog.pg_constraint c INNER JOIN pg_catalog.pg_class t ON t.oid=c.conrelid"
                + " LEFT OUTER JOIN pg_catalog.pg_class rt ON rt.oid=c.confrelid"
                + " LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid=c.oid AND d.objsubid=0"
                + " AND d.classoid='pg_constraint'::regclass WHERE c.conrelid='orders'::regclass ORDER BY c.oid",
            "select * from orders", "SELECT t.id, t.item FROM public.orders t WHERE t.\"id\" = 1",
        };
        for (String sql : asked) {
            one(connection, sql);
        }
    }

    static void refused(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.executeUpdate("DELETE FROM orders WHERE id = 1");
            throw new AssertionError("It was not refused.");
        } catch (SQLException error) {
            is("42501", error.getSQLState());
            is(true, error.getMessage().contains("Ask in the console"));
        }
        is("3", one(connection, "SELECT count(*) FROM orders"));
    }

    static void writing(Connection connection, String mode) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute("DROP TABLE IF EXISTS java");
            statement.execute("CREATE TABLE java (id serial PRIMARY KEY, name text, made timestamptz DEFAULT now())");
        }
        connection.setAutoCommit(false);
        try (PreparedStatement insert =
                connection.prepareStatement("INSERT INTO java (name) VALUES (?)", Statement.RETURN_GENERATED_KEYS)) {
            for (int number = 0; number < 500; number++) {
                insert.setString(1, "thing " + number);
                insert.addBatch();
            }
            is(500, insert.executeBatch().length);
            insert.setString(1, "one more");
            insert.executeUpdate();
            try (ResultSet keys = insert.getGeneratedKeys()) {
                keys.next();
                is(501, keys.getInt(1));
            }
        }
        connection.commit();
        try (Statement statement = connection.createStatement()) {
            java.sql.Savepoint before = connection.setSavepoint();
            statement.executeUpdate("DELETE FROM java WHERE id > 10");
            connection.rollback(before);
            statement.executeUpdate("UPDATE java SET name = 'kept' WHERE id = 1");
        }
        connection.commit();
        connection.setAutoCommit(true);
        is("501", one(connection, "SELECT count(*) FROM java WHERE name <> '' OR id = 1"));
    }

    // In pieces of fifty rows, by a portal on the server.
    static void fetching(Connection connection) throws SQLException {
        connection.setAutoCommit(false);
        try (PreparedStatement read = connection.prepareStatement("SELECT id FROM java ORDER BY id")) {
            read.setFetchSize(50);
            try (ResultSet rows = read.executeQuery()) {
                for (int number = 1; number <= 501; number++) {
                    rows.next();
                    is(number, rows.getInt(1));
                }
            }
        }
        connection.commit();
        connection.setAutoCommit(true);
    }

    static void copying(Connection connection) throws Exception {
        CopyManager copier = connection.unwrap(PGConnection.class).getCopyAPI();
        is(2L, copier.copyIn("COPY java (name) FROM STDIN", new StringReader("copied\ncopied\n")));
        StringWriter out = new StringWriter();
        is(2L, copier.copyOut("COPY (SELECT name FROM java WHERE name = 'copied') TO STDOUT", out));
        is("copied\ncopied\n", out.toString());
    }

    static void failing(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.executeUpdate("INSERT INTO java (id) VALUES (1)");
            throw new AssertionError("It did not fail.");
        } catch (org.postgresql.util.PSQLException error) {
            is("23505", error.getSQLState());
            is("java_pkey", error.getServerErrorMessage().getConstraint());
        }
    }

    static void cancelling(Connection connection) throws SQLException {
        long began = System.nanoTime();
        try (Statement statement = connection.createStatement()) {
            statement.setQueryTimeout(1);
            statement.execute("SELECT pg_sleep(30)");
            throw new AssertionError("It was not cancelled.");
        } catch (SQLException error) {
            is("57014", error.getSQLState());
        }
        is(true, System.nanoTime() - began < 20_000_000_000L);
    }

    static void hearing(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.execute("LISTEN news");
            statement.execute("NOTIFY news, 'tea'");
            statement.execute("DO $$ BEGIN RAISE NOTICE 'so far'; END $$");
            is("so far", statement.getWarnings().getMessage());
        }
        is("tea", connection.unwrap(PGConnection.class).getNotifications(5000)[0].getParameter());
    }
}
