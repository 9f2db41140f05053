//! The self-signed certificates of listeners that were given none, kept in the prefix.
//!
//! Must not: replace what is there.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::tls::pki::cert::{Cert, Extension};
use crate::tls::pki::key::{Curve, EcKey, Key, RsaKey};
use crate::tls::pki::{asn1, key_code, name::Name, objects, pem};

/// Which listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// `proxy_listen`
    Proxy,
    /// `admin_listen`
    Admin,
}

/// Twenty years.
const LIFE: i64 = 20 * 365 * 86_400;

/// A certificate and its key, in PEM.
type Pair = (String, String);

/// The RSA and the ECDSA certificate below `prefix`, made where they are not there.
///
/// # Errors
/// What keeps them from being made or read.
///
/// # Source
/// Kong 3.10 `cmd/utils/prefix_handler.lua` (`gen_default_ssl_cert`)
pub(super) fn ensure(prefix: &Path, target: For) -> Result<Vec<Pair>, String> {
    let stem = match target {
        For::Proxy => "kong-default",
        For::Admin => "admin-kong-default",
    };
    let folder = prefix.join("ssl");
    let failed = |e: std::io::Error| format!("{}: {e}", folder.display());
    if !folder.exists() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(failed)?;
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).map_err(failed)?;
    [("", false), ("-ecdsa", true)]
        .into_iter()
        .map(|(suffix, ec)| {
            let cert = folder.join(format!("{stem}{suffix}.crt"));
            let key = folder.join(format!("{stem}{suffix}.key"));
            if !cert.exists() || !key.exists() {
                let (c, k) = make(ec).ok_or("could not make a certificate")?;
                write(&key, &k, 0o600)?;
                write(&cert, &c, 0o644)?;
            }
            Ok((read(&cert)?, read(&key)?))
        })
        .collect()
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), String> {
    let write = || {
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(path)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(text.as_bytes())
    };
    write().map_err(|e: std::io::Error| format!("{}: {e}", path.display()))
}

/// A self-signed certificate for `localhost`.
fn make(ec: bool) -> Option<Pair> {
    let key = match ec {
        true => Key::Ec(EcKey::generate(Curve::P256)?),
        false => Key::Rsa(RsaKey::generate(2048, None)?),
    };
    let mut serial = [0; 16];
    getrandom::fill(&mut serial).ok()?;
    serial[0] = serial[0] & 0x7f | 0x40;
    let mut name = Name::default();
    name.add("O", b"Moongate").ok()?;
    name.add("CN", b"localhost").ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs() as i64;
    let mut cert = Cert::empty();
    cert.version = 3;
    cert.serial = serial.to_vec();
    cert.issuer = name.clone();
    cert.subject = name;
    cert.not_before = now - 60;
    cert.not_after = now + LIFE;
    cert.spki = key_code::write_spki(&key);
    cert.extensions = extensions()?;
    cert.sign(&key, None).ok()?;
    Some((pem::write("CERTIFICATE", &cert.write()?), private_pem(&key)?))
}

fn private_pem(key: &Key) -> Option<String> {
    Some(pem::write("PRIVATE KEY", &key_code::write_pkcs8(key)?))
}

/// No CA; for TLS only; `localhost` and its addresses.
fn extensions() -> Option<Vec<Extension>> {
    let purposes = ["serverAuth", "clientAuth"]
        .iter()
        .map(|purpose| objects::contents(purpose).map(|oid| asn1::oid(&oid)))
        .collect::<Option<Vec<_>>>()?
        .concat();
    let v6 = std::net::Ipv6Addr::LOCALHOST.octets();
    let names = [
        asn1::element(0x82, b"localhost"),
        asn1::element(0x87, &[127, 0, 0, 1]),
        asn1::element(0x87, &v6),
    ]
    .concat();
    let extension = |name: &str, critical, body: &[u8]| {
        Some(Extension {
            oid: objects::contents(name)?,
            critical,
            value: asn1::element(asn1::SEQUENCE, body),
        })
    };
    Some(vec![
        extension("basicConstraints", true, &[])?,
        extension("extendedKeyUsage", false, &purposes)?,
        extension("subjectAltName", false, &names)?,
    ])
}
