# What a program says of its client, a line each; as telling.py does.
package telling;
use strict;
use warnings;
use JSON::PP;
use Exporter 'import';
our @EXPORT = qw(version does refused same $LEVEL $MAY_WRITE $NOT_ALLOWED_SQL);

$| = 1;
our $LEVEL = $ENV{LEVEL};
our $MAY_WRITE = $LEVEL ne 'read';
my %not_allowed = (
    read  => ['INSERT', "INSERT INTO things (name) VALUES ('not allowed')"],
    write => ['CREATE TABLE', 'CREATE TABLE not_allowed (id int)'],
    ddl   => ['GRANT', 'GRANT SELECT ON things TO PUBLIC'],
);
my ($not_allowed, $sql) = @{ $not_allowed{$LEVEL} };
our $NOT_ALLOWED_SQL = $sql;
my $json = JSON::PP->new->canonical;

sub told { print $json->encode({@_}), "\n" }
sub version { told(version => "$_[0]") }

sub does {
    my ($what, $how, $work) = @_;
    eval { $work->(); 1 } and return told(does => $what, how => $how);
    told(fails => $what, how => $how, sqlstate => $DBI::state // '', said => "$@");
}

sub refused {
    my ($work) = @_;
    eval { $work->(); 1 } and return told(fails => "refusing $not_allowed", how => '', sqlstate => '', said => 'It was not refused.');
    told(refused => $not_allowed, sqlstate => $DBI::state, said => "$@");
}

sub same {
    my ($found, $wanted) = @_;
    die "$found instead of $wanted\n" if $found ne $wanted;
}

1;
