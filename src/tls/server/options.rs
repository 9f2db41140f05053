//! Protocols, suites, groups and sessions of listeners, as settings name them.
//!
//! Must not: know where the texts came from.

use std::sync::Arc;
use std::time::Duration;

use rustls::SupportedCipherSuite;
use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};

use super::hello::Hello;
use super::names;

/// A set of protocol versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Versions {
    /// TLS 1.2
    pub tls12: bool,
    /// TLS 1.3
    pub tls13: bool,
}

/// The texts that options are made of, as Kong's settings have them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Texts<'a> {
    /// `ssl_cipher_suite`
    pub suite: &'a str,
    /// `ssl_protocols`; counts for the suite `custom`.
    pub protocols: &'a str,
    /// `ssl_ciphers`; counts for the suite `custom`.
    pub ciphers: &'a str,
    /// `ssl_prefer_server_ciphers`; counts for the suite `custom`.
    pub prefer_server: bool,
    /// `ssl_session_tickets`
    pub tickets: bool,
    /// `ssl_session_timeout`
    pub timeout: Duration,
    /// `ssl_session_cache_size`, bytes
    pub cache: usize,
    /// `nginx_http_ssl_conf_command`: `Ciphersuites`, `CipherString`, `Groups`.
    pub command: &'a str,
    /// `ssl_ecdh_curve` of an nginx block.
    pub curves: &'a str,
}

/// How listeners speak TLS.
#[derive(Clone)]
pub struct Options {
    /// The protocols offered.
    pub versions: Versions,
    /// The suites offered, best first.
    pub suites: Vec<SupportedCipherSuite>,
    /// The groups offered, best first.
    pub groups: Vec<&'static dyn SupportedKxGroup>,
    /// Whether the server's order of suites counts.
    pub prefer_server: bool,
    /// Whether clients get tickets; without, sessions are kept here.
    pub tickets: bool,
    /// How long a session can be taken up again.
    pub timeout: Duration,
    /// Memory for sessions, bytes.
    pub cache: usize,
}

impl PartialEq for Options {
    fn eq(&self, other: &Self) -> bool {
        let groups = |o: &Self| -> Vec<u16> { o.groups.iter().map(|g| u16::from(g.name())).collect() };
        self.versions == other.versions
            && self.suites == other.suites
            && groups(self) == groups(other)
            && self.prefer_server == other.prefer_server
            && self.tickets == other.tickets
            && self.timeout == other.timeout
            && self.cache == other.cache
    }
}

/// What Kong's `intermediate` and `old` have that is here, too.
const INTERMEDIATE: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
    ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:\
    ECDHE-RSA-CHACHA20-POLY1305";

impl Options {
    /// Reads the texts; what is not there is told in `warnings`.
    ///
    /// # Errors
    /// What cannot be served at all.
    ///
    /// # Source
    /// Kong 3.10 `conf_loader/constants.lua` (`CIPHER_SUITES`)
    pub fn read(texts: &Texts<'_>, warnings: &mut Vec<String>) -> Result<Self, String> {
        let (protocols, ciphers, prefer_server) = match texts.suite {
            "modern" => ("TLSv1.3", "", false),
            "intermediate" => ("TLSv1.2 TLSv1.3", INTERMEDIATE, false),
            "old" => ("TLSv1 TLSv1.1 TLSv1.2 TLSv1.3", INTERMEDIATE, true),
            "fips" => ("TLSv1.2", "FIPS", true),
            "custom" => (texts.protocols, texts.ciphers, texts.prefer_server),
            other => return Err(format!("Undefined cipher suite {other}")),
        };
        let versions = versions(protocols, warnings)?;
        let mut suites = names::all(true);
        let mut twelve = match ciphers {
            "" => names::all(false),
            list => names::suites12(list).map_err(|e| format!("ssl_ciphers {list}: {e}"))?,
        };
        let mut groups = ring::ALL_KX_GROUPS.to_vec();
        if !texts.curves.is_empty() && texts.curves != "auto" {
            groups = read_groups(texts.curves)?;
        }
        for (name, value) in commands(texts.command) {
            let wrong = |e: &str| format!("nginx_http_ssl_conf_command {name} {value}: {e}");
            match name {
                "Ciphersuites" => suites = names::suites13(value).map_err(wrong)?,
                "CipherString" => {
                    let list = value.split('@').next().unwrap_or_default().trim_end_matches(':');
                    if !matches!(list, "" | "DEFAULT") {
                        twelve = names::suites12(list).map_err(wrong)?;
                    }
                }
                "Groups" | "Curves" => groups = read_groups(value)?,
                other => warnings.push(format!("nginx_http_ssl_conf_command {other} is not honoured")),
            }
        }
        if !versions.tls13 {
            suites.clear();
        }
        if versions.tls12 {
            suites.extend(twelve);
        }
        if suites.is_empty() {
            return Err("no cipher match".to_owned());
        }
        Ok(Self {
            versions,
            suites,
            groups,
            prefer_server,
            tickets: texts.tickets,
            timeout: texts.timeout,
            cache: texts.cache,
        })
    }

    /// The suites that a client has, too, in the listener's order.
    pub fn shared(&self, hello: &Hello) -> impl Iterator<Item = u16> {
        let mine = self.suites.iter().map(|s| u16::from(s.suite()));
        mine.filter(|suite| hello.ciphers().any(|one| one == *suite))
    }

    /// The suites and groups as rustls takes them.
    pub(super) fn provider(&self) -> Arc<CryptoProvider> {
        Arc::new(CryptoProvider {
            cipher_suites: self.suites.clone(),
            kx_groups: self.groups.clone(),
            ..(*crate::tls::provider()).clone()
        })
    }
}

