//! What goes wrong in a client's handshake, as nginx's log has it: OpenSSL's numbers, and how grave they are.
//!
//! Must not: log.

use crate::logs::Level;
use crate::proxy::handshake::Refused;
use crate::tls::server::ServerError;

/// A fatal alert, as a record.
pub(super) fn alert(description: u8) -> [u8; 7] {
    [21, 3, 3, 0, 2, 2, description]
}

/// The number and the alert of what is wrong with a ClientHello.
pub(super) fn of_hello(why: &str) -> (u16, u8) {
    match why {
        "excessive message size" => (152, 47),
        "wrong version number" => (267, 70),
        "packet length too long" => (198, 22),
        "unexpected message" => (244, 10),
        _ => (159, 50),
    }
}

/// Reasons that nginx takes for a client's and not for the server's.
const CLIENTS: &[u16] = &[
    101, 102, 103, 108, 110, 111, 112, 115, 118, 122, 129, 133, 137, 145, 146, 149, 150, 151, 152, 154, 155,
    156, 159, 160, 182, 183, 186, 187, 191, 193, 198, 205, 213, 220, 226, 227, 234, 235, 244, 245, 246, 252,
    253, 256, 258, 266, 267, 270, 271, 281, 291, 292, 293, 298, 300, 306, 313, 335, 336, 337, 338, 345, 373,
    376, 377, 396, 409, 443,
];

/// How grave nginx takes a reason.
///
/// # Source
/// `ngx_ssl_connection_error`
pub(super) fn level(number: u16) -> Level {
    match CLIENTS.contains(&number) || number >= 1000 {
        true => Level::Info,
        false => Level::Crit,
    }
}

/// The number, words and alert of a handshake that is refused before rustls sees it.
pub(super) fn of_refusal(refused: &Refused) -> (u16, &'static str, u8) {
    match refused {
        Refused::Handler => (377, "cert cb error", 80),
        Refused::Config(ServerError::NoVersions) => (258, "unsupported protocol", 70),
        Refused::Config(_) => (118, "no suitable signature algorithm", 40),
    }
}

#[cfg(test)]
mod tests {
    use super::alert;

    #[test]
    fn c07_alerts_are_records() {
        assert_eq!(alert(80), [21, 3, 3, 0, 2, 2, 80]);
    }
}
