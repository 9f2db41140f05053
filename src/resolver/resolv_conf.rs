//! `resolv.conf` and the two variables that change what it says.
//!
//! Must not: read files or the environment.

use std::net::SocketAddr;
use std::time::Duration;

use super::name;

/// How many `nameserver` lines count.
const MAX_SERVERS: usize = 3;
/// How many domains of a `search` line count.
const MAX_SEARCH: usize = 6;
/// lua-resty-dns's own time limit.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);

/// What there is to know before a server is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvConf {
    /// The servers, at most three.
    pub servers: Vec<SocketAddr>,
    /// The domains that a name is looked up in, in lower case.
    pub search: Vec<String>,
    /// A name with fewer dots is looked up in the domains first.
    pub ndots: usize,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How many attempts there are, all servers taken together.
    pub attempts: u32,
    /// Whether the first server is picked at random.
    pub rotate: bool,
}

impl Default for ResolvConf {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: DEFAULT_TIMEOUT,
            attempts: 5,
            rotate: false,
        }
    }
}

impl ResolvConf {
    /// Reads the text of the file, then what `LOCALDOMAIN` and `RES_OPTIONS` say (empty for unset).
    ///
    /// # Source
    /// `kong/resty/dns/utils.lua`, `parseResolvConf`, `applyEnv`; resolv.conf(5)
    pub fn parse(text: &[u8], localdomain: &str, res_options: &str) -> Self {
        let mut conf = Self::default();
        for line in text.split(|b| *b == b'\n') {
            let data = line
                .split(|b| *b == b'#' || *b == b';')
                .next()
                .unwrap_or_default();
            let Ok(data) = std::str::from_utf8(data) else {
                continue;
            };
            let mut words = data.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => conf.server(words.next().unwrap_or_default()),
                // of domain and search, the last one counts
                Some("domain") => {
                    conf.search = words.next().map(str::to_ascii_lowercase).into_iter().collect()
                }
                Some("search") => {
                    conf.search = words.take(MAX_SEARCH).map(str::to_ascii_lowercase).collect();
                }
                Some("options") => words.for_each(|option| conf.option(option)),
                _ => {}
            }
        }
        if !localdomain.trim().is_empty() {
            conf.search = localdomain
                .split_ascii_whitespace()
                .take(MAX_SEARCH)
                .map(str::to_ascii_lowercase)
                .collect();
        }
        res_options
            .split_ascii_whitespace()
            .for_each(|option| conf.option(option));
        conf.search.retain(|domain| domain != ".");
        conf
    }

    fn server(&mut self, text: &str) {
        // an address with a scope (fe80::1%eth0) is none for us either
        if self.servers.len() < MAX_SERVERS
            && let Some(server) = name::server(text)
        {
            self.servers.push(server);
        }
    }

    fn option(&mut self, option: &str) {
        let (key, value) = option.split_once(':').unwrap_or((option, ""));
        let number = value.parse::<u32>().ok();
        match (key, number) {
            ("rotate", _) if value.is_empty() => self.rotate = true,
            // the bounds are those of the C library
            ("ndots", Some(n)) => self.ndots = n.min(15) as usize,
            ("timeout", Some(0)) => self.timeout = DEFAULT_TIMEOUT,
            ("timeout", Some(n)) => self.timeout = Duration::from_secs(u64::from(n.min(30))),
            ("attempts", Some(n)) => self.attempts = n.clamp(1, 15),
            _ => {}
        }
    }

    /// The names to ask for, in order, when `name` is wanted.
    ///
    /// # Source
    /// `kong/resty/dns/client.lua`, `search_iter`: below `ndots` the domains come first and the bare name last,
    /// else the bare name comes first.
    pub fn candidates(&self, name: &str, defined: bool) -> Vec<String> {
        if name.ends_with('.') || self.search.is_empty() {
            return vec![name.to_owned()];
        }
        let mut all: Vec<String> = self
            .search
            .iter()
            .map(|domain| format!("{name}.{domain}"))
            .collect();
        let at = if self.below_ndots(name) && !defined {
            all.len()
        } else {
            0
        };
        all.insert(at, name.to_owned());
        all
    }

    /// Whether a name has fewer dots than make it complete.
    pub fn below_ndots(&self, name: &str) -> bool {
        name.bytes().filter(|b| *b == b'.').count() < self.ndots
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TEXT: &[u8] = b"# this is just a comment line\n\
        ; and another\n\
        nameserver 10.0.0.1 # ours\n\
        nameserver 10.0.0.2:5353\n\
        nameserver fe80::1%eth0\n\
        nameserver [::1]:54\n\
        nameserver 10.0.0.4\n\
        domain first.example\n\
        search One.example two.example . 3 4 5 6 7\n\
        sortlist 130.155.160.0/255.255.240.0\n\
        options ndots:2 timeout:3 attempts:4 rotate\n\
        options debug junk:x timeout\n\xff\xff\n";

    #[test]
    fn c05_resolv_conf_says_whom_and_how_to_ask() {
        let conf = ResolvConf::parse(TEXT, "", "");
        let servers: Vec<String> = conf.servers.iter().map(ToString::to_string).collect();
        assert_eq!(servers, ["10.0.0.1:53", "10.0.0.2:5353", "[::1]:54"]);
        assert_eq!(conf.search, ["one.example", "two.example", "3", "4", "5"]);
        assert_eq!((conf.ndots, conf.attempts, conf.rotate), (2, 4, true));
        assert_eq!(conf.timeout, Duration::from_secs(3));
        let last = ResolvConf::parse(b"search a b\ndomain c.example\n", "", "");
        assert_eq!(last.search, ["c.example"]);
        assert_eq!(ResolvConf::parse(b"\x00\n", "", ""), ResolvConf::default());
    }

    #[test]
    fn c05_the_environment_has_the_last_word() {
        let conf = ResolvConf::parse(
            TEXT,
            "Domain1.example domain2.example",
            "ndots:3 timeout:0 attempts:900000 bad",
        );
        assert_eq!(conf.search, ["domain1.example", "domain2.example"]);
        assert_eq!((conf.ndots, conf.attempts, conf.rotate), (3, 15, true));
        assert_eq!(conf.timeout, Duration::from_secs(2));
    }

    #[test]
    fn c05_search_domains_come_before_or_after_the_bare_name() {
        let conf = ResolvConf::parse(b"search a.example b.example\noptions ndots:2", "", "");
        assert_eq!(
            conf.candidates("x.y", false),
            ["x.y.a.example", "x.y.b.example", "x.y"]
        );
        assert_eq!(
            conf.candidates("x.y", true),
            ["x.y", "x.y.a.example", "x.y.b.example"]
        );
        assert_eq!(conf.candidates("x.y.z", false)[0], "x.y.z");
        assert_eq!(conf.candidates("x.", false), ["x."]);
        assert_eq!(ResolvConf::default().candidates("x", false), ["x"]);
    }
}
