//! Functions of values: encodings, arguments, patterns, shared dictionaries.

use super::{checks, exchange, fails, run_with, vm};
use crate::exchange::{Body, Phase};
use crate::shared::dict;
use crate::vm::Flow;

#[test]
fn a11_ngx_encodings() {
    checks(
        Phase::Access,
        "eq(ngx.escape_uri('a b&c/d~é'), 'a%20b%26c%2Fd~%C3%A9') eq(ngx.escape_uri('/a b?c', 0), '/a%20b%3Fc')
        eq(ngx.unescape_uri('a%20b+c%zz%4'), 'a b c%zz%4') eq(ngx.escape_uri(5), '5') eq(ngx.escape_uri(nil), '')
        eq(ngx.encode_base64('hello'), 'aGVsbG8=') eq(ngx.encode_base64('hello', true), 'aGVsbG8')
        eq(ngx.decode_base64('aGVsbG8='), 'hello') eq(ngx.decode_base64('aGVsbG8'), 'hello')
        eq(ngx.decode_base64('*'), nil) eq(ngx.md5('hello'), '5d41402abc4b2a76b9719d911017c592')
        eq(#ngx.md5_bin('hello'), 16) eq(#ngx.sha1_bin('hello'), 20) eq(ngx.crc32_short('hello'), 907060870)
        eq(ngx.crc32_long('hello'), 907060870)
        eq(ngx.encode_base64(ngx.hmac_sha1('thisisverysecretstuff', 'some string we want to sign')),
           'R/pvxzHC4NLtj7S+kXFg/NePTmk=')
        eq(ngx.quote_sql_str('a\\'b\\n\\0'), \"'a\\\\'b\\\\n\\\\0'\")",
    );
    let e = fails(Phase::Access, "ngx.decode_base64(nil)");
    assert!(e.contains("string argument only"), "{e}");
}

#[test]
fn a11_ngx_args() {
    let x = checks(
        Phase::Access,
        "local a, err = ngx.req.get_uri_args() eq(err, nil) eq(a.x[1], '1') eq(a.x[2], '2') eq(a.y, ' z')
        eq(a.flag, true) eq(select(2, ngx.req.get_uri_args(2)), 'truncated')
        a = ngx.decode_args('a=1&b&=no&c=&a=%32&d+e=f', 0) eq(a.a[2], '2') eq(a.b, true) eq(a.c, '') eq(a['d e'], 'f')
        eq(ngx.encode_args({ k = 'v w' }), 'k=v%20w') eq(ngx.encode_args({ k = true }), 'k')
        eq(ngx.encode_args({ k = { 1, true, 'x' } }), 'k=1&k&k=x') eq(ngx.encode_args({ k = false }), '')
        ngx.req.set_uri_args({ n = 5 }) eq(ngx.var.args, 'n=5') ngx.req.set_uri_args('q=1') eq(ngx.var.arg_q, '1')",
    );
    assert_eq!(x.request.args.as_deref(), Some("q=1"));
    for (src, message) in [
        (
            "ngx.encode_args({ k = print })",
            "attempt to use function as query arg value",
        ),
        ("ngx.req.set_uri_args(nil)", "string, number, or table expected"),
        ("ngx.req.get_post_args()", "no request body found"),
    ] {
        let e = fails(Phase::Access, src);
        assert!(e.contains(message), "{src}: {e}");
    }
}

#[test]
fn a11_ngx_req_body() {
    let mut x = exchange();
    x.request.body = Body::Memory(bytes::Bytes::from_static(b"a=1&b=2"));
    let (flow, x, _) = run_with(
        &vm(),
        Phase::Access,
        x,
        "ngx.req.read_body() assert(ngx.req.get_body_data() == 'a=1&b=2') assert(ngx.req.get_body_data(3) == 'a=1')
        assert(ngx.req.get_body_file() == nil) assert(ngx.req.get_post_args().b == '2')
        ngx.req.set_body_data('new') assert(ngx.req.get_headers().content_length == '3')",
    );
    assert!(matches!(flow, Flow::Done), "{flow:?}");
    assert!(matches!(&x.request.body, Body::Memory(b) if b == "new"));
    assert_eq!(x.request.content_length, Some(3));
    let e = fails(Phase::Access, "ngx.req.set_body_data('x')");
    assert!(e.contains("request body not read yet"), "{e}");
    let e = fails(Phase::Log, "ngx.req.read_body()");
    assert!(e.contains("API disabled in the context of log_by_lua*"), "{e}");
}

#[test]
fn a11_ngx_re() {
    checks(
        Phase::Access,
        "local m, err = ngx.re.match('hello, 1234', '([a-z]+), (?<n>[0-9])(\\\\d+)?(x)?', 'jo')
        eq(err, nil) eq(m[0], 'hello, 1234') eq(m[1], 'hello') eq(m.n, '1') eq(m[2], '1') eq(m[3], '234') eq(m[4], false)
        local ctx = { pos = 2 } m = ngx.re.match('1234, hello', '[0-9]+', '', ctx) eq(m[0], '234') eq(ctx.pos, 5)
        eq(ngx.re.match('abc', 'b', 'a'), nil) eq(ngx.re.match('ABC', 'b', 'i')[0], 'B')
        m = ngx.re.match('hello', '(?<c>h)(?<c>e)|(?<c>x)', 'D') eq(m.c[1], 'h') eq(m.c[2], 'e')
        local from, to = ngx.re.find('hello, 1234', '([0-9])([0-9]+)', 'jo') eq(from, 8) eq(to, 11)
        from, to = ngx.re.find('hello, 1234', '([0-9])([0-9]+)', 'jo', nil, 2) eq(from, 9) eq(to, 11)
        eq(ngx.re.find('abc', 'z'), nil) eq(select(3, ngx.re.find('a', 'a', '', nil, 5)), 'nth out of bound')
        local all = {} for it in ngx.re.gmatch('a1b22', '([a-z])([0-9]+)', 'jo') do all[#all + 1] = it[1] .. '=' .. it[2] end
        eq(table.concat(all, ','), 'a=1,b=22')
        local n = 0 for _ in ngx.re.gmatch('ab', 'x*') do n = n + 1 end eq(n, 3)
        local s, count, e = ngx.re.gsub('hello, world', '([a-z])[a-z]+', '[$0,$1,${1},$$]', 'i')
        eq(s, '[hello,h,h,$], [world,w,w,$]') eq(count, 2) eq(e, nil)
        s, count = ngx.re.sub('hello, world', '[a-z]+', function(c) return c[0]:upper() end) eq(s, 'HELLO, world') eq(count, 1)
        eq(ngx.re.gsub('abc', '', '-'), '-a-b-c-') eq(ngx.re.gsub('abc', '', function() return '-' end), '-a-b-c-')
        eq(ngx.re.gsub('foobar', 'foo\\\\Kbar', 'X'), 'fooX') eq(select(2, ngx.re.gsub('x', 'y', 'z')), 0)
        m, err = ngx.re.match('x', '(abc') eq(m, nil) eq(err, 'pcre2_compile() failed: missing closing parenthesis in \"(abc\"')
        local it it, err = ngx.re.gmatch('x', '(') eq(it, nil) eq(err:find('pcre2_compile', 1, true), 1)
        eq(ngx.re.match('ab', '(a)b', 'J')[1], 'a')
        m, err = ngx.re.match('ab', '[]b', 'J') eq(m, nil) eq(err, nil)
        s, count, err = ngx.re.sub('a', 'a', '$x') eq(s, nil) eq(err, 'failed to compile the replacement template')
        m, err = ngx.re.match(('a'):rep(30) .. 'b', '^(a+)+$') eq(m, nil) eq(err, 'pcre_exec() failed: -47')
        eq(ngx.re.match('\\255é', 'é')[0], 'é') eq(ngx.re.match('äb', '^.b', 'u')[0], 'äb')
        for i = 1, 1100 do eq(ngx.re.match('n' .. i, '^n' .. i .. '$', 'jo')[0], 'n' .. i) end",
    );
    let e = fails(Phase::Access, "ngx.re.match('a', 'a', 'iz')");
    assert!(e.contains("unknown flag \"z\" (flags \"iz\")"), "{e}");
}

#[test]
fn a11_ngx_shared() {
    dict::configure(vec![("cats".into(), 1 << 20), ("big".into(), 1 << 24)]);
    checks(
        Phase::Access,
        "local d = ngx.shared.cats eq(ngx.shared.nothing, nil) eq(d:get('k'), nil)
        local ok, err, forcible = d:set('k', 'v', 0, 7) eq(ok, true) eq(err, nil) eq(forcible, false)
        eq(d:get('k'), 'v') eq(select(2, d:get('k')), 7) eq(d.get(d, 'k'), 'v')
        ok, err = d:add('k', 1) eq(ok, false) eq(err, 'exists') eq(select(2, d:replace('z', 1)), 'not found')
        d:set('b', false) eq(d:get('b'), false) d:set(5, 1.5) eq(d:get('5'), 1.5)
        eq(select(2, d:incr('n', 1)), 'not found') eq(d:incr('n', 1, 10), 11) eq(d:incr('n', -2), 9)
        eq(select(2, d:incr('k', 1)), 'not a number') eq(d:incr('t', 1, 0, 0.02), 1) ngx.sleep(0.03)
        eq(d:get_stale('t'), 1) eq(select(3, d:get_stale('t')), true) eq(d:incr('t', 1, 0), 1)
        eq(d:ttl('n'), 0) d:expire('n', 100) eq(d:ttl('n') > 99, true) eq(select(2, d:ttl('zz')), 'not found')
        eq(select(2, d:get(nil)), 'nil key') eq(select(2, d:set('', 1)), 'empty key')
        eq(select(2, d:set('x', {})), 'bad value type') eq(d:delete('k'), true) eq(d:get('k'), nil)
        eq(#d:get_keys() > 2, true) eq(d:capacity(), 1048576) eq(d:free_space() < 1048576, true)
        d:flush_all() eq(d:get('n'), nil) eq(d:flush_expired() >= 0, true) eq(#d:get_keys(0), 0)
        eq(d:free_space(), 1032192) eq(select(2, d:safe_set('x', ('x'):rep(2e6))), 'no memory')
        eq(pcall(d.get, nil, 'x'), false) eq(ngx.shared.big:incr('a', 1, 0), 1)",
    );
    for (src, message) in [
        ("ngx.shared.cats:set('a', 1, -1)", "bad \"exptime\" argument"),
        (
            "ngx.shared.cats:incr('a', 'x')",
            "cannot convert 'nil' to 'double'",
        ),
        (
            "ngx.shared.cats:incr('a', 1, nil, 5)",
            "must provide \"init\" when providing \"init_ttl\"",
        ),
        (
            "ngx.shared.cats:lpush('a')",
            "expecting 3 arguments, but only seen 2",
        ),
    ] {
        let e = fails(Phase::Access, src);
        assert!(e.contains(message), "{src}: {e}");
    }
}
