//! Which certificate the entities have for a server's name.
//!
//! Must not: parse certificates.
//!
//! # Source
//! Kong 3.10 `runloop/certificate.lua`

use std::sync::Arc;

use super::Snapshot;
use crate::entity::CertificateIdx;
use crate::tls::identity::ClientIdentity;

/// The names under which a certificate for `name` may stand, in the order they are tried.
fn candidates(name: &str) -> impl Iterator<Item = String> {
    let wild = name.contains('*');
    let labels = || name.split('.');
    let whole = !wild && labels().all(|label| !label.is_empty());
    let prefix = name
        .split_once('.')
        .filter(|(_, rest)| whole && rest.contains('.'));
    let suffix = name.rsplit_once('.').filter(|_| whole);
    [
        Some(name.to_owned()),
        prefix.map(|(_, rest)| format!("*.{rest}")),
        suffix.map(|(rest, _)| format!("{rest}.*")),
        Some("*".to_owned()),
    ]
    .into_iter()
    .flatten()
}

impl Snapshot {
    /// The certificate for a server's name: exact, `*.example.com`, `example.*`, `*`.
    pub fn certificate_of_server(&self, name: &str) -> Option<CertificateIdx> {
        let rows = self.rows("snis")?;
        candidates(name).find_map(|name| {
            let at = rows.by_key("name", &name)?;
            self.snis.get(at as usize)?.certificate
        })
    }

    /// What a listener shows of a certificate: its identity, and the one with another kind of key.
    ///
    /// # Errors
    /// Why there is none that can be shown.
    pub fn identities_of(&self, at: CertificateIdx) -> Result<Vec<Arc<ClientIdentity>>, String> {
        let Some(found) = self.identities.get(at.index()) else {
            return Ok(Vec::new());
        };
        let both = std::iter::once(&found.main).chain(&found.alt);
        both.cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c07_names_are_tried_as_kong_tries_them() {
        let of = |name: &str| candidates(name).collect::<Vec<_>>().join(" ");
        assert_eq!(of("a.b.com"), "a.b.com *.b.com a.b.* *");
        assert_eq!(of("b.com"), "b.com b.* *");
        assert_eq!(of("localhost"), "localhost *");
        assert_eq!(of("*.b.com"), "*.b.com *");
        assert_eq!(of("a..com"), "a..com *");
        assert_eq!(of(""), " *");
    }
}
