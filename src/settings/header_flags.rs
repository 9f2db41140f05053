//! `headers` and `headers_upstream`: which of Kong's own headers are sent.

/// One flag per header; all off by default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeaderFlags {
    /// The token `server_tokens` itself (with it come `server` and `via`).
    pub server_tokens: bool,
    /// The token `latency_tokens` itself (with it come the four latencies).
    pub latency_tokens: bool,
    /// `Server`
    pub server: bool,
    /// `Via`
    pub via: bool,
    /// `X-Kong-Proxy-Latency`
    pub proxy_latency: bool,
    /// `X-Kong-Upstream-Latency`
    pub upstream_latency: bool,
    /// `X-Kong-Response-Latency`
    pub response_latency: bool,
    /// `X-Kong-Admin-Latency`
    pub admin_latency: bool,
    /// `X-Kong-Upstream-Status`
    pub upstream_status: bool,
    /// `X-Kong-Request-Id`
    pub request_id: bool,
}

// === impl HeaderFlags ===

impl HeaderFlags {
    /// Every flag with the name `kong.configuration.enabled_headers` has it under.
    pub fn named(&self) -> [(&'static str, bool); 10] {
        [
            ("server_tokens", self.server_tokens),
            ("latency_tokens", self.latency_tokens),
            ("Via", self.via),
            ("Server", self.server),
            ("X-Kong-Proxy-Latency", self.proxy_latency),
            ("X-Kong-Response-Latency", self.response_latency),
            ("X-Kong-Admin-Latency", self.admin_latency),
            ("X-Kong-Upstream-Latency", self.upstream_latency),
            ("X-Kong-Upstream-Status", self.upstream_status),
            ("X-Kong-Request-Id", self.request_id),
        ]
    }

    /// Reads `headers`.
    pub(super) fn downstream(tokens: &[String], errors: &mut Vec<String>) -> Self {
        Self::parse("headers", tokens, errors, Self::set)
    }

    /// Reads `headers_upstream`, where only `X-Kong-Request-Id` exists.
    pub(super) fn upstream(tokens: &[String], errors: &mut Vec<String>) -> Self {
        Self::parse("headers_upstream", tokens, errors, |flags, name| {
            name == "x-kong-request-id" && flags.set(name)
        })
    }

    /// `off` counts alone and first only; anywhere else it is passed over, as Kong has it.
    fn parse(
        key: &str,
        tokens: &[String],
        errors: &mut Vec<String>,
        set: impl Fn(&mut Self, &str) -> bool,
    ) -> Self {
        let mut flags = Self::default();
        for token in tokens.iter().filter(|t| *t != "off") {
            if !set(&mut flags, &token.to_ascii_lowercase()) {
                errors.push(format!("{key}: invalid entry '{token}'"));
            }
        }
        match tokens.first() {
            Some(first) if first != "off" => flags,
            _ => Self::default(),
        }
    }

    fn set(&mut self, name: &str) -> bool {
        match name {
            "server_tokens" => {
                self.server_tokens = true;
                self.server = true;
                self.via = true;
            }
            "latency_tokens" => {
                self.latency_tokens = true;
                self.proxy_latency = true;
                self.upstream_latency = true;
                self.response_latency = true;
                self.admin_latency = true;
            }
            "server" => self.server = true,
            "via" => self.via = true,
            "x-kong-proxy-latency" => self.proxy_latency = true,
            "x-kong-upstream-latency" => self.upstream_latency = true,
            "x-kong-response-latency" => self.response_latency = true,
            "x-kong-admin-latency" => self.admin_latency = true,
            "x-kong-upstream-status" => self.upstream_status = true,
            "x-kong-request-id" => self.request_id = true,
            _ => return false,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::value::array;
    use super::*;

    #[test]
    fn a12_headers_groups_and_names() {
        let mut errors = Vec::new();
        let flags = HeaderFlags::downstream(&array("server_tokens, X-Kong-Upstream-Status"), &mut errors);
        assert!(flags.server && flags.via && flags.upstream_status);
        assert!(!flags.proxy_latency && !flags.request_id);
        let flags = HeaderFlags::downstream(&array("latency_tokens"), &mut errors);
        assert!(
            flags.proxy_latency && flags.upstream_latency && flags.response_latency && flags.admin_latency
        );
        assert_eq!(
            HeaderFlags::downstream(&array("off, via"), &mut errors),
            HeaderFlags::default()
        );
        assert!(HeaderFlags::downstream(&array("via, off"), &mut errors).via);
        assert!(errors.is_empty());
        HeaderFlags::downstream(&array("via, x-mine"), &mut errors);
        HeaderFlags::upstream(&array("via"), &mut errors);
        assert_eq!(
            errors,
            [
                "headers: invalid entry 'x-mine'",
                "headers_upstream: invalid entry 'via'"
            ]
        );
        assert!(HeaderFlags::upstream(&array("X-Kong-Request-Id"), &mut errors).request_id);
    }
}
