<?php
// What a program says of its client, a line each; as telling.py does.

define("LEVEL", getenv("LEVEL"));
define("MAY_WRITE", LEVEL !== "read");
[$name, $sql] = [
    "read" => ["INSERT", "INSERT INTO things (name) VALUES ('not allowed')"],
    "write" => ["CREATE TABLE", "CREATE TABLE not_allowed (id int)"],
    "ddl" => ["GRANT", "GRANT SELECT ON things TO PUBLIC"],
][LEVEL];
define("NOT_ALLOWED", $name);
define("NOT_ALLOWED_SQL", $sql);

function tell(array $about): void
{
    echo json_encode($about, JSON_INVALID_UTF8_SUBSTITUTE), "\n";
}

function does(string $what, string $how, callable $work): void
{
    try {
        $work();
        tell(["does" => $what, "how" => $how]);
    } catch (Throwable $error) {
        tell(["fails" => $what, "how" => $how, "sqlstate" => (string) $error->getCode(), "said" => $error->getMessage()]);
    }
}

function refused(callable $work): void
{
    try {
        $work();
        tell(["fails" => "refusing " . NOT_ALLOWED, "how" => "", "sqlstate" => "", "said" => "It was not refused."]);
    } catch (Throwable $error) {
        tell(["refused" => NOT_ALLOWED, "sqlstate" => (string) $error->getCode(), "said" => $error->getMessage()]);
    }
}

function same(mixed $found, mixed $wanted): void
{
    if ($found !== $wanted) {
        throw new Exception(json_encode($found) . " instead of " . json_encode($wanted));
    }
}
