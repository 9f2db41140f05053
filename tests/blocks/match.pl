#!/usr/bin/perl
# Matches texts with Perl's regular expressions for checks.py: a JSON list a line in, a JSON value a line out.
#   ["like", regex, text]   whether it matches (the regex as Perl prints it, or plain, then with the flag s)
#   ["grep", regex, lines]  what of each line matches, where it does
use strict;
use warnings;
use JSON::PP ();
$| = 1;
my $json = JSON::PP->new->ascii->allow_nonref;
while (my $line = <STDIN>) {
    my ($what, $regex, $with) = @{ $json->decode($line) };
    my $out = eval {
        no warnings;
        if ($what eq 'like') {
            $with =~ /$regex/s ? JSON::PP::true : JSON::PP::false;
        } else {
            my @found;
            for my $l (@$with) {
                push @found, $& if $l =~ /$regex/;
            }
            \@found;
        }
    };
    print $json->encode(defined $out ? $out : "bad regex: $@"), "\n";
}
