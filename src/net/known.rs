//! The request headers the gateway itself looks at: each head remembers where its first one stands.
//!
//! Must not: give these headers a meaning; this is an index, nothing more.

/// Declares the enum, its lower-case names and the look-up by length from one table.
macro_rules! known_headers {
    ($($variant:ident $name:literal),+ $(,)?) => {
        /// A header the gateway looks up by itself, so that the look-up is one array access.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Known {
            $(#[doc = $name] $variant),+
        }

        /// Every known header with its lower-case name, in declaration order.
        const TABLE: &[(&str, Known)] = &[$(($name, Known::$variant)),+];

        /// How many known headers there are.
        pub const KNOWN_COUNT: usize = TABLE.len();
    };
}

known_headers! {
    Host "host",
    Connection "connection",
    ContentLength "content-length",
    ContentType "content-type",
    TransferEncoding "transfer-encoding",
    Accept "accept",
    AcceptEncoding "accept-encoding",
    UserAgent "user-agent",
    Authorization "authorization",
    Cookie "cookie",
    Referer "referer",
    Origin "origin",
    Expect "expect",
    Te "te",
    Trailer "trailer",
    Upgrade "upgrade",
    KeepAlive "keep-alive",
    ProxyConnection "proxy-connection",
    Via "via",
    XRealIp "x-real-ip",
    XForwardedFor "x-forwarded-for",
    XForwardedProto "x-forwarded-proto",
    XForwardedHost "x-forwarded-host",
    XForwardedPort "x-forwarded-port",
    XForwardedPath "x-forwarded-path",
    XForwardedPrefix "x-forwarded-prefix",
}

/// The longest known name; longer names are not looked up at all.
const LONGEST: usize = 18;

/// For each length, the indices into `TABLE` of the names of that length (255 ends the row).
const BY_LENGTH: [[u8; 6]; LONGEST + 1] = by_length();

const fn by_length() -> [[u8; 6]; LONGEST + 1] {
    let mut rows = [[u8::MAX; 6]; LONGEST + 1];
    let mut index = 0;
    while index < TABLE.len() {
        let row = TABLE[index].0.len();
        let mut column = 0;
        while rows[row][column] != u8::MAX {
            column += 1;
        }
        rows[row][column] = index as u8;
        index += 1;
    }
    rows
}

impl Known {
    /// Finds a name, in any case.
    pub fn of(name: &[u8]) -> Option<Self> {
        let row = BY_LENGTH.get(name.len())?;
        let last = *name.last()? | 0x20;
        for &index in row {
            let (known, id) = TABLE.get(usize::from(index))?;
            let bytes = known.as_bytes();
            // The last letter tells most names of one length apart. Bit 5 makes letters lower-case and leaves the
            // hyphen alone; it makes one of a CR too, which no header name has.
            let differs = || {
                bytes
                    .iter()
                    .zip(name)
                    .fold(0, |differs, (a, b)| differs | (a ^ (b | 0x20)))
            };
            if bytes[bytes.len() - 1] == last && differs() == 0 {
                return Some(*id);
            }
        }
        None
    }

    /// The lower-case name.
    pub fn name(self) -> &'static str {
        TABLE[self as usize].0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a04_every_known_header_is_found_in_any_case_and_no_other_is() {
        for (name, id) in TABLE {
            assert_eq!(Known::of(name.as_bytes()), Some(*id));
            assert_eq!(Known::of(name.to_ascii_uppercase().as_bytes()), Some(*id));
            assert_eq!(id.name(), *name);
        }
        assert_eq!(Known::of(b""), None);
        assert_eq!(Known::of(b"hosts"), None);
        assert_eq!(Known::of(b"x-forwarded-prefixes"), None);
    }
}
