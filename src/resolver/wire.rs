//! Questions to bytes, bytes to replies.
//!
//! Must not: do I/O. Any bytes may come in.

use std::rc::Rc;

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::{DNSClass, Name, RData, RecordType};

use super::record::{Data, Record, Reply};

/// How many records of one reply are looked at.
const MAX_RECORDS: usize = 1024;

/// Why a datagram or a message is no reply to the question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// Of another question, or of an older one: to be ignored.
    #[error("id mismatch")]
    Foreign,
    /// To be asked again by TCP.
    #[error("truncated")]
    Truncated,
    /// Nothing that can be read.
    #[error("{0}")]
    Bad(String),
}

/// One question.
#[derive(Debug)]
pub struct Question {
    name: Name,
    kind: u16,
    id: u16,
}

// === impl Question ===

impl Question {
    /// What is asked about `name`.
    ///
    /// # Errors
    /// `bad name` where it is no name at all.
    pub fn new(name: &str, kind: u16, id: u16) -> Result<Self, WireError> {
        let bad = || WireError::Bad("bad name".into());
        let text = name.strip_suffix('.').unwrap_or(name);
        if text.is_empty() || text.len() > 253 {
            return Err(bad());
        }
        // labels as they are: this is no zone file, where a backslash would mean something
        let mut name = Name::from_labels(text.split('.').map(str::as_bytes)).map_err(|_| bad())?;
        name.set_fqdn(true);
        Ok(Self { name, kind, id })
    }

    /// The bytes of it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>, WireError> {
        let mut message = Message::query();
        message.metadata.id = self.id;
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(self.name.clone(), RecordType::from(self.kind)));
        message.to_vec().map_err(|e| WireError::Bad(e.to_string()))
    }

    /// Reads a reply to it.
    ///
    /// # Errors
    /// What it is instead.
    ///
    /// # Source
    /// `lua-resty-dns`, `parse_response`; that the question is the same one is looked at here only.
    pub fn reply(&self, bytes: &[u8]) -> Result<Reply, WireError> {
        let Some((head, _)) = bytes.split_first_chunk::<12>() else {
            return Err(WireError::Bad("truncated".into()));
        };
        if u16::from_be_bytes([head[0], head[1]]) != self.id {
            return Err(WireError::Foreign);
        }
        if head[2] & 0x80 == 0 {
            return Err(WireError::Bad("bad QR flag in the DNS response".into()));
        }
        if head[2] & 0x02 != 0 {
            return Err(WireError::Truncated);
        }
        let questions = u16::from_be_bytes([head[4], head[5]]);
        if questions != 1 {
            return Err(WireError::Bad(format!(
                "bad number of questions in DNS response: {questions}"
            )));
        }
        let message = Message::from_vec(bytes).map_err(|e| WireError::Bad(e.to_string()))?;
        let Some(query) = message.queries.first() else {
            return Err(WireError::Foreign);
        };
        if query.query_type != RecordType::from(self.kind) || !query.name.eq_ignore_root(&self.name) {
            return Err(WireError::Foreign);
        }
        if query.query_class != DNSClass::IN {
            return Err(WireError::Bad(format!(
                "unknown query class {} in DNS response",
                u16::from(query.query_class)
            )));
        }
        let records = message.answers.iter().chain(&message.additionals);
        Ok(Reply {
            code: u16::from(message.metadata.response_code),
            records: records.take(MAX_RECORDS).map(record).collect(),
        })
    }
}

/// A name in lower case, without the last dot, bytes outside ASCII kept as they can be.
fn text(name: &Name) -> Rc<str> {
    let mut text = String::with_capacity(name.len());
    for label in name.iter() {
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(&String::from_utf8_lossy(label));
    }
    text.make_ascii_lowercase();
    text.into()
}

