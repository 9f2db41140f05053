#!/bin/sh
# The differential tests compare with Debian's nginx and its Lua module, TLS tests speak with nginx and OpenSSL's
# command: installs them where they are missing.
set -eu
missing=""
command -v nginx >/dev/null || missing="$missing nginx-light"
[ -e /usr/lib/nginx/modules/ngx_http_lua_module.so ] || missing="$missing libnginx-mod-http-lua"
[ -e /usr/share/doc/lua-cjson ] || missing="$missing lua-cjson"
[ -n "${MOONGATE_NO_NGINX:-}" ] && missing=""
command -v openssl >/dev/null || missing="$missing openssl"
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null; then
    echo "missing:$missing (set MOONGATE_NO_NGINX=1 to test without)" >&2
    exit 1
fi
sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo -n"
$sudo apt-get update -qq || true
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
