// Sequelize: its look-ups when it connects, bulkCreate, sync on a ddl role.

import { DataTypes, Sequelize, Transaction } from "sequelize";
import { LEVEL, MAY_WRITE, NOT_ALLOWED_SQL, does, refused, same, version } from "./telling.mjs";

version("sequelize");
const { PGHOST: host, PGPORT: port, PGUSER: user, PGPASSWORD: password, PGDATABASE: database } = process.env;
const db = new Sequelize(database, user, password, { dialect: "postgres", host, port, logging: false, pool: { max: 3 } });
const Order = db.define("order", { item: DataTypes.STRING }, { tableName: "orders", timestamps: false });
const Thing = db.define("thing", { name: DataTypes.TEXT, price: DataTypes.DECIMAL }, { tableName: "things", timestamps: false });

await does("connects", "authenticate", async () => {
  await db.authenticate();
  same(await Order.count(), 3);
});
await does("prepared", "bind", async () => {
  const [rows] = await db.query("SELECT item FROM orders WHERE id = $1", { bind: [2] });
  same(rows, [{ item: "milk" }]);
});
await does("describes", "describeTable, showAllTables", async () => {
  const about = db.getQueryInterface();
  same(Object.keys(await about.describeTable("orders")), ["id", "item"]);
  same((await about.showAllTables()).length >= 3, true);
});
await does("transactions", "transaction, readOnly", async () => {
  const readOnly = LEVEL === "read";
  const options = { isolationLevel: Transaction.ISOLATION_LEVELS.SERIALIZABLE, readOnly };
  same((await db.transaction(options, (transaction) => Order.findAll({ transaction }))).length, 3);
});
if (MAY_WRITE) {
  await does("batch", "bulkCreate of 1,000, updateOnDuplicate", async () => {
    const rows = Array.from({ length: 1000 }, (_, number) => ({ id: number + 1, name: `n${number}` }));
    await Thing.bulkCreate(rows);
    await Thing.bulkCreate(rows.slice(0, 100), { updateOnDuplicate: ["name"] });
    same(await Thing.count(), 1000);
  });
} else {
  await does("batch", "IN with 500 values", async () => {
    same((await Order.findAll({ where: { id: Array.from({ length: 500 }, (_, id) => id) } })).length, 3);
  });
}
if (LEVEL === "ddl") {
  await does("migration", "sync, sync({ alter: true }), drop", async () => {
    const Made = db.define("made", { kind: DataTypes.STRING, name: { type: DataTypes.TEXT, unique: true } });
    await Made.sync();
    await Made.sync({ alter: true });
    await Made.drop();
  });
  await refused(() => db.define("chosen", { kind: DataTypes.ENUM("a", "b") }).sync(), "sync of an ENUM");
}
await refused(() => (LEVEL === "read" ? Thing.create({ name: "not allowed" }) : db.query(NOT_ALLOWED_SQL)));
await does("goes on", "after a refusal", () => Order.findByPk(2));
await db.close();
