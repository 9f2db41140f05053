//! Why a try failed, and whether another may follow.
//!
//! Must not: count tries.

use std::io;
use std::time::Duration;

/// A failed try.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    /// The name has no address.
    #[error("{reason}")]
    Name {
        /// The name.
        host: String,
        /// The resolver's words.
        reason: String,
    },
    /// `connect()` failed.
    #[error("connect() failed ({0}) while connecting to upstream")]
    Connect(io::Error),
    /// Connecting took longer than the limit.
    #[error("upstream timed out (110: Connection timed out) while connecting to upstream")]
    ConnectTimeout(Duration),
    /// The TLS handshake failed.
    #[error("{0} while SSL handshaking to upstream")]
    Handshake(String),
    /// TCP and TLS together took longer than the limit.
    #[error("upstream timed out (110: Connection timed out) while SSL handshaking to upstream")]
    HandshakeTimeout(Duration),
    /// The identity that the configuration wants presented can't be.
    #[error("unable to apply upstream client TLS certificate {0}: {1}")]
    Identity(String, String),
    /// The upstream closed before any byte of a response.
    #[error("upstream prematurely closed connection while reading response header from upstream")]
    Closed {
        /// Whether the connection had served a request before: then it was merely stale.
        reused: bool,
        /// Whether any byte of the request was written.
        sent: bool,
    },
    /// TLS came to an end by an alert or a broken record before a response: so TLS 1.3 servers refuse clients'
    /// certificates.
    #[error("SSL_read() failed ({reason}) while reading response header from upstream")]
    Alert {
        /// In OpenSSL's words.
        reason: String,
        /// Whether the connection had served a request before.
        reused: bool,
        /// Whether any byte of the request was written.
        sent: bool,
    },
    /// The upstream took nothing of the request for too long.
    #[error("upstream timed out (110: Connection timed out) while sending request to upstream")]
    WriteTimeout(Duration),
    /// No response head within the limit.
    #[error("upstream timed out (110: Connection timed out) while reading response header from upstream")]
    ReadTimeout(Duration),
    /// What came is not an HTTP/1 response.
    #[error("upstream sent invalid header while reading response header from upstream ({0})")]
    Invalid(String),
    /// The client's body could not be read.
    #[error("reading client request body failed: {0}")]
    ClientBody(String),
    /// The client went silent in its body.
    #[error("client timed out (110: Connection timed out) while sending request to upstream")]
    ClientTimeout,
    /// A scheme that is not spoken yet.
    #[error("not supported: upstream scheme {0}")]
    Scheme(String),
}

impl From<crate::resolver::NameError> for AttemptError {
    fn from(e: crate::resolver::NameError) -> Self {
        Self::Name {
            host: String::new(),
            reason: e.to_string(),
        }
    }
}

impl AttemptError {
    /// A stale kept-alive connection: the next try is free, if the request may be sent again.
    pub fn is_stale(&self, idempotent: bool) -> bool {
        match self {
            Self::Closed { reused: true, sent }
            | Self::Alert {
                reused: true, sent, ..
            } => idempotent || !sent,
            _ => false,
        }
    }

    /// The status that nginx gives the try.
    pub fn status(&self) -> u16 {
        match self {
            Self::ConnectTimeout(_)
            | Self::HandshakeTimeout(_)
            | Self::WriteTimeout(_)
            | Self::ReadTimeout(_) => 504,
            _ => 502,
        }
    }

    /// Whether nginx's `proxy_next_upstream error timeout` would go on: not once a request that is not
    /// idempotent was sent.
    ///
    /// # Source
    /// ngx_http_upstream.c, `ngx_http_upstream_next`
    pub fn retryable(&self, idempotent: bool) -> bool {
        match self {
            Self::Name { .. }
            | Self::Connect(_)
            | Self::ConnectTimeout(_)
            | Self::Handshake(_)
            | Self::HandshakeTimeout(_) => true,
            Self::Closed { sent, .. } | Self::Alert { sent, .. } => idempotent || !sent,
            Self::ReadTimeout(_) | Self::WriteTimeout(_) => idempotent,
            Self::Invalid(_)
            | Self::ClientBody(_)
            | Self::ClientTimeout
            | Self::Scheme(_)
            | Self::Identity(..) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::AttemptError;

    #[test]
    fn a03_a_post_that_was_sent_is_not_sent_again() {
        let stale = |sent| AttemptError::Closed { reused: true, sent };
        assert!(stale(true).is_stale(true) && stale(false).is_stale(false));
        assert!(!stale(true).is_stale(false) && !stale(true).retryable(false));
        let fresh = AttemptError::Closed {
            reused: false,
            sent: true,
        };
        assert!(!fresh.is_stale(true) && fresh.retryable(true));
    }
}