fn record(r: &hickory_proto::rr::Record) -> Record {
    let data = match &r.data {
        RData::A(a) => Data::A(a.0),
        RData::AAAA(a) => Data::Aaaa(a.0),
        RData::CNAME(n) => Data::Cname(text(&n.0)),
        RData::NS(n) => Data::Ns(text(&n.0)),
        RData::PTR(n) => Data::Ptr(text(&n.0)),
        RData::SRV(s) => Data::Srv {
            priority: s.priority,
            weight: s.weight,
            port: s.port,
            target: text(&s.target),
        },
        RData::MX(m) => Data::Mx {
            preference: m.preference,
            exchange: text(&m.exchange),
        },
        RData::TXT(t) => Data::Txt(t.txt_data.to_vec()),
        _ => Data::Other(u16::from(r.record_type())),
    };
    Record {
        name: text(&r.name),
        ttl: r.ttl,
        data,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::record::kind;
    use super::*;

    fn question() -> Question {
        Question::new("Host.Example", kind::A, 0x1234).unwrap()
    }

    /// A response by hand: header, question, then `rest`.
    fn response(question: &Question, counts: [u8; 3], rest: &[u8]) -> Vec<u8> {
        let mut bytes = question.to_bytes().unwrap();
        bytes[2] |= 0x80;
        bytes[7] = counts[0];
        bytes[9] = counts[1];
        bytes[11] = counts[2];
        bytes.extend_from_slice(rest);
        bytes
    }

    const A: &[u8] = &[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 1];

    #[test]
    fn c05_a_reply_is_read() {
        let q = question();
        let reply = q.reply(&response(&q, [1, 0, 0], A)).unwrap();
        assert_eq!(reply.records.len(), 1);
        assert_eq!(&*reply.records[0].name, "host.example");
        assert_eq!(reply.records[0].ttl, 60);
        assert_eq!(reply.records[0].data, Data::A([10, 0, 0, 1].into()));
    }

    #[test]
    fn c05_what_is_no_reply_to_this_question_is_told_apart() {
        let q = question();
        let good = response(&q, [1, 0, 0], A);
        let changed = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            q.reply(&bytes)
        };
        assert_eq!(changed(0, 0xff), Err(WireError::Foreign));
        assert_eq!(changed(13, b'x'), Err(WireError::Foreign), "another name");
        assert_eq!(
            changed(13, b'h').unwrap().records.len(),
            1,
            "case does not matter"
        );
        let kind_at = 12 + 1 + 4 + 1 + 7 + 1 + 1;
        assert_eq!(changed(kind_at, 28), Err(WireError::Foreign), "another kind");
        assert_eq!(changed(2, 0x83), Err(WireError::Truncated));
        assert!(matches!(changed(2, 0x01), Err(WireError::Bad(e)) if e.contains("QR flag")));
        assert!(matches!(changed(5, 2), Err(WireError::Bad(e)) if e.ends_with("response: 2")));
        assert!(
            matches!(changed(7, 2), Err(WireError::Bad(_))),
            "an answer is missing"
        );
        assert!(
            matches!(changed(kind_at + 2, 3), Err(WireError::Bad(e)) if e.starts_with("unknown query class"))
        );
        assert_eq!(changed(3, 0x83).unwrap().code, 3);
        assert!(matches!(q.reply(&good[..11]), Err(WireError::Bad(_))));
    }

    #[test]
    fn c05_names_that_point_at_themselves_end() {
        let q = question();
        let at = response(&q, [0, 0, 0], b"").len() as u8;
        let mut looping = A.to_vec();
        looping[1] = at;
        assert!(matches!(
            q.reply(&response(&q, [1, 0, 0], &looping)),
            Err(WireError::Bad(_))
        ));
    }

    #[test]
    fn c05_bad_names_are_not_asked_for() {
        let long = "a".repeat(64);
        let deep = "a.".repeat(130);
        for name in ["", ".", ".a", "a..b", long.as_str(), deep.as_str()] {
            assert!(Question::new(name, kind::A, 0).is_err(), "{name}");
        }
        for name in [
            "a",
            "a.",
            "_s._tcp.a",
            "a_b",
            "1.2.3.x",
            "a:80",
            "a\\b",
            "ä.example",
        ] {
            let q = Question::new(name, kind::A, 0).unwrap();
            let bytes = response(&q, [0, 0, 0], b"");
            assert_eq!(q.reply(&bytes).unwrap(), Reply::default(), "{name}");
        }
    }

    #[test]
    fn c05_a_huge_reply_is_cut() {
        let q = question();
        let mut bytes = response(&q, [0, 0, 0], &A.repeat(4000));
        bytes[6..8].copy_from_slice(&4000u16.to_be_bytes());
        assert_eq!(q.reply(&bytes).unwrap().records.len(), MAX_RECORDS);
    }

    /// Bytes of every sort; nothing may panic, and what is read is bounded.
    #[test]
    fn c05_any_bytes_are_answered() {
        let q = question();
        let good = response(
            &q,
            [3, 0, 1],
            &[
                A,
                &[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 4, 1, b'c', 0xc0, 12],
                &[
                    0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60, 0, 8, 0, 1, 0, 2, 0, 80, 0xc0, 12,
                ],
                &[0, 0, 41, 4, 0, 0, 0, 0, 0, 0, 0],
            ]
            .concat(),
        );
        assert_eq!(q.reply(&good).unwrap().records.len(), 3);
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        for round in 0..60_000 {
            let mut bytes = good.clone();
            if round % 3 == 0 {
                bytes.truncate(random(bytes.len() + 1));
            }
            if round % 5 == 0 {
                let extra: Vec<u8> = (0..random(80)).map(|_| random(256) as u8).collect();
                bytes.extend(extra);
            }
            for _ in 0..random(6) {
                if let Some(at) = bytes.len().checked_sub(1) {
                    let at = random(at + 1);
                    bytes[at] = random(256) as u8;
                }
            }
            if let Ok(reply) = q.reply(&bytes) {
                assert!(reply.records.len() <= MAX_RECORDS);
                assert!(reply.records.iter().all(|r| r.name.len() <= 1024));
            }
        }
    }
}
