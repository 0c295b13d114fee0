// What a program says of its client, a line each; as telling.py does.

import { readFileSync } from "node:fs";

export const LEVEL = process.env.LEVEL ?? "read";
export const MAY_WRITE = LEVEL === "write" || LEVEL === "ddl";
export const [NOT_ALLOWED, NOT_ALLOWED_SQL] = {
  read: ["INSERT", "INSERT INTO things (name) VALUES ('not allowed')"],
  write: ["CREATE TABLE", "CREATE TABLE not_allowed (id int)"],
  ddl: ["GRANT", "GRANT SELECT ON things TO PUBLIC"],
}[LEVEL];

const tell = (about) => console.log(JSON.stringify(about));

// Of a package, as it is installed.
export function version(name) {
  const about = readFileSync(new URL(`../node_modules/${name}/package.json`, import.meta.url));
  tell({ version: JSON.parse(about).version });
}

const sqlstate = (error) => error.code ?? error.original?.code ?? error.cause?.code ?? error.driverError?.code ?? "";

export async function does(what, how, work) {
  try {
    await work();
    tell({ does: what, how });
  } catch (error) {
    tell({ fails: what, how, sqlstate: sqlstate(error), said: String(error.message ?? error) });
  }
}

export async function refused(work, what = NOT_ALLOWED) {
  try {
    await work();
    tell({ fails: `refusing ${what}`, how: "", sqlstate: "", said: "It was not refused." });
  } catch (error) {
    tell({ refused: what, sqlstate: sqlstate(error), said: String(error.message ?? error) });
  }
}

export function same(found, wanted) {
  const [one, other] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (one !== other) throw new Error(`${one} instead of ${other}`);
}
