// Go's pgx: a pool, statements that it prepares by itself, batches, CopyFrom, a context that ends.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgconn"
	"github.com/jackc/pgx/v4"
	"github.com/jackc/pgx/v4/pgxpool"
)

var (
	level      = os.Getenv("LEVEL")
	mayWrite   = level != "read"
	notAllowed = map[string][2]string{
		"read":  {"INSERT", "INSERT INTO things (name) VALUES ('not allowed')"},
		"write": {"CREATE TABLE", "CREATE TABLE not_allowed (id int)"},
		"ddl":   {"GRANT", "GRANT SELECT ON things TO PUBLIC"},
	}[level]
)

func tell(about map[string]string) {
	line, _ := json.Marshal(about)
	fmt.Println(string(line))
}

func sqlstate(err error) string {
	var said *pgconn.PgError
	if errors.As(err, &said) {
		return said.Code
	}
	return ""
}

func does(what, how string, work func() error) {
	if err := work(); err != nil {
		tell(map[string]string{"fails": what, "how": how, "sqlstate": sqlstate(err), "said": err.Error()})
		return
	}
	tell(map[string]string{"does": what, "how": how})
}

func same(found, wanted interface{}) error {
	if fmt.Sprint(found) != fmt.Sprint(wanted) {
		return fmt.Errorf("%v instead of %v", found, wanted)
	}
	return nil
}

func main() {
	tell(map[string]string{"version": os.Getenv("PGX_VERSION")})
	ctx := context.Background()
	pool, err := pgxpool.Connect(ctx, "pool_max_conns=3")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	defer pool.Close()
	count := func(sql string, values ...interface{}) (found int, err error) {
		err = pool.QueryRow(ctx, sql, values...).Scan(&found)
		return
	}
	does("connects", "pgxpool.Connect", func() error {
		found, err := count("SELECT count(*) FROM orders")
		if err != nil {
			return err
		}
		return same(found, 3)
	})
	does("prepared", "by itself", func() error {
		for round := 0; round < 5; round++ {
			var item string
			if err := pool.QueryRow(ctx, "SELECT item FROM orders WHERE id = $1", 2).Scan(&item); err != nil {
				return err
			}
		}
		return nil
	})
	does("arrays", "= ANY($1)", func() error {
		found, err := count("SELECT count(*) FROM orders WHERE id = ANY($1)", []int32{1, 2})
		if err != nil {
			return err
		}
		return same(found, 2)
	})
	does("cancel", "a context that ends", func() error {
		short, stop := context.WithTimeout(ctx, 300*time.Millisecond)
		defer stop()
		if _, err := pool.Exec(short, "SELECT pg_sleep(30)"); err == nil {
			return errors.New("it was not cancelled")
		}
		_, err := count("SELECT 1")
		return err
	})
	does("batch", "SendBatch", func() error {
		batch := &pgx.Batch{}
		for number := 0; number < 200; number++ {
			if mayWrite {
				batch.Queue("INSERT INTO things (name) VALUES ($1)", fmt.Sprint("n", number))
			} else {
				batch.Queue("SELECT item FROM orders WHERE id = $1", number)
			}
		}
		return pool.SendBatch(ctx, batch).Close()
	})
	if mayWrite {
		does("bulk", "CopyFrom", func() error {
			rows := make([][]interface{}, 5000)
			for number := range rows {
				rows[number] = []interface{}{"c"}
			}
			copied, err := pool.CopyFrom(ctx, pgx.Identifier{"things"}, []string{"name"}, pgx.CopyFromRows(rows))
			if err != nil {
				return err
			}
			return same(copied, 5000)
		})
	} else {
		does("bulk", "PgConn().CopyTo", func() error {
			own, err := pool.Acquire(ctx)
			if err != nil {
				return err
			}
			defer own.Release()
			var out strings.Builder
			_, err = own.Conn().PgConn().CopyTo(ctx, &out, "COPY (SELECT generate_series(1, 5000)) TO STDOUT")
			if err != nil {
				return err
			}
			return same(strings.Count(out.String(), "\n"), 5000)
		})
	}
	if level == "ddl" {
		does("migration", "CREATE TABLE, ALTER TABLE", func() error {
			_, err := pool.Exec(ctx, "CREATE TABLE made (id serial PRIMARY KEY); ALTER TABLE made ADD name text")
			return err
		})
	}
	if _, err := pool.Exec(ctx, notAllowed[1]); err != nil {
		tell(map[string]string{"refused": notAllowed[0], "sqlstate": sqlstate(err), "said": err.Error()})
	}
	does("goes on", "after a refusal", func() error {
		_, err := count("SELECT 1")
		return err
	})
}
