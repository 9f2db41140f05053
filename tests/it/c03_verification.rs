//! The judgement of certificates beside OpenSSL's own: same chains, same stores, same depth, same answer.

use std::process::Command;

use moongate::tls::trust::{TrustError, TrustStore};
use moongate::tls::verify::{Usage, judge};
use rustls::pki_types::{CertificateDer, UnixTime};

use crate::support::TempDir;
use crate::support::certs::{Ca, Cert, Kind, Leaf, pem};

/// A plain generator, the same on every run.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((self.0 >> 33) as usize) % sides.max(1)
    }
}

fn store(certs: &[Vec<u8>]) -> std::sync::Arc<TrustStore> {
    TrustStore::new(certs.iter().cloned().map(CertificateDer::from)).unwrap()
}

pub fn ours(trust: &[Vec<u8>], leaf: &[u8], sent: &[Vec<u8>], depth: u8, usage: Usage) -> Option<u16> {
    let sent: Vec<CertificateDer> = sent.iter().map(|c| CertificateDer::from(c.as_slice())).collect();
    let leaf = CertificateDer::from(leaf);
    judge(&store(trust), &leaf, &sent, depth, usage, UnixTime::now())
        .err()
        .map(|refusal| refusal.code)
}

/// The number that `openssl verify` says first; a callback that stops at the first error sees that one only.
pub fn theirs(
    dir: &TempDir,
    trust: &[Vec<u8>],
    leaf: &[u8],
    sent: &[Vec<u8>],
    depth: u8,
    usage: Usage,
) -> Option<u16> {
    let all = |certs: &[Vec<u8>]| certs.iter().map(|c| pem("CERTIFICATE", c)).collect::<String>();
    let trust = dir.write("trust.pem", &all(trust));
    let chain = dir.write("sent.pem", &all(sent));
    let leaf = dir.write("leaf.pem", &pem("CERTIFICATE", leaf));
    let purpose = match usage {
        Usage::Server => "sslserver",
        Usage::Client => "sslclient",
    };
    let mut command = Command::new("openssl");
    command.args(["verify", "-auth_level", "2", "-purpose", purpose]);
    command.args(["-no-CApath", "-no-CAstore", "-verify_depth", &depth.to_string()]);
    command.arg("-CAfile").arg(trust);
    if !sent.is_empty() {
        command.arg("-untrusted").arg(chain);
    }
    let out = command.arg(leaf).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout);
    let first = said
        .lines()
        .find_map(|l| l.strip_prefix("error ")?.split(' ').next()?.parse().ok());
    assert_eq!(
        first.is_none(),
        out.status.success() && said.contains(": OK"),
        "{said}"
    );
    first
}

struct Stock {
    roots: [Ca; 3],
    chains: Vec<Ca>,
    leaves: Vec<(String, Cert)>,
}

/// Roots (one good, one expired, one that nobody knows), intermediates, and leaves of every sort below them.
fn stock() -> Stock {
    let roots = [Ca::new("Root"), Ca::expired("Old Root"), Ca::new("Stranger")];
    let mut chains = Vec::new();
    let mut leaves: Vec<(String, Cert)> = Vec::new();
    for root in &roots[..2] {
        for n in 0..4 {
            let ca = root.below(n);
            let name = format!("{} {n}", root.cert.common_name());
            let sorts = [
                ("plain", Leaf::named("a.test")),
                ("expired", Leaf::named("a.test").expired()),
                ("not yet", Leaf::named("a.test").not_yet()),
                ("v1", Leaf::cn_only("a.test").v1()),
                ("client", Leaf::named("a.test").for_clients()),
                ("server", Leaf::named("a.test").for_servers()),
                ("p521", Leaf::named("a.test").kind(Kind::P521)),
                ("rsa", Leaf::named("a.test").kind(Kind::Rsa2048)),
                ("ed", Leaf::named("a.test").kind(Kind::Ed25519)),
            ];
            for (sort, leaf) in sorts {
                leaves.push((format!("{name} {sort}"), ca.issue(&leaf)));
            }
            leaves.push((format!("{name} ca"), ca.intermediate("a.test").cert));
            chains.push(ca);
        }
    }
    leaves.push(("self".into(), Leaf::named("a.test").self_signed()));
    leaves.push((
        "self expired".into(),
        Leaf::named("a.test").expired().self_signed(),
    ));
    leaves.push(("self v1".into(), Leaf::cn_only("a.test").v1().self_signed()));
    leaves.push(("self ca".into(), Ca::new("a.test").cert));
    Stock {
        roots,
        chains,
        leaves,
    }
}

