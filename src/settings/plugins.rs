//! `plugins`: which plugins may be configured.

/// The plugins Kong 3.10 comes with, in its order.
pub const BUNDLED_PLUGINS: &[&str] = &[
    "jwt",
    "acl",
    "correlation-id",
    "cors",
    "oauth2",
    "tcp-log",
    "udp-log",
    "file-log",
    "http-log",
    "key-auth",
    "hmac-auth",
    "basic-auth",
    "ip-restriction",
    "request-transformer",
    "response-transformer",
    "request-size-limiting",
    "rate-limiting",
    "response-ratelimiting",
    "syslog",
    "loggly",
    "datadog",
    "ldap-auth",
    "statsd",
    "bot-detection",
    "aws-lambda",
    "request-termination",
    "prometheus",
    "proxy-cache",
    "session",
    "acme",
    "grpc-gateway",
    "grpc-web",
    "pre-function",
    "post-function",
    "azure-functions",
    "zipkin",
    "opentelemetry",
    "ai-proxy",
    "ai-prompt-decorator",
    "ai-prompt-template",
    "ai-prompt-guard",
    "ai-request-transformer",
    "ai-response-transformer",
    "standard-webhooks",
    "redirect",
];

/// `plugins` as written: `bundled`, names, or `off`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PluginList {
    /// `bundled` is among the entries.
    pub bundled: bool,
    /// The names given beside it, in order, each once.
    pub names: Vec<String>,
}

// === impl PluginList ===

impl PluginList {
    /// The names of all enabled plugins: the bundled ones first, then those named, each once.
    pub fn enabled(&self) -> Vec<&str> {
        let bundled: &[&str] = if self.bundled { BUNDLED_PLUGINS } else { &[] };
        let named = self
            .names
            .iter()
            .map(String::as_str)
            .filter(|name| !bundled.contains(name));
        bundled.iter().copied().chain(named).collect()
    }

    /// Whether `name` is enabled.
    pub fn contains(&self, name: &str) -> bool {
        self.names.iter().any(|n| n == name) || (self.bundled && BUNDLED_PLUGINS.contains(&name))
    }

    /// `off` as the first entry is none at all; further on it is passed over, as Kong has it.
    pub(super) fn parse(entries: &[String]) -> Self {
        let mut list = Self::default();
        if entries.first().is_none_or(|first| first == "off") {
            return list;
        }
        for entry in entries {
            match entry.as_str() {
                "off" => {}
                "bundled" => list.bundled = true,
                name if list.names.iter().any(|n| n == name) => {}
                name => list.names.push(name.to_owned()),
            }
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::super::value::array;
    use super::*;

    #[test]
    fn a12_plugins_bundled_names_off() {
        assert_eq!(BUNDLED_PLUGINS.len(), 45);
        let list = PluginList::parse(&array("bundled, myplugin, cors, myplugin"));
        assert_eq!(list.names, ["myplugin", "cors"]);
        assert_eq!(list.enabled().len(), 46);
        assert_eq!(list.enabled().last(), Some(&"myplugin"));
        assert!(list.contains("jwt") && list.contains("myplugin") && !list.contains("other"));
        assert_eq!(PluginList::parse(&array("off, cors")), PluginList::default());
        assert_eq!(PluginList::parse(&array("b, a")).enabled(), ["b", "a"]);
        assert!(!PluginList::parse(&array("b, a")).contains("jwt"));
    }
}
