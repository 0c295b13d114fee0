<?php
// PHP's PDO: prepared by the server, by PDO itself, and kept connections.

require __DIR__ . "/telling.php";

tell(["version" => PHP_VERSION]);
$dsn = "pgsql:host=" . getenv("PGHOST") . ";port=" . getenv("PGPORT") . ";dbname=" . getenv("PGDATABASE");
$connect = fn (array $options = []) => new PDO($dsn, getenv("PGUSER"), getenv("PGPASSWORD"), $options);
$db = $connect();
$one = fn (string $sql) => $db->query($sql)->fetchColumn();

does("connects", "new PDO", fn () => same($one("SELECT count(*) FROM orders"), 3));
does("prepared", "prepare; ATTR_EMULATE_PREPARES", function () use ($db) {
    foreach ([false, true] as $emulated) {
        $statement = $db->prepare("SELECT item FROM orders WHERE id = ?", [PDO::ATTR_EMULATE_PREPARES => $emulated]);
        for ($round = 0; $round < 5; $round++) {
            $statement->execute([2]);
            same($statement->fetchColumn(), "milk");
        }
    }
});
does("cursors", "CURSOR_SCROLL", function () use ($db) {
    $db->beginTransaction();
    $statement = $db->prepare("SELECT id FROM orders ORDER BY id", [PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL]);
    $statement->execute();
    same($statement->fetch(PDO::FETCH_NUM, PDO::FETCH_ORI_LAST), [3]);
    $statement->closeCursor();
    $db->commit();
});
does("kept connections", "ATTR_PERSISTENT", function () use ($connect) {
    same($connect([PDO::ATTR_PERSISTENT => true])->query("SELECT 1")->fetchColumn(), 1);
    same($connect([PDO::ATTR_PERSISTENT => true])->query("SELECT 1")->fetchColumn(), 1);
});
if (MAY_WRITE) {
    does("batch", "one statement, many times", function () use ($db) {
        $db->beginTransaction();
        $statement = $db->prepare("INSERT INTO things (name) VALUES (:name)");
        for ($number = 0; $number < 500; $number++) {
            $statement->execute(["name" => "n$number"]);
        }
        $db->commit();
        same((int) $db->lastInsertId(), 500);
    });
    does("bulk", "pgsqlCopyFromArray", function () use ($db, $one) {
        same($db->pgsqlCopyFromArray("things", array_fill(0, 5000, "c"), fields: "name"), true);
        same($one("SELECT count(*) FROM things"), 5500);
    });
} else {
    does("batch", "several statements in one", fn () => same($db->exec("SELECT 1; SELECT 2") !== false, true));
    does("bulk", "pgsqlCopyToArray", fn () => same(count($db->pgsqlCopyToArray("orders")), 3));
}
if (LEVEL === "ddl") {
    does("migration", "CREATE TABLE, ALTER TABLE", fn () =>
        $db->exec("CREATE TABLE made (id serial PRIMARY KEY); ALTER TABLE made ADD name text"));
}
refused(fn () => $db->exec(NOT_ALLOWED_SQL));
does("goes on", "after a refusal", fn () => same($one("SELECT 1"), 1));