#[test]
fn c03_a_thousand_chains_are_judged_as_openssl_judges_them() {
    let stock = stock();
    let dir = TempDir::new();
    let mut dice = Dice(7);
    let mut wrong = Vec::new();
    let mut answers = std::collections::BTreeMap::<Option<u16>, usize>::new();
    for _ in 0..1000 {
        let (name, leaf) = &stock.leaves[dice.roll(stock.leaves.len())];
        let root = match name.starts_with("Old") {
            true => &stock.roots[1],
            false => &stock.roots[0],
        };
        let mut sent = leaf.above.clone();
        let how = match dice.roll(9) {
            0 => {
                sent.clear();
                "nothing sent"
            }
            1 => {
                sent.reverse();
                "reversed"
            }
            2 => {
                sent.push(root.cert.der.clone());
                "with root"
            }
            3 => {
                sent.pop();
                "last missing"
            }
            4 => {
                sent.insert(0, stock.roots[2].cert.der.clone());
                sent.push(leaf.der.clone());
                "with others"
            }
            5 => {
                let more = &stock.chains[dice.roll(stock.chains.len())];
                sent.extend(more.cert.chain());
                "with another chain"
            }
            _ => "whole",
        };
        let (whom, trust) = match dice.roll(9) {
            0 => ("stranger", vec![stock.roots[2].cert.der.clone()]),
            1 => ("leaf", vec![leaf.der.clone(), stock.roots[2].cert.der.clone()]),
            2 if !leaf.above.is_empty() => ("intermediates", leaf.above.clone()),
            3 => (
                "all",
                [std::slice::from_ref(&root.cert.der), &leaf.above].concat(),
            ),
            4 => ("root and leaf", vec![root.cert.der.clone(), leaf.der.clone()]),
            _ => ("root", vec![root.cert.der.clone()]),
        };
        let depth = dice.roll(5) as u8;
        let usage = if dice.roll(4) == 0 {
            Usage::Client
        } else {
            Usage::Server
        };
        let ours = ours(&trust, &leaf.der, &sent, depth, usage);
        let theirs = theirs(&dir, &trust, &leaf.der, &sent, depth, usage);
        *answers.entry(theirs).or_default() += 1;
        if ours != theirs {
            wrong.push(format!(
                "{name}, {how}, trust {whom}, depth {depth}, {usage:?}: ours {ours:?}, openssl {theirs:?}"
            ));
        }
    }
    assert!(answers.len() >= 8, "{answers:?}");
    assert!(answers[&None] > 100, "{answers:?}");
    wrong.sort();
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn c03_trust_stores_are_sets() {
    let (a, b) = (Ca::new("A"), Ca::new("B"));
    let both = [a.cert.der.clone(), b.cert.der.clone()];
    let other_way = [b.cert.der.clone(), a.cert.der.clone(), b.cert.der.clone()];
    assert_eq!(store(&both), store(&other_way));
    assert_eq!(store(&both).fingerprint(), store(&other_way).fingerprint());
    assert_eq!(store(&other_way).certs().len(), 2);
    assert_ne!(store(&both), store(&both[..1]));
    let text = format!("# a\n{}\n{}", b.pem(), a.pem());
    assert_eq!(TrustStore::from_pem(text.as_bytes()).unwrap(), store(&both));
    assert_eq!(TrustStore::from_pem(b"").unwrap_err(), TrustError::Empty);
    let cut = &text.as_bytes()[..text.len() - 40];
    assert!(matches!(
        TrustStore::from_pem(cut),
        Err(TrustError::Unreadable(_))
    ));
    assert!(TrustStore::new([CertificateDer::from(b"junk".to_vec())]).is_err());
    assert_eq!(TrustStore::empty().certs().len(), 0);
    let leaf = a.issue(&Leaf::named("a.test"));
    assert_eq!(ours(&[], &leaf.der, &[], 9, Usage::Server), Some(20));
}

#[test]
fn c03_a_chain_that_is_long_and_entangled_is_judged_in_time() {
    // every one of these may have issued every other: they have one name and one key
    let root = Ca::new("Root");
    let ca = root.intermediate("Twin");
    let twins: Vec<Vec<u8>> = (0..60)
        .map(|_| ca.issue(&Leaf::cn_only("Twin").key(&ca.cert.key)).der)
        .collect();
    let leaf = ca.issue(&Leaf::named("a.test"));
    let begun = std::time::Instant::now();
    let judged = ours(&[Ca::new("Root").cert.der], &leaf.der, &twins, 9, Usage::Server);
    assert!(judged.is_some());
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}
