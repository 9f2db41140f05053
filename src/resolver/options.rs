//! What the settings say about names.
//!
//! Must not: read files.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::name;
use super::record::kind;
use crate::settings::Settings;

/// One step of `dns_order`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The kind that was found last time.
    Last,
    /// This kind.
    Kind(u16),
}

/// Which of Kong's two clients is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Client {
    /// `new_dns_client = off`
    Classic {
        /// `dns_order`
        order: Vec<Step>,
        /// `dns_no_sync`: every lookup asks by itself.
        no_sync: bool,
    },
    /// `new_dns_client = on`
    Modern {
        /// Whether `resolver_family` has SRV.
        srv: bool,
        /// Whether it has A.
        a: bool,
        /// Whether it has AAAA.
        aaaa: bool,
    },
}

/// The settings of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Whom it follows.
    pub client: Client,
    /// The servers; those of `resolv.conf` where there are none.
    pub servers: Vec<SocketAddr>,
    /// The hosts file.
    pub hosts_file: PathBuf,
    /// The system's configuration.
    pub resolv_conf: PathBuf,
    /// Takes the place of the answers' own time to live.
    pub valid_ttl: Option<Duration>,
    /// For how long after its time an answer is still served, while a new one is fetched.
    pub stale_ttl: Duration,
    /// How long it is remembered that there is no such name, or nothing for it.
    pub not_found_ttl: Duration,
    /// How long other errors are.
    pub error_ttl: Duration,
    /// How many answers are kept.
    pub cache_size: usize,
    /// `LOCALDOMAIN`
    pub localdomain: String,
    /// `RES_OPTIONS`
    pub res_options: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            client: Client::Classic {
                order: vec![
                    Step::Last,
                    Step::Kind(kind::SRV),
                    Step::Kind(kind::A),
                    Step::Kind(kind::CNAME),
                ],
                no_sync: false,
            },
            servers: Vec::new(),
            hosts_file: "/etc/hosts".into(),
            resolv_conf: "/etc/resolv.conf".into(),
            valid_ttl: None,
            stale_ttl: Duration::from_secs(3600),
            not_found_ttl: Duration::from_secs(30),
            error_ttl: Duration::from_secs(1),
            cache_size: 10_000,
            localdomain: String::new(),
            res_options: String::new(),
        }
    }
}

impl Options {
    /// Of the gateway's settings and of the process's environment.
    pub fn new(settings: &Settings) -> Self {
        let env = |key: &str| std::env::var(key).unwrap_or_default();
        let text = |key: &str| settings.get(key).unwrap_or_default();
        let seconds = |key: &str| {
            let number = text(key).parse::<f64>().ok()?;
            Duration::try_from_secs_f64(number.max(0.0)).ok()
        };
        let modern = text("new_dns_client") == "on";
        let key = |classic: &'static str, other: &'static str| if modern { other } else { classic };
        let known = Self::default();
        let error_ttl = seconds(key("dns_error_ttl", "resolver_error_ttl")).unwrap_or(known.error_ttl);
        let not_found = if modern {
            Some(error_ttl)
        } else {
            seconds("dns_not_found_ttl")
        };
        let size = text(key("dns_cache_size", "resolver_lru_cache_size")).parse::<f64>();
        Self {
            client: if modern {
                modern_client(&settings.array("resolver_family"))
            } else {
                classic_client(&settings.array("dns_order"), text("dns_no_sync") == "on")
            },
            servers: settings
                .array(key("dns_resolver", "resolver_address"))
                .iter()
                .filter_map(|s| name::server(s))
                .collect(),
            hosts_file: text(key("dns_hostsfile", "resolver_hosts_file")).into(),
            valid_ttl: seconds(key("dns_valid_ttl", "resolver_valid_ttl")),
            stale_ttl: seconds(key("dns_stale_ttl", "resolver_stale_ttl")).unwrap_or(known.stale_ttl),
            not_found_ttl: not_found.unwrap_or(known.not_found_ttl),
            error_ttl,
            cache_size: size.map_or(known.cache_size, |n| (n as usize).clamp(1, 10_000_000)),
            localdomain: env("LOCALDOMAIN"),
            res_options: env("RES_OPTIONS"),
            ..known
        }
    }
}

fn classic_client(order: &[String], no_sync: bool) -> Client {
    let step = |text: &String| match text.to_ascii_uppercase().as_str() {
        "LAST" => Some(Step::Last),
        "SRV" => Some(Step::Kind(kind::SRV)),
        "A" => Some(Step::Kind(kind::A)),
        "AAAA" => Some(Step::Kind(kind::AAAA)),
        "CNAME" => Some(Step::Kind(kind::CNAME)),
        _ => None,
    };
    Client::Classic {
        order: order.iter().filter_map(step).collect(),
        no_sync,
    }
}

fn modern_client(family: &[String]) -> Client {
    let has = |kind: &str| family.iter().any(|f| f.eq_ignore_ascii_case(kind));
    Client::Modern {
        srv: has("SRV"),
        a: has("A"),
        aaaa: has("AAAA"),
    }
}
