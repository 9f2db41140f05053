//! `*_listen`: addresses with their flags.

use std::net::{SocketAddr, ToSocketAddrs};

/// One address to listen on.
///
/// # Source
/// Kong 3.10 `kong.conf.default` (`proxy_listen`); nginx's `listen` directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Where to bind.
    pub addr: SocketAddr,
    /// The host as written; IPv6 in brackets.
    pub host: String,
    /// TLS.
    pub ssl: bool,
    /// HTTP/2, with or without TLS.
    pub http2: bool,
    /// A PROXY protocol header comes first.
    pub proxy_protocol: bool,
    /// Accept only once data has come.
    pub deferred: bool,
    /// nginx's `bind`: a socket of its own for this address; always the case here.
    pub bind: bool,
    /// Each worker binds a socket of its own.
    pub reuseport: bool,
    /// The length of the queue of connections not yet accepted.
    pub backlog: Option<u32>,
    /// `ipv6only=on|off`
    pub ipv6only: Option<bool>,
    /// What `so_keepalive=` was given.
    pub so_keepalive: Option<String>,
}

const USAGE: &str = "must be of form: [off] | <ip>:<port> [ssl] [http2] [proxy_protocol] [deferred] [bind] \
                     [reuseport] [backlog=%d+] [ipv6only=on] [ipv6only=off] [so_keepalive=on] [so_keepalive=off] \
                     [so_keepalive=%w*:%w*:%d*], [... next entry ...]";

// === impl Listen ===

impl Listen {
    /// Kong's own text of a listener: address, then flags (`http2` left out, as nginx deprecates it there).
    pub fn listener(&self) -> String {
        let mut text = format!("{}:{}", self.host, self.addr.port());
        let flags = [
            (self.ssl, "ssl"),
            (self.proxy_protocol, "proxy_protocol"),
            (self.deferred, "deferred"),
            (self.bind, "bind"),
            (self.reuseport, "reuseport"),
        ];
        for (_, name) in flags.iter().filter(|(set, _)| *set) {
            text.push(' ');
            text.push_str(name);
        }
        if let Some(backlog) = self.backlog {
            text.push_str(&format!(" backlog={backlog}"));
        }
        if let Some(only) = self.ipv6only {
            text.push_str(if only { " ipv6only=on" } else { " ipv6only=off" });
        }
        if let Some(keepalive) = &self.so_keepalive {
            text.push_str(&format!(" so_keepalive={keepalive}"));
        }
        text
    }
}

/// Reads the entries of `key`; `off` first gives none.
pub(super) fn parse(key: &str, entries: &[String]) -> Result<Vec<Listen>, String> {
    let usage = || format!("{key} {USAGE}");
    if entries.first().ok_or_else(usage)? == "off" {
        return Ok(Vec::new());
    }
    let mut list = Vec::new();
    for entry in entries {
        list.extend(parse_entry(entry).ok_or_else(usage)?);
    }
    Ok(list)
}

/// One entry; a name listens on every address it has.
fn parse_entry(entry: &str) -> Option<Vec<Listen>> {
    let mut words = entry.split_whitespace();
    let mut flags = Flags::default();
    // Kong takes the flags from anywhere around the address.
    let mut address = None;
    for word in words.by_ref() {
        if !flags.take(word) && address.replace(word).is_some() {
            return None;
        }
    }
    let address = address?;
    let (host, port) = address.rsplit_once(':')?;
    let port: u16 = port
        .parse()
        .ok()
        .filter(|_| port.bytes().all(|b| b.is_ascii_digit()))?;
    if port == 0 || host.is_empty() || host.starts_with("unix") {
        return None;
    }
    let mut addrs: Vec<SocketAddr> = (host.trim_start_matches('[').trim_end_matches(']'), port)
        .to_socket_addrs()
        .ok()?
        .collect();
    addrs.dedup();
    Some(addrs.into_iter().map(|addr| flags.listen(addr, host)).collect())
}

#[derive(Debug, Default)]
struct Flags {
    ssl: bool,
    http2: bool,
    proxy_protocol: bool,
    deferred: bool,
    bind: bool,
    reuseport: bool,
    backlog: Option<u32>,
    ipv6only: Option<bool>,
    so_keepalive: Option<String>,
}

// === impl Flags ===

impl Flags {
    fn take(&mut self, word: &str) -> bool {
        match word {
            "ssl" => self.ssl = true,
            "http2" => self.http2 = true,
            "proxy_protocol" => self.proxy_protocol = true,
            "deferred" => self.deferred = true,
            "bind" => self.bind = true,
            "reuseport" => self.reuseport = true,
            "ipv6only=on" => self.ipv6only = Some(true),
            "ipv6only=off" => self.ipv6only = Some(false),
            other => return self.take_valued(other),
        }
        true
    }

    fn take_valued(&mut self, word: &str) -> bool {
        if let Some(backlog) = word.strip_prefix("backlog=").and_then(|v| v.parse().ok()) {
            self.backlog = Some(backlog);
            return true;
        }
        match word.strip_prefix("so_keepalive=") {
            Some(value) if value == "on" || value == "off" || value.split(':').count() == 3 => {
                self.so_keepalive = Some(value.to_owned());
                true
            }
            _ => false,
        }
    }

    fn listen(&self, addr: SocketAddr, host: &str) -> Listen {
        Listen {
            addr,
            host: host.to_owned(),
            ssl: self.ssl,
            http2: self.http2,
            proxy_protocol: self.proxy_protocol,
            deferred: self.deferred,
            bind: self.bind,
            reuseport: self.reuseport,
            backlog: self.backlog,
            ipv6only: self.ipv6only,
            so_keepalive: self.so_keepalive.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::value::array;
    use super::*;

    #[test]
    fn a12_listeners_with_flags() {
        let list = parse(
            "proxy_listen",
            &array("0.0.0.0:8000 reuseport backlog=16384, [::1]:8443 http2 ssl so_keepalive=30m::10"),
        )
        .unwrap();
        assert_eq!(list.len(), 2);
        assert_eq!(list[0].addr, "0.0.0.0:8000".parse().unwrap());
        assert!(list[0].reuseport && !list[0].ssl && !list[0].http2);
        assert_eq!(list[0].backlog, Some(16384));
        assert_eq!(list[0].listener(), "0.0.0.0:8000 reuseport backlog=16384");
        assert_eq!(list[1].addr, "[::1]:8443".parse().unwrap());
        assert!(list[1].ssl && list[1].http2);
        assert_eq!(list[1].host, "[::1]");
        assert_eq!(list[1].listener(), "[::1]:8443 ssl so_keepalive=30m::10");
    }

    #[test]
    fn a12_listen_off_and_wrong() {
        assert_eq!(parse("admin_listen", &array("off")).unwrap(), vec![]);
        assert_eq!(parse("admin_listen", &array("off, 127.0.0.1:1")).unwrap(), vec![]);
        for wrong in [
            "",
            "8000",
            "127.0.0.1",
            "127.0.0.1:8000 nonsense",
            "127.0.0.1:99999",
            "unix:/tmp/x:1",
            "127.0.0.1:+80",
        ] {
            let err = parse("admin_listen", &array(wrong)).unwrap_err();
            assert!(
                err.starts_with("admin_listen must be of form: [off] | <ip>:<port> [ssl]"),
                "{wrong}: {err}"
            );
        }
    }

    #[test]
    fn a12_listen_on_a_name() {
        let list = parse("proxy_listen", &array("localhost:9000")).unwrap();
        assert!(list.iter().any(|l| l.addr.ip().is_loopback()));
        assert!(list.iter().all(|l| l.host == "localhost"));
    }
}
