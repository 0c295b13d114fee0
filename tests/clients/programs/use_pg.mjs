// node-postgres: a pool, named statements, a cursor, COPY by its stream.

import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import pg from "pg";
import Cursor from "pg-cursor";
import { from as copyFrom, to as copyTo } from "pg-copy-streams";
import { LEVEL, MAY_WRITE, NOT_ALLOWED_SQL, does, refused, same, version } from "./telling.mjs";

version("pg");
const pool = new pg.Pool({ max: 3 });
const count = async (sql) => Number((await pool.query(sql)).rows[0].count);

await does("connects", "Pool", async () => same(await count("SELECT count(*) FROM orders"), 3));

await does("prepared", "a query with a name", async () => {
  const client = await pool.connect();
  for (let round = 0; round < 5; round++) {
    const found = await client.query({ name: "one", text: "SELECT item FROM orders WHERE id = $1", values: [2] });
    same(found.rows, [{ item: "milk" }]);
  }
  client.release();
});

await does("arrays", "= ANY($1)", async () => {
  const found = await pool.query("SELECT item FROM orders WHERE id = ANY($1) ORDER BY id", [[1, 2]]);
  same(found.rows.length, 2);
});

await does("cursors", "pg-cursor", async () => {
  const client = await pool.connect();
  const cursor = client.query(new Cursor("SELECT generate_series(1, 1000)"));
  same((await cursor.read(100)).length, 100);
  await cursor.close();
  client.release();
});

await does("cancel", "pg_cancel_backend of processID", async () => {
  const client = await pool.connect();
  const sleeping = client.query("SELECT pg_sleep(30)");
  setTimeout(() => pool.query("SELECT pg_cancel_backend($1)", [client.processID]), 300);
  const error = await sleeping.then(() => new Error("It was not cancelled."), (failed) => failed);
  same(error.code, "57014");
  client.release();
});

if (MAY_WRITE) {
  await does("batch", "rows in one INSERT, by parameters", async () => {
    const names = Array.from({ length: 500 }, (_, number) => `n${number}`);
    const places = names.map((_, number) => `($${number + 1})`).join(", ");
    same((await pool.query(`INSERT INTO things (name) VALUES ${places}`, names)).rowCount, 500);
  });
  await does("bulk", "pg-copy-streams FROM STDIN", async () => {
    const client = await pool.connect();
    const rows = Array.from({ length: 5000 }, (_, number) => `c${number}\n`);
    await pipeline(Readable.from(rows), client.query(copyFrom("COPY things (name) FROM STDIN")));
    client.release();
    same(await count("SELECT count(*) FROM things"), 5500);
  });
} else {
  await does("batch", "several statements in one", async () => {
    same((await pool.query("SELECT 1 AS a; SELECT 2 AS a")).map((one) => one.rows[0].a), [1, 2]);
  });
  await does("bulk", "pg-copy-streams TO STDOUT", async () => {
    const client = await pool.connect();
    let lines = 0;
    for await (const chunk of client.query(copyTo("COPY (SELECT generate_series(1, 5000)) TO STDOUT"))) {
      lines += String(chunk).split("\n").length - 1;
    }
    client.release();
    same(lines, 5000);
  });
}

if (LEVEL === "ddl") {
  await does("migration", "CREATE TABLE, ALTER TABLE", () =>
    pool.query("CREATE TABLE made (id serial PRIMARY KEY); ALTER TABLE made ADD name text"));
}

await refused(() => pool.query(NOT_ALLOWED_SQL));
await does("goes on", "after a refusal", () => pool.query("SELECT 1"));
await pool.end();
