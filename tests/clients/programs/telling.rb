# What a program says of its client, a line each; as telling.py does.
require "json"

LEVEL = ENV.fetch("LEVEL", "read")
MAY_WRITE = %w[write ddl].include?(LEVEL)
NOT_ALLOWED, NOT_ALLOWED_SQL = {
  "read" => ["INSERT", "INSERT INTO things (name) VALUES ('not allowed')"],
  "write" => ["CREATE TABLE", "CREATE TABLE not_allowed (id int)"],
  "ddl" => ["GRANT", "GRANT SELECT ON things TO PUBLIC"]
}.fetch(LEVEL)

def tell(**about) = puts(JSON.generate(about))

def version(text) = tell(version: text)

def sqlstate(error)
  original = error.cause || error
  original.respond_to?(:result) && original.result ? original.result.error_field(PG::PG_DIAG_SQLSTATE).to_s : ""
end

def does(what, how)
  yield
  tell(does: what, how: how)
rescue StandardError => e
  tell(fails: what, how: how, sqlstate: sqlstate(e), said: e.message)
end

def refused
  yield
  tell(fails: "refusing #{NOT_ALLOWED}", how: "", sqlstate: "", said: "It was not refused.")
rescue StandardError => e
  tell(refused: NOT_ALLOWED, sqlstate: sqlstate(e), said: e.message)
end

def same(found, wanted)
  raise "#{found.inspect} instead of #{wanted.inspect}" unless found == wanted
end
