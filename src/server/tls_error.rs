//! OpenSSL's numbers and words for what goes wrong in a handshake, as nginx's log has them.
//!
//! Must not: log.

use std::borrow::Cow;

use crate::logs::Level;
use crate::proxy::handshake::Refused;
use crate::tls::server::ServerError;
use rustls::{AlertDescription, Error, InvalidMessage, PeerIncompatible, PeerMisbehaved};

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

/// OpenSSL's number and words.
pub(super) fn describe(error: &Error) -> (u16, Cow<'static, str>) {
    let known = |number, words: &'static str| (number, Cow::Borrowed(words));
    match error {
        Error::AlertReceived(alert) => received(*alert),
        Error::PeerIncompatible(why) => match why {
            PeerIncompatible::NoCipherSuitesInCommon => known(193, "no shared cipher"),
            PeerIncompatible::NoSignatureSchemesInCommon => known(118, "no suitable signature algorithm"),
            PeerIncompatible::NoKxGroupsInCommon | PeerIncompatible::NamedGroupsExtensionRequired => {
                known(101, "no suitable key share")
            }
            PeerIncompatible::KeyShareExtensionRequired => known(258, "missing key share"),
            PeerIncompatible::SignatureAlgorithmsExtensionRequired => known(112, "missing sigalgs extension"),
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::Tls13RequiredForQuic
            | PeerIncompatible::SupportedVersionsExtensionRequired => known(258, "unsupported protocol"),
            _ => known(193, "no shared cipher"),
        },
        Error::PeerMisbehaved(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme) => {
            known(370, "wrong signature type")
        }
        Error::PeerMisbehaved(_) => known(244, "unexpected message"),
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. } => {
            known(244, "unexpected message")
        }
        Error::InvalidMessage(InvalidMessage::MessageTooLarge) => known(198, "packet length too long"),
        Error::InvalidMessage(InvalidMessage::UnknownProtocolVersion) => known(267, "wrong version number"),
        Error::InvalidMessage(_) => known(137, "decode error"),
        Error::DecryptError => known(281, "decryption failed or bad record mac"),
        Error::PeerSentOversizedRecord => known(150, "encrypted length too long"),
        Error::NoApplicationProtocol => known(235, "no application protocol"),
        Error::InvalidCertificate(_) => known(123, "bad signature"),
        Error::General(words) => (159, Cow::Owned(words.clone())),
        other => (137, Cow::Owned(other.to_string())),
    }
}

fn received(alert: AlertDescription) -> (u16, Cow<'static, str>) {
    let number = u8::from(alert);
    let words = match number {
        10 => "ssl/tls alert unexpected message",
        20 => "ssl/tls alert bad record mac",
        40 => "ssl/tls alert handshake failure",
        42 => "ssl/tls alert bad certificate",
        43 => "ssl/tls alert unsupported certificate",
        44 => "ssl/tls alert certificate revoked",
        45 => "ssl/tls alert certificate expired",
        46 => "ssl/tls alert certificate unknown",
        47 => "ssl/tls alert illegal parameter",
        48 => "tlsv1 alert unknown ca",
        49 => "tlsv1 alert access denied",
        50 => "tlsv1 alert decode error",
        51 => "tlsv1 alert decrypt error",
        70 => "tlsv1 alert protocol version",
        71 => "tlsv1 alert insufficient security",
        80 => "tlsv1 alert internal error",
        90 => "tlsv1 alert user cancelled",
        _ => "tlsv1 alert",
    };
    (1000 + u16::from(number), Cow::Borrowed(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c07_errors_have_openssls_numbers_and_words() {
        let of = |e: Error| describe(&e).1.into_owned();
        assert_eq!(
            of(Error::AlertReceived(AlertDescription::UnknownCA)),
            "tlsv1 alert unknown ca"
        );
        assert_eq!(
            describe(&Error::AlertReceived(AlertDescription::UnknownCA)).0,
            1048
        );
        assert_eq!(
            of(PeerIncompatible::NoCipherSuitesInCommon.into()),
            "no shared cipher"
        );
        assert_eq!(of(Error::DecryptError), "decryption failed or bad record mac");
        assert_eq!(alert(80), [21, 3, 3, 0, 2, 2, 80]);
    }
}
