#!/usr/bin/perl
# Reads one file of Test::Nginx blocks and prints them as JSON: dump.pl FILE, in the checkout's folder.
# The file is run as the Perl program that it is, with the few modules below in Test::Nginx's place: so variables,
# `eval` sections and block preprocessors are what Perl makes of them. Ports and folders are only known
# later; what stands for them here (1984, /@ROOT@) is replaced by the caller.
use strict;
use warnings;
use JSON::PP ();
use File::Spec ();
use Cwd ();

our (@Raw, @Preprocessors, %Said, $Parsed);
BEGIN {
    # no commands are run for a file: what some ask of `dig` is an address
    *CORE::GLOBAL::readpipe = sub { $_[0] =~ /-V|openssl/ ? "built with OpenSSL 3.0.0\n" : "127.0.0.1\n" };
    $ENV{TEST_NGINX_SERVER_PORT} = 1984;
    $ENV{TEST_NGINX_SERVER_ROOT} = '/@ROOT@';
    $ENV{TEST_NGINX_HTML_DIR}    = '/@ROOT@/html';
}

package Blocks::Block;
our $AUTOLOAD;
sub set_value { my ($self, $name, @v) = @_; $self->{sections}{$name} = $v[0]; return $self }
sub name { $_[0]{name} }
sub description { $_[0]{name} }
sub DESTROY { }
sub AUTOLOAD {
    my $self = shift;
    (my $name = $AUTOLOAD) =~ s/.*:://;
    $self->{sections}{$name} = $_[0] if @_;
    return $self->{sections}{$name};
}

package Blocks;

# What an `eval` filter says, in the file's own package and without strictures, as Test::Base does it.
my $evaluate = CORE::eval('package main; no strict; no warnings; sub { return CORE::eval($_[0]) }') or die $@;

sub filtered {
    my ($value, $filters, $block) = @_;
    $value =~ s/\A(?:[ \t]*\n)+//;
    $value =~ s/(?<=\n)\s*\z//;
    for my $filter (split ' ', $filters) {
        if    ($filter eq 'eval') {
            $value = $evaluate->($value);
            $block->{broken} ||= "eval: $@" if $@;
        }
        elsif ($filter eq 'chop')   { chop $value }
        elsif ($filter eq 'chomp')  { chomp $value }
        elsif ($filter eq 'lines')  { $value = [ $value =~ /^(.*\n?)/gm ] }
        elsif ($filter eq 'quote')  { $value = "\"$value\"" }
        elsif ($filter eq 'base64_decode') { require MIME::Base64; $value = MIME::Base64::decode_base64($value) }
        else { $block->{broken} ||= "filter $filter" }
    }
    return $value;
}

our $Hunks;
sub hunks {
    return @$Hunks if $Hunks;
    my $text = do { no warnings; local $/; my $fh = \*main::DATA; <$fh> };
    $text = '' unless defined $text;
    $Hunks = [ $text =~ /^(===(?:.*\n)(?:(?!===).*\n?)*)/mg ];
    return @$Hunks;
}

# Evaluates the sections: not before the file's variables are set.
sub parsed {
    return @$Parsed if $Parsed;
    $Parsed = [];
    my @hunks = hunks();
    for my $hunk (@hunks) {
        $hunk .= "\n" unless $hunk =~ /\n\z/;
        $hunk =~ s/\A===[ \t]*(.*)\n// or next;
        my $block = bless { name => $1, sections => {} }, 'Blocks::Block';
        my @parts = split /^--- +\(?(\w+)\)? *(.*)?\n/m, $hunk;
        shift @parts;
        while (@parts) {
            my ($type, $filters, $value) = splice @parts, 0, 3;
        $filters = '' unless defined $filters;
            $value = '' unless defined $value;
            if ($filters =~ /:(?:\s|\z)/) {
                ($filters, $value) = split /\s*:(?:\s+|\z)/, $filters, 2;
                $value = '' unless defined $value;
                $value =~ s/^\s*(.*?)\s*$/$1/s;
            }
            $block->{sections}{$type} = filtered($value, $filters, $block);
        }
        push @$Parsed, $block;
    }
    return @$Parsed;
}

sub plain {
    my ($v, $depth) = @_;
    return undef if !defined $v;
    my $kind = ref $v;
    if ($kind eq 'Regexp') { my $s = "$v"; utf8::encode($s) if $s =~ /[^\x00-\xff]/; return { re => $s } }
    if ($kind eq 'ARRAY')  { return [ map { plain($_) } @$v ] }
    if ($kind eq 'HASH')   { return { map { $_ => plain($v->{$_}) } keys %$v } }
    return { code => 1 } if $kind;
    my $s = "$v";
    utf8::encode($s) if $s =~ /[^\x00-\xff]/;
    return $s;
}

sub run_tests {
    my @out;
    for my $block (parsed()) {
        for my $prepare (@Preprocessors) {
            eval { $prepare->($block); 1 } or $block->{broken} ||= "preprocessor: $@";
        }
        my $condition = $block->{sections}{skip_eval};
        if (defined $condition && !ref $condition && $condition =~ /^\s*\d+\s*:\s*(.*)/s) {
            $block->{sections}{SKIP} = '' if $evaluate->($1);
        }
        push @out, { name => $block->{name}, broken => $block->{broken}, sections => plain($block->{sections}) };
    }
    my %env = map { $_ => plain($ENV{$_}) } grep { /^TEST_NGINX_/ } keys %ENV;
    binmode STDOUT;
    print JSON::PP->new->ascii->allow_nonref->canonical->encode({ blocks => \@out, env => \%env, said => \%Said });
    exit 0;
}

