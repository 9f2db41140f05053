//! Why a handshake failed, in nginx's and OpenSSL's words.
//!
//! Must not: decide what follows.

use std::io;

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

use super::error::system_words;
use super::plan::TlsName;

/// What nginx writes before ` while SSL handshaking to upstream`.
pub fn reason(e: &io::Error, name: &TlsName) -> String {
    let tls = e.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match (tls, e.kind()) {
        (Some(Error::InvalidCertificate(why)), _) => {
            let words = certificate_words(why);
            if words.starts_with("(62:") || words.starts_with("(64:") {
                does_not_match(&name.text())
            } else {
                format!("upstream SSL certificate verify error: {words}")
            }
        }
        (Some(tls), _) => format!("SSL_do_handshake() failed ({})", tls_words(tls)),
        (None, io::ErrorKind::UnexpectedEof) => "peer closed connection in SSL handshake".to_owned(),
        (None, io::ErrorKind::ConnectionReset) => {
            format!("peer closed connection in SSL handshake ({})", system_words(e))
        }
        (None, _) => format!("SSL_do_handshake() failed ({})", system_words(e)),
    }
}

/// What failed in reading, where it is more than the peer's having closed.
pub fn read_failure(e: &io::Error) -> Option<String> {
    match e.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(tls) => Some(format!("SSL_read() failed ({})", tls_words(tls))),
        None if e.raw_os_error().is_some() => Some(format!("recv() failed ({})", system_words(e))),
        None => None,
    }
}

/// nginx's words for a certificate of another name.
pub fn does_not_match(name: &str) -> String {
    format!("upstream SSL certificate does not match \"{name}\"")
}

fn certificate_words(why: &CertificateError) -> String {
    match why {
        // the verifier's own, in OpenSSL's words
        CertificateError::Other(own) => own.0.to_string(),
        CertificateError::BadSignature => "(7:certificate signature failure)".to_owned(),
        other => format!("(1:{other})"),
    }
}

/// OpenSSL's words for an error of the TLS layer, where it has them.
pub fn tls_words(e: &Error) -> String {
    match e {
        Error::AlertReceived(alert) => alert_words(*alert),
        Error::InvalidMessage(
            InvalidMessage::InvalidContentType
            | InvalidMessage::UnknownProtocolVersion
            | InvalidMessage::MessageTooLarge
            | InvalidMessage::InvalidEmptyPayload,
        ) => "SSL: error:0A00010B:SSL routines::wrong version number".to_owned(),
        Error::PeerIncompatible(why) => {
            format!("SSL: error:0A000102:SSL routines::unsupported protocol: {why:?}")
        }
        Error::InvalidCertificate(why) => certificate_words(why),
        other => format!("SSL: {other}"),
    }
}

/// OpenSSL numbers the alerts it is sent from 1000 on, and says which protocol each came with.
fn alert_words(alert: AlertDescription) -> String {
    let number = u8::from(alert);
    let code = 1000 + u32::from(number);
    let words = match number {
        0 => "sslv3 alert close notify",
        10 => "sslv3 alert unexpected message",
        20 => "sslv3 alert bad record mac",
        21 => "tlsv1 alert decryption failed",
        22 => "tlsv1 alert record overflow",
        30 => "sslv3 alert decompression failure",
        40 => "sslv3 alert handshake failure",
        41 => "sslv3 alert no certificate",
        42 => "sslv3 alert bad certificate",
        43 => "sslv3 alert unsupported certificate",
        44 => "sslv3 alert certificate revoked",
        45 => "sslv3 alert certificate expired",
        46 => "sslv3 alert certificate unknown",
        47 => "sslv3 alert illegal parameter",
        48 => "tlsv1 alert unknown ca",
        49 => "tlsv1 alert access denied",
        50 => "tlsv1 alert decode error",
        51 => "tlsv1 alert decrypt error",
        70 => "tlsv1 alert protocol version",
        71 => "tlsv1 alert insufficient security",
        80 => "tlsv1 alert internal error",
        86 => "tlsv1 alert inappropriate fallback",
        90 => "tlsv1 alert user cancelled",
        109 => "tlsv13 alert missing extension",
        110 => "tlsv1 unsupported extension",
        112 => "tlsv1 unrecognized name",
        116 => "tlsv13 alert certificate required",
        120 => "tlsv1 alert no application protocol",
        _ => "tlsv1 alert",
    };
    format!("SSL: error:0A{code:06X}:SSL routines::{words}:SSL alert number {number}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c03_alerts_are_told_in_openssl_words() {
        assert_eq!(
            alert_words(AlertDescription::HandshakeFailure),
            "SSL: error:0A000410:SSL routines::sslv3 alert handshake failure:SSL alert number 40"
        );
        assert_eq!(
            alert_words(AlertDescription::CertificateRequired),
            "SSL: error:0A00045C:SSL routines::tlsv13 alert certificate required:SSL alert number 116"
        );
        let e = io::Error::from(io::ErrorKind::UnexpectedEof);
        let name = TlsName::of_host("a.example");
        assert_eq!(reason(&e, &name), "peer closed connection in SSL handshake");
    }
}
