//! OpenSSL's names for suites, groups and versions, and its language for lists of suites.
//!
//! Must not: offer what rustls does not have; a name that stands for nothing here is passed over, as OpenSSL does.

use rustls::SupportedCipherSuite;
use rustls::crypto::ring::ALL_CIPHER_SUITES;

/// Suites that OpenSSL names, for what clients offer.
const SUITES: &[(u16, &str)] = &[
    (0x1301, "TLS_AES_128_GCM_SHA256"),
    (0x1302, "TLS_AES_256_GCM_SHA384"),
    (0x1303, "TLS_CHACHA20_POLY1305_SHA256"),
    (0x1304, "TLS_AES_128_CCM_SHA256"),
    (0x1305, "TLS_AES_128_CCM_8_SHA256"),
    (0xc02b, "ECDHE-ECDSA-AES128-GCM-SHA256"),
    (0xc02c, "ECDHE-ECDSA-AES256-GCM-SHA384"),
    (0xc02f, "ECDHE-RSA-AES128-GCM-SHA256"),
    (0xc030, "ECDHE-RSA-AES256-GCM-SHA384"),
    (0xcca8, "ECDHE-RSA-CHACHA20-POLY1305"),
    (0xcca9, "ECDHE-ECDSA-CHACHA20-POLY1305"),
    (0xccaa, "DHE-RSA-CHACHA20-POLY1305"),
    (0xc009, "ECDHE-ECDSA-AES128-SHA"),
    (0xc00a, "ECDHE-ECDSA-AES256-SHA"),
    (0xc013, "ECDHE-RSA-AES128-SHA"),
    (0xc014, "ECDHE-RSA-AES256-SHA"),
    (0xc023, "ECDHE-ECDSA-AES128-SHA256"),
    (0xc024, "ECDHE-ECDSA-AES256-SHA384"),
    (0xc027, "ECDHE-RSA-AES128-SHA256"),
    (0xc028, "ECDHE-RSA-AES256-SHA384"),
    (0xc0ac, "ECDHE-ECDSA-AES128-CCM"),
    (0xc0ad, "ECDHE-ECDSA-AES256-CCM"),
    (0xc0ae, "ECDHE-ECDSA-AES128-CCM8"),
    (0xc0af, "ECDHE-ECDSA-AES256-CCM8"),
    (0xc05c, "ECDHE-ECDSA-ARIA128-GCM-SHA256"),
    (0xc05d, "ECDHE-ECDSA-ARIA256-GCM-SHA384"),
    (0xc060, "ECDHE-ARIA128-GCM-SHA256"),
    (0xc061, "ECDHE-ARIA256-GCM-SHA384"),
    (0xc072, "ECDHE-ECDSA-CAMELLIA128-SHA256"),
    (0xc073, "ECDHE-ECDSA-CAMELLIA256-SHA384"),
    (0xc076, "ECDHE-RSA-CAMELLIA128-SHA256"),
    (0xc077, "ECDHE-RSA-CAMELLIA256-SHA384"),
    (0x009e, "DHE-RSA-AES128-GCM-SHA256"),
    (0x009f, "DHE-RSA-AES256-GCM-SHA384"),
    (0xc09e, "DHE-RSA-AES128-CCM"),
    (0xc09f, "DHE-RSA-AES256-CCM"),
    (0xc0a2, "DHE-RSA-AES128-CCM8"),
    (0xc0a3, "DHE-RSA-AES256-CCM8"),
    (0x0033, "DHE-RSA-AES128-SHA"),
    (0x0039, "DHE-RSA-AES256-SHA"),
    (0x0067, "DHE-RSA-AES128-SHA256"),
    (0x006b, "DHE-RSA-AES256-SHA256"),
    (0x00a2, "DHE-DSS-AES128-GCM-SHA256"),
    (0x00a3, "DHE-DSS-AES256-GCM-SHA384"),
    (0x0032, "DHE-DSS-AES128-SHA"),
    (0x0038, "DHE-DSS-AES256-SHA"),
    (0x0040, "DHE-DSS-AES128-SHA256"),
    (0x006a, "DHE-DSS-AES256-SHA256"),
    (0x0045, "DHE-RSA-CAMELLIA128-SHA"),
    (0x0088, "DHE-RSA-CAMELLIA256-SHA"),
    (0x009c, "AES128-GCM-SHA256"),
    (0x009d, "AES256-GCM-SHA384"),
    (0xc09c, "AES128-CCM"),
    (0xc09d, "AES256-CCM"),
    (0xc0a0, "AES128-CCM8"),
    (0xc0a1, "AES256-CCM8"),
    (0x002f, "AES128-SHA"),
    (0x0035, "AES256-SHA"),
    (0x003c, "AES128-SHA256"),
    (0x003d, "AES256-SHA256"),
    (0x0041, "CAMELLIA128-SHA"),
    (0x0084, "CAMELLIA256-SHA"),
    (0x0005, "RC4-SHA"),
    (0x0004, "RC4-MD5"),
    (0x000a, "DES-CBC3-SHA"),
    (0xc008, "ECDHE-ECDSA-DES-CBC3-SHA"),
    (0xc012, "ECDHE-RSA-DES-CBC3-SHA"),
    (0x00ff, "TLS_EMPTY_RENEGOTIATION_INFO_SCSV"),
    (0x5600, "TLS_FALLBACK_SCSV"),
];

