#!/bin/sh
# Which requirement numbers does no test carry? Rust tests carry them as `fn a03_...`, specs as "A14 ...".
set -eu
cd "$(dirname "$0")/.."
missing=""
for n in 01 02 03 04 05 06 07 08 09 10 11 12 13 14; do
    short=${n#0}
    if ! grep -rqE "fn a$n[a-z]?_" src tests --include='*.rs' &&
        ! grep -rqE "[\"' ]A$short[ :\"']" spec --include='*.lua' 2>/dev/null; then
        missing="$missing A$short"
    fi
done
echo "requirements without a test:${missing:- none}"
[ -z "$missing" ]
