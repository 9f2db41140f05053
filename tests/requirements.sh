#!/bin/sh
# Which requirement numbers does no test carry? Rust tests carry them as `fn a03_...` or `fn b4_...`, specs as
# "A14 ..." or "B1 ...".
set -eu
cd "$(dirname "$0")/.."
missing=""
for n in a01 a02 a03 a04 a05 a06 a07 a08 a09 a10 a11 a12 a13 a14 b01 b02 b03 b04 b05 b06 b07 b08 \
    c01 c02 c03 c04 c05 c06 c07 c08 d01 d02 d03 d04 d05 d06; do
    letter=${n%??}
    short=${n#?}
    short=${short#0}
    name=$(echo "$letter" | tr abcd ABCD)$short
    if ! grep -rqE "fn $letter(0?$short)[a-z]?_" src tests --include='*.rs' &&
        ! grep -rqE "[\"' ]$name[ :\"']" spec --include='*.lua' 2>/dev/null; then
        missing="$missing $name"
    fi
done
echo "requirements without a test:${missing:- none}"
[ -z "$missing" ]
