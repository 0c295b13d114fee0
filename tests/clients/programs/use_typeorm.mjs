// TypeORM: its look-ups when it connects, save of many, a migration on a ddl role.

import "reflect-metadata";
import { DataSource, EntitySchema, Table } from "typeorm";
import { LEVEL, MAY_WRITE, NOT_ALLOWED_SQL, does, refused, same, version } from "./telling.mjs";

version("typeorm");
const { PGHOST: host, PGPORT: port, PGUSER: username, PGPASSWORD: password, PGDATABASE: database } = process.env;
const Order = new EntitySchema({
  name: "Order", tableName: "orders", columns: { id: { type: Number, primary: true }, item: { type: String } },
});
const Thing = new EntitySchema({
  name: "Thing", tableName: "things",
  columns: { id: { type: "bigint", primary: true, generated: true }, name: { type: "text" } },
});
class First1700000000000 {
  async up(runner) {
    const columns = [{ name: "id", type: "int", isPrimary: true, isGenerated: true }, { name: "name", type: "text" }];
    await runner.createTable(new Table({ name: "made", columns, indices: [{ columnNames: ["name"] }] }));
  }
  async down(runner) {
    await runner.dropTable("made");
  }
}
const db = new DataSource({
  type: "postgres", host, port: Number(port), username, password, database, poolSize: 3,
  installExtensions: false, entities: [Order, Thing], migrations: [First1700000000000],
});

await does("connects", "DataSource.initialize", async () => {
  await db.initialize();
  same(await db.getRepository("Order").count(), 3);
});
await does("prepared", "parameters", async () => {
  same((await db.query("SELECT item FROM orders WHERE id = $1", [2]))[0].item, "milk");
});
await does("describes", "getTable", async () => {
  const runner = db.createQueryRunner();
  same((await runner.getTable("orders")).columns.map((one) => one.name), ["id", "item"]);
  await runner.release();
});
await does("transactions", "transaction SERIALIZABLE", () =>
  db.transaction("SERIALIZABLE", (inside) => inside.getRepository("Order").find()));
if (MAY_WRITE) {
  await does("batch", "save of 500, upsert", async () => {
    const things = db.getRepository("Thing");
    await things.save(Array.from({ length: 500 }, (_, number) => ({ name: `n${number}` })));
    await db.getRepository("Order").upsert([{ id: 1, item: "tea" }], ["id"]);
    same(await things.count(), 500);
  });
} else {
  await does("batch", "whereInIds with 500", async () => {
    const ids = Array.from({ length: 500 }, (_, id) => id);
    same((await db.getRepository("Order").createQueryBuilder().whereInIds(ids).getMany()).length, 3);
  });
}
if (LEVEL === "ddl") {
  await does("migration", "runMigrations, undoLastMigration", async () => {
    same((await db.runMigrations()).length, 1);
    await db.undoLastMigration();
  });
}
await refused(() => (LEVEL === "read" ? db.getRepository("Thing").save({ name: "not allowed" }) : db.query(NOT_ALLOWED_SQL)));
await does("goes on", "after a refusal", () => db.query("SELECT 1"));
await db.destroy();
