//! General names: what subjectAltName lists.
//!
//! Must not: match them against a host.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::asn1::{self, Asn1Error, Element, Reader};
use super::name::Name;

/// One general name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GeneralName {
    Email(Vec<u8>),
    Dns(Vec<u8>),
    Uri(Vec<u8>),
    Ip(IpAddr),
    Directory(Name),
    /// The whole element of a kind that is only carried along.
    Other(Vec<u8>),
}

impl GeneralName {
    /// A name by OpenSSL's word for its kind.
    ///
    /// # Errors
    /// When there is no such kind, or the text is none of it.
    pub fn new(kind: &str, text: &[u8]) -> Result<Self, String> {
        let ia5 = || text.to_vec();
        match kind.to_ascii_lowercase().as_str() {
            "rfc822name" | "rfc822" | "email" => Ok(Self::Email(ia5())),
            "uniformresourceidentifier" | "uri" => Ok(Self::Uri(ia5())),
            "dnsname" | "dns" => Ok(Self::Dns(ia5())),
            "ipaddress" | "ip" => {
                let text = String::from_utf8_lossy(text);
                text.parse()
                    .map(Self::Ip)
                    .map_err(|_| format!("invalid IP address {text}"))
            }
            "othername" | "dirname" | "directoryname" | "x400" | "x400address" | "rid" | "registeredid"
            | "ediparty" | "edipartyname" => Err(format!("setting type {kind} is currently not supported")),
            _ => Err(format!("unknown type {kind}")),
        }
    }

    /// OpenSSL's word for the kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Email(_) => "email",
            Self::Dns(_) => "DNS",
            Self::Uri(_) => "URI",
            Self::Ip(_) => "IP",
            Self::Directory(_) => "DirName",
            Self::Other(whole) => match whole.first() {
                Some(0xa0) => "OtherName",
                Some(0xa3) => "X400",
                Some(0xa5) => "EdiParty",
                _ => "RID",
            },
        }
    }

    /// The value as text; None for a name, which has parts.
    pub fn text(&self) -> Option<Vec<u8>> {
        match self {
            Self::Email(text) | Self::Dns(text) | Self::Uri(text) => Some(text.clone()),
            Self::Ip(ip) => Some(ip.to_string().into_bytes()),
            Self::Directory(_) => None,
            Self::Other(_) => Some(format!("{}:<unsupported>", self.kind()).into_bytes()),
        }
    }

    /// Reads the element of one name.
    ///
    /// # Errors
    /// When it is none.
    pub fn read(e: &Element) -> Result<Self, Asn1Error> {
        Ok(match e.tag {
            0x81 => Self::Email(e.body.to_vec()),
            0x82 => Self::Dns(e.body.to_vec()),
            0x86 => Self::Uri(e.body.to_vec()),
            0x87 => Self::Ip(address(e.body)?),
            0xa4 => Self::Directory(Name::read(e.body)?),
            0xa0 | 0xa3 | 0xa5 | 0x88 => Self::Other(e.whole.to_vec()),
            _ => return Err(Asn1Error::Tag),
        })
    }

    /// Writes the element.
    pub fn write(&self) -> Vec<u8> {
        match self {
            Self::Email(text) => asn1::element(0x81, text),
            Self::Dns(text) => asn1::element(0x82, text),
            Self::Uri(text) => asn1::element(0x86, text),
            Self::Ip(IpAddr::V4(ip)) => asn1::element(0x87, &ip.octets()),
            Self::Ip(IpAddr::V6(ip)) => asn1::element(0x87, &ip.octets()),
            Self::Directory(name) => asn1::element(0xa4, &name.write()),
            Self::Other(whole) => whole.clone(),
        }
    }
}

/// Reads a GeneralNames element.
///
/// # Errors
/// When it is none.
pub fn read(der: &[u8]) -> Result<Vec<GeneralName>, Asn1Error> {
    read_list(asn1::first(der, asn1::SEQUENCE)?.reader())
}

/// Reads what a GeneralNames element holds.
pub(super) fn read_list(mut list: Reader) -> Result<Vec<GeneralName>, Asn1Error> {
    let mut names = Vec::new();
    while !list.is_empty() {
        names.push(GeneralName::read(&list.next_element()?)?);
    }
    Ok(names)
}

fn address(bytes: &[u8]) -> Result<IpAddr, Asn1Error> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|b| Ipv4Addr::from(b).into());
    let v6 = || <[u8; 16]>::try_from(bytes).map(|b| Ipv6Addr::from(b).into());
    v4.or_else(|_| v6()).map_err(|_| Asn1Error::Value)
}

/// Writes a GeneralNames element.
pub fn write(names: &[GeneralName]) -> Vec<u8> {
    let body: Vec<u8> = names.iter().flat_map(GeneralName::write).collect();
    asn1::element(asn1::SEQUENCE, &body)
}