/// A suite's name.
pub fn suite(number: u16) -> Option<&'static str> {
    SUITES.iter().find(|(n, _)| *n == number).map(|(_, name)| *name)
}

/// A group's name.
pub fn group(number: u16) -> Option<&'static str> {
    Some(match number {
        23 => "prime256v1",
        24 => "secp384r1",
        25 => "secp521r1",
        22 => "secp256k1",
        21 => "secp224r1",
        19 => "prime192v1",
        26 => "brainpoolP256r1",
        27 => "brainpoolP384r1",
        28 => "brainpoolP512r1",
        29 => "X25519",
        30 => "X448",
        256 => "ffdhe2048",
        257 => "ffdhe3072",
        258 => "ffdhe4096",
        259 => "ffdhe6144",
        260 => "ffdhe8192",
        _ => return None,
    })
}

/// A version's name.
pub fn version(number: u16) -> &'static str {
    match number {
        0x0300 => "SSLv3",
        0x0301 => "TLSv1",
        0x0302 => "TLSv1.1",
        0x0303 => "TLSv1.2",
        0x0304 => "TLSv1.3",
        _ => "unknown",
    }
}

/// Numbers by name, those without one in hex, as nginx lists them.
pub fn list(numbers: impl Iterator<Item = u16>, name: impl Fn(u16) -> Option<&'static str>) -> String {
    let mut all = String::new();
    for number in numbers {
        if !all.is_empty() {
            all.push(':');
        }
        match name(number) {
            Some(name) => all.push_str(name),
            None => all.push_str(&format!("0x{number:04x}")),
        }
    }
    all
}

fn number(suite: &SupportedCipherSuite) -> u16 {
    u16::from(suite.suite())
}

/// rustls's suites of one version; in OpenSSL's order of strength.
pub fn all(tls13: bool) -> Vec<SupportedCipherSuite> {
    const ORDER: [u16; 9] = [
        0x1302, 0x1303, 0x1301, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc02b, 0xc02f,
    ];
    let mut suites: Vec<SupportedCipherSuite> = ALL_CIPHER_SUITES
        .iter()
        .copied()
        .filter(|s| s.tls13().is_some() == tls13)
        .collect();
    suites.sort_by_key(|s| ORDER.iter().position(|n| *n == number(s)));
    suites
}

/// The TLS 1.3 suites of a list of names (`Ciphersuites`).
///
/// # Errors
/// A name that is none: `no cipher match`.
pub fn suites13(list: &str) -> Result<Vec<SupportedCipherSuite>, &'static str> {
    let known = all(true);
    let names = list.split(':').map(str::trim).filter(|n| !n.is_empty());
    let mut chosen = Vec::new();
    for name in names {
        if !SUITES.iter().any(|(n, known)| *n >> 8 == 0x13 && *known == name) {
            return Err("no cipher match");
        }
        chosen.extend(known.iter().find(|s| suite(number(s)) == Some(name)).copied());
    }
    Ok(chosen)
}

