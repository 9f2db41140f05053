//! OpenSSL's numbers and words for what goes wrong in a handshake, as logs have them.
//!
//! Must not: log.

use std::borrow::Cow;

use rustls::{AlertDescription, Error, InvalidMessage, PeerIncompatible, PeerMisbehaved};

/// OpenSSL's number of a reason (behind `0A000000`), and its words.
pub fn describe(error: &Error) -> (u16, Cow<'static, str>) {
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
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => known(267, "wrong version number"),
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
    }
}
