//! What can go wrong with a request, and the one table that says what the client and the log are told.
//!
//! Must not: render bodies (`exchange::error_body` does).

use crate::exchange::Phase;
use crate::logs::Level;
use crate::net::head::HeadFault;
use crate::upstream::AttemptError;
use crate::vm;

/// A fault.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The guard refused the head.
    #[error("client sent invalid request: {}", .0.reason)]
    Head(Box<HeadFault>),
    /// The client speaks plain HTTP where TLS is spoken.
    #[error("client sent plain HTTP request to HTTPS port")]
    PlainOnTls,
    /// No route.
    #[error("no Route matched with those values")]
    NoRoute,
    /// A route for https only, asked by http.
    #[error("Please use HTTPS protocol")]
    HttpsRequired(u16),
    /// A route without a service, and no plugin answered or chose a target.
    #[error("no Service found with those values")]
    NoService,
    /// Larger than `client_max_body_size`.
    #[error("client intended to send too large body")]
    BodyTooLarge,
    /// The client closed in the middle of its body.
    #[error("client prematurely closed connection")]
    ClientGone,
    /// The client stopped sending its body.
    #[error("client timed out (110: Connection timed out) while reading client request body")]
    ClientTimeout,
    /// The client's body broke off or was badly framed.
    #[error("client sent an invalid body: {0}")]
    ClientBody(String),
    /// The upstream failed.
    #[error("{0}")]
    Upstream(#[from] AttemptError),
    /// An Upstream without a usable target.
    #[error("failure to get a peer from the ring-balancer")]
    NoPeer,
    /// A plugin's function did not let another try follow.
    #[error("failure to get a peer from retry handler")]
    RetryRefused,
    /// An internal redirect that leads nowhere.
    #[error("{0}")]
    Redirect(String),
    /// A handler failed.
    #[error("{1}")]
    Handler(Phase, vm::Fault),
    /// The upstream's body is larger than may be buffered, or broke off.
    #[error("buffering the upstream's response failed: {0}")]
    Buffering(String),
}

/// What follows from a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// The status.
    pub status: u16,
    /// The message if it is not the status's usual one.
    pub message: Option<&'static str>,
    /// How grave the log line is; None for no line.
    pub level: Option<Level>,
    /// Whether the connection closes.
    pub close: bool,
}

impl Fault {
    /// What the client is told where that depends on more than the kind of fault.
    ///
    /// # Source
    /// `kong/runloop/handler.lua`, `balancer_execute`
    pub fn own_message(&self) -> Option<String> {
        match self {
            Fault::Upstream(AttemptError::Name { host, why }) if !why.not_found() => Some(format!(
                "failed the initial dns/balancer resolve for '{host}' with: {}",
                why.reason
            )),
            _ => None,
        }
    }

    /// The table.
    pub fn verdict(&self) -> Verdict {
        let v = |status, message, level, close| Verdict {
            status,
            message,
            level,
            close,
        };
        match self {
            Fault::Head(f) => v(f.status, None, Some(Level::Info), true),
            Fault::PlainOnTls => v(400, None, Some(Level::Info), true),
            Fault::NoRoute => v(404, Some("no Route matched with those values"), None, false),
            Fault::HttpsRequired(status) => v(*status, Some("Please use HTTPS protocol"), None, false),
            Fault::NoService => v(
                503,
                Some("no Service found with those values"),
                Some(Level::Warn),
                false,
            ),
            Fault::BodyTooLarge => v(413, None, Some(Level::Error), true),
            Fault::ClientGone => v(499, None, Some(Level::Info), true),
            Fault::ClientTimeout => v(408, None, Some(Level::Info), true),
            Fault::ClientBody(_) => v(400, None, Some(Level::Info), true),
            Fault::Upstream(AttemptError::Name { why, .. }) if !why.not_found() => {
                v(500, None, Some(Level::Error), false)
            }
            Fault::Upstream(AttemptError::Name { .. }) => {
                v(503, Some("name resolution failed"), Some(Level::Error), false)
            }
            Fault::Upstream(AttemptError::ClientTimeout) => v(408, None, Some(Level::Info), true),
            Fault::Upstream(AttemptError::ClientBody(_)) => v(400, None, Some(Level::Info), true),
            Fault::Upstream(e) => v(e.status(), None, Some(Level::Error), false),
            Fault::Buffering(_) => v(502, None, Some(Level::Error), false),
            Fault::NoPeer => v(
                503,
                Some("failure to get a peer from the ring-balancer"),
                Some(Level::Error),
                false,
            ),
            Fault::RetryRefused => v(
                503,
                Some("failure to get a peer from retry handler"),
                Some(Level::Error),
                false,
            ),
            Fault::Redirect(_) => v(500, None, Some(Level::Error), false),
            Fault::Handler(..) => v(
                500,
                Some("An unexpected error occurred"),
                Some(Level::Error),
                false,
            ),
        }
    }
}
