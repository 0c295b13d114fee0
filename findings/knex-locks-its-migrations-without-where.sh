#!/usr/bin/env bash
# Knex takes and gives back the lock of its migrations by an UPDATE of every row.
# Expected: the one row of its table is changed by its key, which the table has (`index`, a primary key).
# Seen: Knex 3.3.0 takes the lock by `update "knex_migrations_lock" set "is_locked" = $1 where "is_locked" = $2`, and gives it back
# by the same without a WHERE. Whatever asks for a WHERE there (a gateway, a trigger of the sql_safe_updates kind) leaves it locked.
# Where Lockgate takes it into account: gateway/policy.py, `_NOTES_OF_MIGRATIONS`.
source "$(dirname "$0")/with/scratch.sh"
source "$(dirname "$0")/with/postgresql.sh"
start_postgresql 18.4.0-beta.17
mkdir "$SCRATCH/js"
npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$SCRATCH/js" "knex@3.3.0" "pg@8.23.1"

cat > "$SCRATCH/js/try.mjs" <<'JAVASCRIPT'
import { readFileSync } from "node:fs";
import knex from "knex";

console.log(`Knex ${JSON.parse(readFileSync(new URL("node_modules/knex/package.json", import.meta.url))).version}`);
const db = knex({ client: "pg", connection: process.argv[2] });
const sent = [];
db.on("query", ({ sql }) => /update.*_lock/i.test(sql) && sent.push(sql));
const one = { up: () => db.raw("SELECT 1"), down: () => db.raw("SELECT 1") };
const source = { getMigrations: async () => ["one"], getMigrationName: (name) => name, getMigration: async () => one };
await db.migrate.latest({ migrationSource: source });
await db.destroy();
sent.forEach((sql) => console.log(`  ${sql}`));
if (!sent.some((sql) => !/where/i.test(sql))) throw new Error("Each UPDATE has a WHERE.");
JAVASCRIPT
node "$SCRATCH/js/try.mjs" "$POSTGRESQL_URL"
seen "a migration of Knex changes every row of its lock's table"