my %functions = (
    plan => sub { exit 0 if @_ && $_[0] eq 'skip_all' && (print('{"blocks":[],"env":{},"said":{"skip_all":1}}'), 1) },
    run_tests => \&run_tests,
    blocks => sub { my @b = wantarray ? parsed() : hunks(); wantarray ? @b : scalar @b },
    repeat_each => sub { 1 },
    add_block_preprocessor => sub { unshift @Preprocessors, $_[0]; return },
    log_level => sub { $Said{log_level} = $_[0] if @_; $Said{log_level} },
    workers => sub { $Said{workers} = $_[0] if @_; $Said{workers} || 1 },
    worker_connections => sub { 64 },
    master_on => sub { $Said{master} = 1; return },
    master_process_enabled => sub { $Said{master} = $_[0] if @_; $Said{master} },
    check_accum_error_log => sub { $Said{accumulated} = 1; return },
    no_root_location => sub { $Said{no_root} = 1; return },
    use_hup => sub { $Said{hup} = 1; return },
    env_to_nginx => sub { push @{ $Said{env} }, @_; return },
    html_dir => sub { '/@ROOT@/html' },
    server_root => sub { '/@ROOT@' },
    server_port => sub { 1984 },
    server_port_for_client => sub { 1984 },
    server_name => sub { 'localhost' },
    server_addr => sub { '127.0.0.1' },
    timeout => sub { $Said{timeout} = $_[0] if @_; $Said{timeout} || 3 },
    bail_out => sub { die @_ },
    use_http2 => sub { 0 }, use_http3 => sub { 0 }, is_tcp_port_used => sub { 0 }, is_udp_port_used => sub { 0 },
    get_nginx_version => sub { '1.25.3' }, get_canon_version => sub { 1025003 },
    config_preamble => sub { $Said{preamble} = $_[0]; return },
    skip => sub { no warnings; last SKIP },
);
for my $name (qw(no_long_string no_shuffle no_nginx_manager no_diff add_cleanup_handler add_test_cleanup_handler
                 add_response_body_check master_off filters filters_delay delimiters verbose run_test is ok like
                 default_filters diag note pass fail)) {
    $functions{$name} ||= sub { return };
}

sub import {
    my ($class) = @_;
    my $into = caller;
    no strict 'refs';
    no warnings;
    strict->import;
    warnings->import;
    # a module on top of Test::Nginx (`-Base`) hands on what it got
    push @{"${into}::ISA"}, $class if grep { defined && $_ eq '-Base' } @_;
    if ($class !~ /^Test::Nginx/) {
        *{"${into}::$_"} = \&{"${class}::$_"} for grep { defined &{"${class}::$_"} } @{"${class}::EXPORT"};
        for my $name (@{"${class}::EXPORT"}) {
            $name =~ /^\$(\w+)/ and *{"${into}::$1"} = \${"${class}::$1"};
        }
    }
    *{"${into}::$_"} = $functions{$_} for grep { !defined &{"${into}::$_"} } keys %functions;
    for my $name (qw(ServerPort ServerPortForClient ServerName ServRoot HtmlDir ErrLogFile UseHup NginxVersion
                     NoNginxManager PidFile ServerAddr UseStap)) {
        *{"${into}::$name"} = \${"Test::Nginx::Util::$name"};
    }
}

BEGIN {
    no warnings 'once';
    $Test::Nginx::Util::ServerPort = $Test::Nginx::Util::ServerPortForClient = 1984;
    $Test::Nginx::Util::ServRoot = $Test::Nginx::Util::ServerRoot = '/@ROOT@';
    $Test::Nginx::Util::HtmlDir = '/@ROOT@/html';
    $Test::Nginx::Util::ErrLogFile = '/@ROOT@/logs/error.log';
    $Test::Nginx::Util::AccLogFile = '/@ROOT@/logs/access.log';
    $Test::Nginx::Util::PidFile = '/@ROOT@/logs/nginx.pid';
    $Test::Nginx::Util::ServerName = 'localhost';
    $Test::Nginx::Util::ServerAddr = '127.0.0.1';
    $Test::Nginx::Util::NginxVersion = 1.025003;
    for my $module (qw(Test::Nginx::Socket Test::Nginx::Socket::Lua Test::Nginx::Socket::Lua::Stream
                       Test::Nginx::Socket::Lua::Dgram Test::Nginx::Util Test::Nginx::LWP)) {
        (my $path = "$module.pm") =~ s{::}{/}g;
        $INC{$path} = __FILE__;
        no strict 'refs';
        *{"${module}::import"} = \&Blocks::import;
        *{"${module}::server_port"} = sub { 1984 };
        *{"${module}::html_dir"} = sub { '/@ROOT@/html' };
        push @{"${module}::ISA"}, 'Blocks' if $module ne 'Test::Nginx::Util';
    }
    my $skip = { 'Test/LongString.pm' => 1, 'Test/More.pm' => 1 };
    $INC{$_} ||= __FILE__ for keys %$skip;
}

package main;
my $file = shift @ARGV;
unshift @INC, '.', 'lib', 't/lib';
# `do` loses nothing, but the file's DATA belongs to it: it is given by hand.
open my $in, '<', $file or die "$file: $!";
my $source = do { local $/; <$in> };
my ($head, $data) = split /^__(?:DATA|END)__\n/m, $source, 2;
open DATA, '<', \($data // '') or die $!;
$0 = $file;
no strict;
eval "package main; no strict; no warnings;\n#line 1 \"$file\"\n$head\n;1" or die "$file: $@";
