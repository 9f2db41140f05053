//! What Lua holds, as whoever takes certificates and keys from it gets them.

use std::rc::Rc;

use crate::tls::identity::ClientIdentity;
use crate::vm::{Args, Registrar, Ret, Vm, VmOptions, held, op};

/// `pair(chain, key)`: how many certificates an identity of both has, or nil and why.
fn pair(a: &Args, r: &mut Ret) {
    let (Some(chain), Some(key)) = (held::certificate_chain(a, 1), held::private_key(a, 2)) else {
        r.fail("other things");
        return;
    };
    let made = chain.map_err(|e| e.to_string()).and_then(|chain| {
        let key = key.map_err(|e| e.to_string())?;
        ClientIdentity::new(chain, key).map_err(|e| e.to_string())
    });
    match made {
        Ok(identity) => r.int(identity.chain().certs().len() as i64),
        Err(e) => r.fail(e),
    };
}

/// `trust(store)`: how many certificates it has and its fingerprint, or nil and why.
fn trust(a: &Args, r: &mut Ret) {
    match held::trust_store(a, 1) {
        Some(Ok(store)) => r.int(store.certs().len() as i64).str(store.fingerprint()),
        Some(Err(e)) => r.fail(e.to_string()),
        None => r.fail("another thing"),
    };
}

fn vm() -> Rc<Vm> {
    let rooms = [crate::libs::install, crate::ngx::install, |r: &Registrar| {
        r.op("t", "pair", op::raw(pair))?;
        r.op("t", "trust", op::raw(trust))
    }];
    Vm::new(&VmOptions::default(), &rooms).unwrap()
}

fn check(src: &str) {
    const PRELUDE: &str = r#"
        local pkey, x509 = require "resty.openssl.pkey", require "resty.openssl.x509"
        local chain, store = require "resty.openssl.x509.chain", require "resty.openssl.x509.store"
        local ssl, id = require "ngx.ssl", require("moongate.cdata").id
        local t, count = require("moongate.ops").t, require("moongate.cdata").count
        local name = require "resty.openssl.x509.name"
        local function key(curve) return assert(pkey.new { type = "EC", curve = curve or "prime256v1" }) end
        local function cert(k, cn)
          local c = x509.new()
          c:set_subject_name(name.new():add("CN", cn or "a"))
          c:set_issuer_name(name.new():add("CN", cn or "a"))
          c:set_pubkey(k)
          assert(c:sign(k))
          return c
        end
    "#;
    if let Err(e) = vm()
        .lua()
        .load(format!("{PRELUDE}{src}"))
        .set_name("=test")
        .exec()
    {
        panic!("{e}");
    }
}

#[test]
fn c02_chains_and_keys_of_either_library_make_an_identity() {
    check(
        r#"
        local k = key()
        local c = cert(k)
        local list = chain.new()
        list:add(c)
        list:add(cert(key(), "b"))
        local chains = { [id(c.ctx)] = 1, [id(list.ctx)] = 2 }
        local parsed = { assert(ssl.parse_pem_cert(c:to_PEM())), assert(ssl.parse_der_cert(c:tostring("DER"))) }
        for _, p in ipairs(parsed) do chains[id(p)] = 1 end
        local keys = { k.ctx, assert(ssl.parse_pem_priv_key(k:to_PEM("private"))) }
        for number, n in pairs(chains) do
          for _, each in ipairs(keys) do
            local got, err = t.pair(number, id(each))
            assert(got == n, err)
          end
        end
        -- a chain that grew is another
        list:add(c)
        assert(t.pair(id(list.ctx), id(k.ctx)) == 3)
        "#,
    );
}

#[test]
fn c02_what_makes_no_identity_says_why() {
    check(
        r#"
        local k = key()
        local c = cert(k)
        local function no(words, a, b)
          local got, err = t.pair(a, b)
          assert(got == nil and err and err:find(words, 1, true), tostring(got) .. " " .. tostring(err))
        end
        no("key values mismatch", id(c.ctx), id(key().ctx))
        no("key type mismatch", id(c.ctx), id(pkey.new({ type = "Ed25519" }).ctx))
        no("no certificate", id(chain.new().ctx), id(k.ctx))
        no("invalid value", id(c.ctx), id(pkey.new(k:to_PEM("public")).ctx))
        no("other things", id(k.ctx), id(c.ctx))
        no("other things", 0, 0)
        no("other things", nil, nil)
        no("other things", -1, 2 ^ 60)
        no("other things", 0 / 0, 1 / 0)
        "#,
    );
}

#[test]
fn c02_stores_become_trust_stores_and_follow_their_changes() {
    check(
        r#"
        local a, b = cert(key(), "a"), cert(key(), "b")
        local s, other = store.new(), store.new()
        assert(t.trust(id(s.ctx)) == 0)
        s:add(a)
        s:add(b)
        other:add(b)
        other:add(a)
        local n, mark = t.trust(id(s.ctx))
        assert(n == 2 and #mark == 32)
        assert(select(2, t.trust(id(other.ctx))) == mark)
        assert(select(2, t.trust(id(s.ctx))) == mark)
        other:add(cert(key(), "c"))
        n = t.trust(id(other.ctx))
        assert(n == 3)
        local got, err = t.trust(id(key().ctx))
        assert(got == nil and err == "another thing")
        "#,
    );
}

#[test]
fn c02_a_state_that_ends_gives_everything_back() {
    let before = crate::vm::cdata::count();
    check(
        r#"
        local k = key()
        held_for_ever = { k, cert(k), ssl.parse_pem_cert(cert(k):to_PEM()), store.new(), chain.new() }
        assert(count() >= 5)
        "#,
    );
    assert_eq!(crate::vm::cdata::count(), before);
}
