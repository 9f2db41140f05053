//! The way of one lookup: against going in circles, and for the log.
//!
//! Must not: decide anything but whether a place was visited before.

use std::fmt::Write;

/// How long a way may be.
const MAX_TRIES: usize = 128;

#[derive(Debug)]
struct Try {
    name: String,
    kind: Option<u16>,
    notes: Vec<String>,
    hit: bool,
    code: u16,
}

/// What was looked up so far, in order.
#[derive(Debug, Default)]
pub struct Tries {
    list: Vec<Try>,
    modern: bool,
}

// === impl Tries ===

impl Tries {
    /// An empty way, told in the newer client's manner or the older one's.
    pub fn new(modern: bool) -> Self {
        Self {
            list: Vec::new(),
            modern,
        }
    }

    /// A place was come to.
    pub fn add(&mut self, name: &str, kind: Option<u16>, note: &str) {
        self.list.push(Try {
            name: name.into(),
            kind,
            notes: vec![note.into()],
            hit: false,
            code: 0,
        });
    }

    /// A place was come to, in the newer client's manner.
    pub fn visit(&mut self, name: &str, kind: Option<u16>, hit: bool) {
        self.list.push(Try {
            name: name.into(),
            kind,
            notes: Vec::new(),
            hit,
            code: 0,
        });
    }

    /// Something happened where it is now.
    pub fn note(&mut self, note: &str) {
        if let Some(last) = self.list.last_mut() {
            last.notes.push(note.into());
        }
    }

    /// The server's code where it is now.
    pub fn code(&mut self, code: u16) {
        if let Some(last) = self.list.last_mut() {
            last.code = code;
        }
    }

    /// Whether the way has been there, or is too long.
    pub fn been(&self, name: &str, kind: Option<u16>) -> bool {
        self.list.len() >= MAX_TRIES || self.list.iter().any(|t| t.kind == kind && t.name == name)
    }

    /// Nothing was looked up yet.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

/// A JSON list.
///
/// # Source
/// `kong/resty/dns/client.lua`, `try_list_mt`; `kong/dns/client.lua`, `_TRIES_MT`
impl std::fmt::Display for Tries {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.modern {
            let list: Vec<serde_json::Value> = self.list.iter().map(modern).collect();
            return f.write_str(&serde_json::Value::from(list).to_string());
        }
        f.write_char('[')?;
        for (i, t) in self.list.iter().enumerate() {
            f.write_str(if i == 0 { "\"" } else { ",\"" })?;
            f.write_str(&t.name.replace(['"', '\\'], "'"))?;
            match t.kind {
                Some(kind) => write!(f, ":{kind}")?,
                None => f.write_str(":(na)")?,
            }
            if !t.notes.is_empty() {
                write!(f, " - {}", t.notes.join("/").replace('"', "'"))?;
            }
            f.write_char('"')?;
        }
        f.write_char(']')
    }
}

fn modern(t: &Try) -> serde_json::Value {
    let kind = t.kind.map_or(-1, i32::from);
    let mut json = serde_json::json!({ "qname": t.name, "qtype": kind, "cache_hit": t.hit });
    if t.hit {
        json["resolver"] = "cache".into();
    }
    if !t.notes.is_empty() {
        json["error"] = t.notes.clone().into();
    }
    if t.code != 0 {
        json["errcode"] = t.code.into();
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c05_the_way_is_told_as_json() {
        let mut tries = Tries::new(false);
        assert_eq!(tries.to_string(), "[]");
        tries.add("(short)a", None, "cache-miss");
        tries.add("a", Some(33), "cache-miss");
        tries.note("querying");
        tries.note("dns \"server\" error: 3 name error");
        assert_eq!(
            tries.to_string(),
            r#"["(short)a:(na) - cache-miss","a:33 - cache-miss/querying/dns 'server' error: 3 name error"]"#
        );
        assert!(tries.been("a", Some(33)) && !tries.been("a", Some(1)) && tries.been("(short)a", None));
        let mut tries = Tries::new(true);
        tries.visit("a", Some(1), false);
        tries.note("dns server error: 3 name error");
        tries.code(3);
        let json: serde_json::Value = serde_json::from_str(&tries.to_string()).unwrap_or_default();
        assert_eq!(
            json,
            serde_json::json!([{ "qname": "a", "qtype": 1, "cache_hit": false, "errcode": 3,
                "error": ["dns server error: 3 name error"] }])
        );
    }

    #[test]
    fn c05_a_way_has_an_end() {
        let mut tries = Tries::new(false);
        for i in 0..MAX_TRIES {
            assert!(!tries.been("new", Some(1)));
            tries.add(&i.to_string(), Some(1), "");
        }
        assert!(tries.been("new", Some(1)));
    }
}
