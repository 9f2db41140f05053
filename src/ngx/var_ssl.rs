//! `ngx.var.ssl_*`, and the few variables that a TLS handshake has.
//!
//! Must not: keep values; what is asked for is read from the connection's facts.

use super::encode::{escape, kind};
use super::ssl_server::pem;
use crate::exchange::{Exchange, Handshake};
use crate::tls::pki::cert::Cert;
use crate::tls::server::{Facts, dn, names};
use crate::vm::Ret;

/// A variable that begins with `ssl_`; nil where nginx has none.
pub(super) fn get(x: &Exchange, name: &[u8], r: &mut Ret) {
    match &x.connection.tls {
        Some(tls) => value(tls, name, r),
        None => drop(r.nil()),
    }
}

fn value(tls: &Facts, name: &[u8], r: &mut Ret) {
    match name {
        b"ssl_protocol" => r.lit(tls.version_name()),
        b"ssl_cipher" => r.lit(tls.suite_name()),
        b"ssl_ciphers" => some(r, names::list(tls.offered.iter().copied(), names::suite)),
        b"ssl_curve" => some(r, names::list(tls.group.into_iter(), names::group)),
        b"ssl_curves" => some(r, names::list(tls.groups.iter().copied(), names::group)),
        b"ssl_server_name" => r.opt(tls.server_name.as_ref()),
        b"ssl_session_reused" => r.lit(if tls.reused { "r" } else { "." }),
        b"ssl_alpn_protocol" => r.opt(tls.alpn.as_ref()),
        b"ssl_client_verify" => r.str(tls.client_verify()),
        _ => {
            match name.strip_prefix(b"ssl_client_") {
                Some(of) => client(tls, of, r),
                None => drop(r.nil()),
            }
            r
        }
    };
}

fn some(r: &mut Ret, text: String) -> &mut crate::vm::Out {
    r.opt((!text.is_empty()).then_some(text))
}

/// What is known of the client's certificate.
fn client(tls: &Facts, name: &[u8], r: &mut Ret) {
    let Some(der) = tls.chain.first() else {
        r.nil();
        return;
    };
    match name {
        b"raw_cert" => r.str(pem(der)),
        b"cert" => r.str(pem(der).trim_end().replace('\n', "\n\t")),
        b"escaped_cert" => r.str(escape(pem(der).as_bytes(), kind::COMPONENT)),
        b"fingerprint" => r.str(sha1_hex(der)),
        _ => r.opt(tls.client().and_then(|cert| of_cert(cert, name))),
    };
}

fn sha1_hex(der: &[u8]) -> String {
    use sha1::Digest as _;
    let digest = sha1::Sha1::digest(der);
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

fn of_cert(cert: &Cert, name: &[u8]) -> Option<Vec<u8>> {
    let text = match name {
        b"s_dn" => dn::rfc2253(&cert.subject),
        b"i_dn" => dn::rfc2253(&cert.issuer),
        b"s_dn_legacy" => dn::one_line(&cert.subject),
        b"i_dn_legacy" => dn::one_line(&cert.issuer),
        b"serial" => dn::serial(&cert.serial),
        b"v_start" => dn::time(cert.not_before)?,
        b"v_end" => dn::time(cert.not_after)?,
        b"v_remain" => {
            let days = (cert.not_after - super::time::since_epoch().as_secs() as i64) / 86_400;
            days.max(0).to_string()
        }
        _ => return None,
    };
    Some(text.into_bytes())
}

/// A variable in a TLS handshake, where there is no request yet; false where there is none of the name.
pub(super) fn in_handshake(h: &Handshake, name: &[u8], r: &mut Ret) -> bool {
    match name {
        b"remote_addr" | b"realip_remote_addr" => r.str(h.peer.ip().to_string()),
        b"remote_port" | b"realip_remote_port" => r.str(h.peer.port().to_string()),
        b"server_addr" => r.str(h.local.ip().to_string()),
        b"server_port" => r.str(h.local.port().to_string()),
        b"server_name" => r.lit("kong"),
        b"connection" => r.str(h.serial.to_string()),
        b"ssl_server_name" => r.opt(h.hello.server_name()),
        b"pid" => r.str(std::process::id().to_string()),
        _ => return false,
    };
    true
}