/// The TLS 1.2 suites of a list in OpenSSL's language (`ssl_ciphers`).
///
/// # Errors
/// Nothing that rustls has is in it: `no cipher match`.
///
/// # Source
/// openssl-ciphers(1)
pub fn suites12(list: &str) -> Result<Vec<SupportedCipherSuite>, &'static str> {
    let known = all(false);
    let mut active: Vec<SupportedCipherSuite> = Vec::new();
    let mut killed: Vec<u16> = Vec::new();
    for item in list.split([':', ',', ' ', ';']).filter(|i| !i.is_empty()) {
        let (verb, what) = match item.as_bytes()[0] {
            b'!' | b'-' | b'+' => item.split_at(1),
            b'@' => continue,
            _ => ("", item),
        };
        let matching = |s: &SupportedCipherSuite| matches(number(s), what);
        match verb {
            "!" => {
                killed.extend(known.iter().filter(|s| matching(s)).map(number));
                active.retain(|s| !matching(s));
            }
            "-" => active.retain(|s| !matching(s)),
            "+" => {
                let (moved, kept): (Vec<_>, Vec<_>) = active.into_iter().partition(matching);
                active = kept;
                active.extend(moved);
            }
            _ => {
                let here: Vec<u16> = active.iter().map(number).collect();
                let new = known.iter().filter(|s| {
                    let n = number(s);
                    matching(s) && !here.contains(&n) && !killed.contains(&n)
                });
                active.extend(new.copied());
            }
        }
    }
    if active.is_empty() {
        return Err("no cipher match");
    }
    Ok(active)
}

/// Whether a suite is what a name, or several joined by `+`, stand for.
fn matches(number: u16, what: &str) -> bool {
    let Some(name) = suite(number) else { return false };
    if name == what {
        return true;
    }
    let ecdsa = name.contains("-ECDSA-");
    what.split('+').all(|word| match word {
        "ALL"
        | "DEFAULT"
        | "COMPLEMENTOFDEFAULT"
        | "HIGH"
        | "FIPS"
        | "TLSv1.2"
        | "kECDHE"
        | "kEECDH"
        | "ECDHE"
        | "EECDH"
        | "ECDH"
        | "AEAD" => word != "COMPLEMENTOFDEFAULT" && (word != "FIPS" || !name.contains("CHACHA")),
        "aECDSA" | "ECDSA" => ecdsa,
        "aRSA" | "RSA" => !ecdsa && word == "aRSA",
        "AES" => name.contains("-AES"),
        "AESGCM" => name.contains("-GCM-"),
        "AES128" => name.contains("-AES128-"),
        "AES256" => name.contains("-AES256-"),
        "CHACHA20" => name.contains("-CHACHA20-"),
        "SHA256" => name.ends_with("-SHA256"),
        "SHA384" => name.ends_with("-SHA384"),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn names(suites: &[SupportedCipherSuite]) -> Vec<&'static str> {
        suites.iter().map(|s| suite(number(s)).unwrap()).collect()
    }

    #[test]
    fn c07_every_suite_of_rustls_has_a_name() {
        assert_eq!(names(&all(true)).len(), 3);
        assert_eq!(names(&all(false)).len(), 6);
    }

    #[test]
    fn c07_lists_of_suites_as_openssl_reads_them() {
        let of = |list: &str| suites12(list).map(|s| names(&s));
        assert_eq!(
            of("ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:nonsense").unwrap(),
            ["ECDHE-RSA-AES128-GCM-SHA256"]
        );
        assert_eq!(of("HIGH:!aNULL:!MD5").unwrap().len(), 6);
        assert_eq!(
            of("ECDHE+AESGCM:!ECDSA").unwrap(),
            ["ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256"]
        );
        assert_eq!(
            of("!AES256:ALL:+CHACHA20:-aECDSA").unwrap(),
            ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-CHACHA20-POLY1305"]
        );
        assert_eq!(of("AES128-SHA"), Err("no cipher match"));
        assert_eq!(of(""), Err("no cipher match"));
        assert_eq!(
            suites13("TLS_AES_256_GCM_SHA384").map(|s| names(&s)),
            Ok(vec!["TLS_AES_256_GCM_SHA384"])
        );
        assert_eq!(suites13("AES"), Err("no cipher match"));
    }

    #[test]
    fn c07_lists_of_numbers_as_nginx_prints_them() {
        assert_eq!(
            list([0x1302, 0x0a0a].into_iter(), suite),
            "TLS_AES_256_GCM_SHA384:0x0a0a"
        );
        assert_eq!(
            list([29, 23, 0x11ec].into_iter(), group),
            "X25519:prime256v1:0x11ec"
        );
    }
}