/// `Name value; Name value`, as directives of the same name are joined, or one alone.
fn commands(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(';')
        .filter_map(|one| one.trim().split_once(char::is_whitespace))
        .map(|(name, value)| (name, value.trim().trim_matches(['"', '\''])))
}

fn versions(protocols: &str, warnings: &mut Vec<String>) -> Result<Versions, String> {
    let mut versions = Versions {
        tls12: false,
        tls13: false,
    };
    for word in protocols.split_whitespace() {
        match word {
            "TLSv1.2" => versions.tls12 = true,
            "TLSv1.3" => versions.tls13 = true,
            "TLSv1" | "TLSv1.1" | "SSLv2" | "SSLv3" => {
                warnings.push(format!("ssl_protocols: {word} is not supported"));
            }
            other => return Err(format!("ssl_protocols: invalid value \"{other}\"")),
        }
    }
    if !versions.tls12 && !versions.tls13 {
        return Err(format!(
            "ssl_protocols = {protocols} is not supported: TLSv1.2 and TLSv1.3 are"
        ));
    }
    Ok(versions)
}

fn read_groups(list: &str) -> Result<Vec<&'static dyn SupportedKxGroup>, String> {
    let mut groups = Vec::new();
    for name in list.split(':').filter(|n| !n.is_empty()) {
        let number = match name {
            "X25519" | "x25519" => 29,
            "P-256" | "prime256v1" | "secp256r1" => 23,
            "P-384" | "secp384r1" => 24,
            _ => continue,
        };
        groups.extend(
            ring::ALL_KX_GROUPS
                .iter()
                .filter(|g| u16::from(g.name()) == number),
        );
    }
    if groups.is_empty() {
        return Err(format!(
            "ssl_ecdh_curve {list} is not supported: X25519, P-256 and P-384 are"
        ));
    }
    Ok(groups)
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    pub fn of(suite: &str) -> Texts<'_> {
        Texts {
            suite,
            protocols: "TLSv1.2 TLSv1.3",
            tickets: true,
            timeout: Duration::from_secs(86_400),
            cache: 10 << 20,
            ..Texts::default()
        }
    }

    fn numbers(o: &Options) -> Vec<u16> {
        o.suites.iter().map(|s| u16::from(s.suite())).collect()
    }

    #[test]
    fn c07_kongs_suites() {
        let mut warnings = Vec::new();
        let read = |texts: &Texts<'_>, warnings: &mut Vec<String>| Options::read(texts, warnings).unwrap();
        let modern = read(&of("modern"), &mut warnings);
        assert!(modern.versions.tls13 && !modern.versions.tls12 && !modern.prefer_server);
        assert_eq!(numbers(&modern), [0x1302, 0x1303, 0x1301]);
        let intermediate = read(&of("intermediate"), &mut warnings);
        assert!(intermediate.versions.tls12 && intermediate.versions.tls13);
        assert_eq!(intermediate.suites.len(), 9);
        assert!(warnings.is_empty());
        let old = read(&of("old"), &mut warnings);
        assert!(old.prefer_server);
        assert_eq!(
            warnings,
            [
                "ssl_protocols: TLSv1 is not supported",
                "ssl_protocols: TLSv1.1 is not supported"
            ]
        );
        let fips = read(&of("fips"), &mut Vec::new());
        assert_eq!(numbers(&fips), [0xc02c, 0xc030, 0xc02b, 0xc02f]);
        assert_eq!(
            Options::read(&of("best"), &mut Vec::new()).err().as_deref(),
            Some("Undefined cipher suite best")
        );
    }

    #[test]
    fn c07_custom_suites_and_openssls_commands() {
        let custom = Texts {
            protocols: "TLSv1.3",
            ciphers: "ECDHE-RSA-AES128-GCM-SHA256",
            command: "Ciphersuites TLS_AES_256_GCM_SHA384",
            curves: "P-256:X25519",
            ..of("custom")
        };
        let read = Options::read(&custom, &mut Vec::new()).unwrap();
        assert_eq!(numbers(&read), [0x1302]);
        let groups: Vec<u16> = read.groups.iter().map(|g| u16::from(g.name())).collect();
        assert_eq!(groups, [23, 29]);
        let twelve = Texts {
            protocols: "TLSv1.2",
            prefer_server: true,
            ..custom
        };
        let read = Options::read(&twelve, &mut Vec::new()).unwrap();
        assert_eq!(numbers(&read), [0xc02f]);
        assert!(read.prefer_server && read != Options::read(&custom, &mut Vec::new()).unwrap());
        for (texts, why) in [
            (
                Texts {
                    protocols: "TLSv1.1",
                    ..twelve
                },
                "ssl_protocols = TLSv1.1 is not supported",
            ),
            (
                Texts {
                    protocols: "TLSv9",
                    ..twelve
                },
                "ssl_protocols: invalid value",
            ),
            (
                Texts {
                    ciphers: "RC4",
                    ..twelve
                },
                "ssl_ciphers RC4: no cipher match",
            ),
            (
                Texts {
                    curves: "K-283",
                    ..twelve
                },
                "ssl_ecdh_curve K-283 is not supported",
            ),
            (
                Texts {
                    command: "Ciphersuites AES",
                    ..twelve
                },
                "nginx_http_ssl_conf_command",
            ),
        ] {
            let told = Options::read(&texts, &mut Vec::new()).err().unwrap();
            assert!(told.starts_with(why), "{told}");
        }
    }
}
