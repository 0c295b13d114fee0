# Perl's DBD::Pg: statements that it prepares, execute_array, COPY.
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use DBI;
use DBD::Pg qw(:async);
use telling;

version($DBD::Pg::VERSION);
my $db = DBI->connect('dbi:Pg:', undef, undef, { RaiseError => 1, PrintError => 0, AutoCommit => 1 });

does('connects', 'DBI->connect', sub { same($db->selectrow_array('SELECT count(*) FROM orders'), 3) });
does('prepared', 'prepare, by itself', sub {
    my $statement = $db->prepare('SELECT item FROM orders WHERE id = ?');
    for (1 .. 5) { same($db->selectrow_array($statement, undef, 2), 'milk') }
});
does('arrays', '= ANY(?)', sub {
    same(scalar @{ $db->selectall_arrayref('SELECT 1 FROM orders WHERE id = ANY(?)', undef, [1, 2]) }, 2);
    same($db->selectrow_array('SELECT tags FROM visits')->[0], 'a');
});
does('describes', 'table_info, column_info, primary_key_info, foreign_key_info', sub {
    same(scalar @{ $db->table_info('', 'public', 'orders', 'TABLE')->fetchall_arrayref }, 1);
    same(scalar @{ $db->column_info('', 'public', 'orders', '%')->fetchall_arrayref }, 2);
    same(join(',', $db->primary_key('', 'public', 'orders')), 'id');
    $db->foreign_key_info(undef, 'public', 'orders', undef, 'public', 'visits');
});
does('cancel', 'pg_cancel of PG_ASYNC', sub {
    $db->do('SELECT pg_sleep(30)', { pg_async => PG_ASYNC });
    select undef, undef, undef, 0.3;
    same($db->pg_cancel, 1);
    same($db->selectrow_array('SELECT 1'), 1);
});
if ($MAY_WRITE) {
    does('batch', 'execute_array', sub {
        my $statement = $db->prepare('INSERT INTO things (name) VALUES (?)');
        $db->begin_work;
        same($statement->execute_array({}, [map {"n$_"} 1 .. 500]), 500);
        $db->commit;
    });
    does('bulk', 'pg_putcopydata', sub {
        $db->do('COPY things (name) FROM STDIN');
        $db->pg_putcopydata("c$_\n") for 1 .. 5000;
        $db->pg_putcopyend;
        same($db->selectrow_array('SELECT count(*) FROM things'), 5500);
    });
} else {
    does('batch', 'several statements in one', sub { $db->do('SELECT 1; SELECT 2') });
    does('bulk', 'pg_getcopydata', sub {
        $db->do('COPY (SELECT generate_series(1, 5000)) TO STDOUT');
        my ($rows, $line) = (0, '');
        $rows++ while $db->pg_getcopydata($line) >= 0;
        same($rows, 5000);
    });
}
if ($LEVEL eq 'ddl') {
    does('migration', 'CREATE TABLE, ALTER TABLE', sub {
        $db->do('CREATE TABLE made (id serial PRIMARY KEY); ALTER TABLE made ADD name text');
    });
}
refused(sub { $db->do($NOT_ALLOWED_SQL) });
does('goes on', 'after a refusal', sub { same($db->selectrow_array('SELECT 1'), 1) });
$db->disconnect;
