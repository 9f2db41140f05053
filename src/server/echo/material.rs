//! Keys and certificates of the echo upstream that speaks TLS: made at start, new each time.
//!
//! An authority, the upstream's own certificate below it, two client identities (`alice`, `bob`), and a second
//! authority that signed none of these. What clients need lies as PEM in `<prefix>/ssl/demo`, readable by the user
//! alone. Must not: make anything that is trusted beyond the demo.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

/// The identities that clients may show.
pub const IDENTITIES: [&str; 2] = ["alice", "bob"];

const VALID_DAYS: i64 = 30;

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum MaterialError {
    /// A certificate could not be made.
    #[error("demo certificates: {0}")]
    Make(#[from] rcgen::Error),
    /// A file could not be written.
    #[error("demo certificates: {0}: {1}")]
    Write(String, io::Error),
}

/// What the upstream needs itself.
pub struct Material {
    /// The authority of all identities.
    pub authority: CertificateDer<'static>,
    /// The upstream's certificate.
    pub certificate: CertificateDer<'static>,
    /// The upstream's key.
    pub key: PrivateKeyDer<'static>,
}

impl std::fmt::Debug for Material {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Material").finish_non_exhaustive()
    }
}

impl Material {
    /// Makes everything anew, and writes what clients need into `dir`.
    ///
    /// # Errors
    /// When the directory or a file in it cannot be written.
    pub fn make(dir: &Path) -> Result<Self, MaterialError> {
        let authority = authority("Moongate demo CA")?;
        let other = authority_of_nobody()?;
        let files = Files::new(dir)?;
        files.write("ca.crt", authority.pem().as_bytes())?;
        files.write("other-ca.crt", other.as_bytes())?;
        for name in IDENTITIES {
            let mut params = named(name);
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            let key = KeyPair::generate()?;
            let certificate = params.signed_by(&key, &authority)?;
            files.write(&format!("{name}.crt"), certificate.pem().as_bytes())?;
            let pem = Zeroizing::new(key.serialize_pem());
            files.write(&format!("{name}.key"), pem.as_bytes())?;
        }
        let mut params = named("localhost");
        params.subject_alt_names =
            CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()])?.subject_alt_names;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate()?;
        Ok(Self {
            certificate: params.signed_by(&key, &authority)?.der().clone(),
            authority: authority.der().clone(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        })
    }
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let now = time::OffsetDateTime::now_utc();
    params.not_before = now - time::Duration::days(1);
    params.not_after = now + time::Duration::days(VALID_DAYS);
    params
}

fn authority(name: &str) -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut params = named(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate()?)
}

/// The second authority's certificate; its key is gone at once.
fn authority_of_nobody() -> Result<String, rcgen::Error> {
    Ok(authority("Another CA")?.pem())
}

/// A directory of files for the user's eyes only.
struct Files<'a>(&'a Path);

impl<'a> Files<'a> {
    fn new(dir: &'a Path) -> Result<Self, MaterialError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|e| MaterialError::Write(dir.display().to_string(), e))?;
        Ok(Self(dir))
    }

    /// Replaces a file by a new one; never writes through what lies there.
    fn write(&self, name: &str, text: &[u8]) -> Result<(), MaterialError> {
        let path = self.0.join(name);
        let fails = |e| MaterialError::Write(path.display().to_string(), e);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(fails(e)),
            _ => {}
        }
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600);
        file.open(&path)
            .and_then(|mut f| f.write_all(text))
            .map_err(fails)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn c08_files_are_for_the_user_alone_and_new_each_time() {
        let dir = std::env::temp_dir().join(format!("moongate-demo-{}", std::process::id()));
        let made = Material::make(&dir).unwrap();
        assert_eq!(format!("{made:?}"), "Material { .. }");
        let first = fs::read_to_string(dir.join("alice.key")).unwrap();
        assert!(first.starts_with("-----BEGIN PRIVATE KEY-----"));
        for name in [
            "alice.key",
            "alice.crt",
            "bob.key",
            "bob.crt",
            "ca.crt",
            "other-ca.crt",
        ] {
            let mode = fs::metadata(dir.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        // what lies there is not written through
        let outside = dir.join("outside");
        fs::write(&outside, "as it was").unwrap();
        fs::remove_file(dir.join("bob.key")).unwrap();
        std::os::unix::fs::symlink(&outside, dir.join("bob.key")).unwrap();
        Material::make(&dir).unwrap();
        assert_eq!(fs::read_to_string(&outside).unwrap(), "as it was");
        assert_ne!(fs::read_to_string(dir.join("alice.key")).unwrap(), first);
        fs::remove_dir_all(&dir).unwrap();
    }
}
