// postgres.js: every statement is prepared, many go out at once.

import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import postgres from "postgres";
import { LEVEL, MAY_WRITE, NOT_ALLOWED_SQL, does, refused, same, version } from "./telling.mjs";

version("postgres");
const sql = postgres({ max: 3, onnotice: () => {} });

await does("connects", "postgres()", async () => same((await sql`SELECT count(*)::int AS n FROM orders`)[0].n, 3));
await does("prepared", "by itself", async () => {
  for (let round = 0; round < 5; round++) same((await sql`SELECT item FROM orders WHERE id = ${2}`)[0].item, "milk");
});
await does("arrays", "= ANY, types fetched", async () => {
  same((await sql`SELECT item FROM orders WHERE id = ANY(${[1, 2]}) ORDER BY id`).length, 2);
  same((await sql`SELECT tags FROM visits WHERE id = 1`)[0].tags, ["a", "b"]);
});
await does("cursors", "cursor()", async () => {
  let first;
  await sql`SELECT generate_series(1, 1000) AS n`.cursor(100, (rows) => {
    first = rows.length;
    return sql.CLOSE;
  });
  same(first, 100);
});
await does("cancel", "cancel()", async () => {
  const sleeping = sql`SELECT pg_sleep(30)`.execute();
  setTimeout(() => sleeping.cancel(), 300);
  const error = await sleeping.then(() => new Error("It was not cancelled."), (failed) => failed);
  same(error.code, "57014");
});
await does("transactions", "begin()", async () => {
  const kind = LEVEL === "read" ? "read only" : "isolation level serializable";
  same(await sql.begin(kind, async (inside) => (await inside`SELECT 1 AS a`)[0].a), 1);
});

if (MAY_WRITE) {
  await does("batch", "sql(rows)", async () => {
    const rows = Array.from({ length: 500 }, (_, number) => ({ name: `n${number}`, price: number }));
    same((await sql`INSERT INTO things ${sql(rows)}`).count, 500);
  });
  await does("bulk", "COPY FROM STDIN, writable()", async () => {
    const into = await sql`COPY things (name) FROM STDIN`.writable();
    await pipeline(Readable.from(Array.from({ length: 5000 }, (_, number) => `c${number}\n`)), into);
    same((await sql`SELECT count(*)::int AS n FROM things`)[0].n, 5500);
  });
} else {
  await does("batch", "many at once", async () => {
    const many = await Promise.all(Array.from({ length: 100 }, (_, number) => sql`SELECT ${number}::int AS n`));
    same(many.length, 100);
  });
  await does("bulk", "COPY TO STDOUT, readable()", async () => {
    let lines = 0;
    for await (const chunk of await sql`COPY (SELECT generate_series(1, 5000)) TO STDOUT`.readable()) {
      lines += String(chunk).split("\n").length - 1;
    }
    same(lines, 5000);
  });
}

if (LEVEL === "ddl") {
  await does("migration", "file of statements", () =>
    sql.unsafe("CREATE TABLE made (id serial PRIMARY KEY); ALTER TABLE made ADD name text"));
}

await refused(() => sql.unsafe(NOT_ALLOWED_SQL));
await does("goes on", "after a refusal", () => sql`SELECT 1`);
await sql.end();
