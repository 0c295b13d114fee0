# Rails' ActiveRecord: its look-ups when it connects, prepared statements, insert_all, a migration on a ddl role.
require "active_record"
require_relative "telling"

ActiveRecord::Base.logger = nil
ActiveRecord::Migration.verbose = false
version ActiveRecord.version.to_s
ActiveRecord::Base.establish_connection(
  adapter: "postgresql", host: ENV["PGHOST"], port: ENV["PGPORT"], database: ENV["PGDATABASE"],
  username: ENV["PGUSER"], password: ENV["PGPASSWORD"], pool: 3, variables: { statement_timeout: "30s" }
)

class Order < ActiveRecord::Base; end
class Thing < ActiveRecord::Base; end
class Visit < ActiveRecord::Base; end

class MakeParcels < ActiveRecord::Migration[6.1]
  def change
    create_table :parcels do |table|
      table.string :name, index: true
      table.jsonb :about, default: {}
      table.timestamps
    end
    create_table(:parts) { |table| table.references :parcel, foreign_key: true }
  end
end

def connection = ActiveRecord::Base.connection

does("connects", "establish_connection") { same(Order.count, 3) }
does("prepared", "find_by") { 5.times { same(Order.find_by(id: 2).item, "milk") } }
does("types", "enum, array, range, jsonb") { same(Visit.first.tags, %w[a b]) }
does("transactions", "transaction, requires_new") do
  Order.transaction(isolation: :serializable) { Order.transaction(requires_new: true) { Order.first } }
end
does("locks", "advisory lock, as migrations take it") do
  same(connection.get_advisory_lock(42), true)
  connection.release_advisory_lock(42)
end
does("cancel", "cancel of ruby-pg") do
  raw = connection.raw_connection
  Thread.new do
    sleep 0.3
    raw.cancel
  end
  begin
    connection.execute("SELECT pg_sleep(30)")
  rescue ActiveRecord::QueryCanceled
    same(Order.count, 3)
  end
end

if MAY_WRITE
  does("batch", "insert_all, upsert_all") do
    now = Time.now
    Thing.insert_all((1..1000).map { |number| { name: "n#{number}", made: now } })
    Thing.upsert_all((1..100).map { |number| { id: number, name: "again", made: now } })
    same(Thing.count, 1000)
  end
  does("bulk", "COPY by ruby-pg") do
    raw = connection.raw_connection
    raw.copy_data("COPY things (name) FROM STDIN") { 5000.times { |number| raw.put_copy_data("c#{number}\n") } }
  end
  does("updates", "update_all, destroy, lock!") do
    Thing.where(name: "again").update_all(price: 2)
    Thing.transaction { Thing.first.lock!.destroy }
  end
else
  does("batch", "where(id: [...])") { same(Order.where(id: (1..500).to_a).to_a.size, 3) }
  does("bulk", "find_each, COPY TO STDOUT") do
    Order.find_each(batch_size: 2) { |one| one }
    raw = connection.raw_connection
    rows = 0
    raw.copy_data("COPY (SELECT generate_series(1, 5000)) TO STDOUT") { rows += 1 while raw.get_copy_data }
    same(rows, 5000)
  end
end

if LEVEL == "ddl"
  does("migration", "migrate, schema dump, roll back") do
    MakeParcels.migrate(:up)
    dump = StringIO.new
    ActiveRecord::SchemaDumper.dump(connection, dump)
    same(dump.string.include?('create_table "parcels"'), true)
    MakeParcels.migrate(:down)
  end
end

refused { LEVEL == "read" ? Thing.create!(name: "not allowed") : connection.execute(NOT_ALLOWED_SQL) }
does("goes on", "after a refusal") { same(Order.find(2).item, "milk") }
