// Knex: a pool, a batch, a migration on a ddl role.

import knex from "knex";
import { LEVEL, MAY_WRITE, NOT_ALLOWED_SQL, does, refused, same, version } from "./telling.mjs";

version("knex");
const { PGHOST: host, PGPORT: port, PGUSER: user, PGPASSWORD: password, PGDATABASE: database } = process.env;
const db = knex({ client: "pg", connection: { host, port, user, password, database }, pool: { min: 0, max: 3 } });

await does("connects", "knex({ client: \"pg\" })", async () => same((await db("orders").count()).at(0).count, "3"));
await does("describes", "columnInfo, hasTable", async () => {
  same(Object.keys(await db("orders").columnInfo()).sort(), ["id", "item"]);
  same(await db.schema.hasTable("orders"), true);
});
await does("cancel", "timeout with cancel", async () => {
  const error = await db.raw("SELECT pg_sleep(30)").timeout(300, { cancel: true }).catch((failed) => failed);
  same(error.name, "KnexTimeoutError");
  same((await db.raw("SELECT 1 AS a")).rows, [{ a: 1 }]);
});
await does("transactions", "transaction, readOnly", async () => {
  const options = { isolationLevel: "repeatable read", readOnly: LEVEL === "read" };
  same(await db.transaction(async (inside) => (await inside("orders")).length, options), 3);
});
if (MAY_WRITE) {
  await does("batch", "insert of 1,000, on conflict merge", async () => {
    const rows = Array.from({ length: 1000 }, (_, number) => ({ id: number + 1, name: `n${number}` }));
    await db("things").insert(rows);
    await db("things").insert(rows.slice(0, 10)).onConflict("id").merge();
  });
  await does("bulk", "batchInsert of 5,000", async () => {
    await db.batchInsert("things", Array.from({ length: 5000 }, (_, id) => ({ id: id + 2000, name: `c${id}` })), 500);
  });
} else {
  await does("batch", "whereIn with 500", async () => {
    same((await db("orders").whereIn("id", Array.from({ length: 500 }, (_, id) => id))).length, 3);
  });
}
if (LEVEL === "ddl") {
  await does("migration", "migrate.latest, migrate.rollback", async () => {
    const source = {
      getMigrations: async () => ["first"],
      getMigrationName: (name) => name,
      getMigration: async () => ({
        up: (inside) => inside.schema.createTable("made", (table) => {
          table.increments();
          table.string("name").index();
          table.enum("kind", ["a", "b"], { useNative: true, enumName: "made_kind" });
        }),
        down: (inside) => inside.schema.dropTable("made").raw("DROP TYPE made_kind"),
      }),
    };
    await db.migrate.latest({ migrationSource: source });
    await db.migrate.rollback({ migrationSource: source });
  });
}
await refused(() => db.raw(NOT_ALLOWED_SQL));
await does("goes on", "after a refusal", () => db.raw("SELECT 1"));
await db.destroy();
