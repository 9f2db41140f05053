//! Reads of every kind, in any order, from a stream that comes in pieces: against a model that has it whole.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::support::gateway::one_line;
use crate::support::{Origin, Setup};

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % n.max(1)
    }

    fn text(&mut self, letters: &[u8], len: usize) -> String {
        (0..len)
            .map(|_| letters[self.below(letters.len())] as char)
            .collect()
    }
}

#[derive(Debug, Clone)]
enum Read {
    Size(usize),
    Line,
    Any(usize),
    Until(String, bool),
    Parts(String, usize),
}

impl Read {
    fn any(random: &mut Random) -> Self {
        match random.below(5) {
            0 => Self::Size(1 + random.below(9)),
            1 => Self::Line,
            2 => Self::Any(1 + random.below(9)),
            3 => {
                let len = 1 + random.below(4);
                Self::Until(random.text(b"ab-", len), random.below(2) == 0)
            }
            _ => {
                let len = 1 + random.below(4);
                Self::Parts(random.text(b"ab-", len), 1 + random.below(5))
            }
        }
    }

    fn lua(&self) -> String {
        match self {
            Self::Size(n) => format!("say(s:receive({n}))"),
            Self::Line => "say(s:receive('*l'))".into(),
            Self::Any(n) => format!("say(s:receiveany({n}))"),
            Self::Until(p, inclusive) => {
                format!("say(s:receiveuntil('{p}', {{ inclusive = {inclusive} }})())")
            }
            // its parts put together are what one read of all would have given
            Self::Parts(p, n) => format!("say(all(s:receiveuntil('{p}'), {n}))"),
        }
    }

    /// What comes of it: what is given, how much is used; None for an end before it was there.
    fn model(&self, left: &str) -> Option<(String, usize)> {
        match self {
            Self::Size(n) => (left.len() >= *n).then(|| (left[..*n].to_owned(), *n)),
            Self::Line => left.find('\n').map(|at| (left[..at].replace('\r', ""), at + 1)),
            Self::Any(_) => None,
            Self::Until(p, inclusive) => left.find(p.as_str()).map(|at| {
                let given = if *inclusive { at + p.len() } else { at };
                (left[..given].to_owned(), at + p.len())
            }),
            Self::Parts(p, _) => left
                .find(p.as_str())
                .map(|at| (left[..at].to_owned(), at + p.len())),
        }
    }

    /// What is given besides "closed".
    fn partial(&self, left: &str) -> String {
        match self {
            Self::Line => left.replace('\r', ""),
            Self::Until(p, _) | Self::Parts(p, _) => {
                let open = (0..p.len()).rev().find(|n| left.ends_with(&p[..*n]));
                left[..left.len() - open.unwrap_or(0)].to_owned()
            }
            _ => left.to_owned(),
        }
    }
}

const PRELUDE: &str = "local out = {} local function say(data, err, partial)
      out[#out + 1] = data or { err, partial } return data end
    local function all(more, n) local t = {} while true do local data, err, partial = more(n)
      if err then return nil, err, table.concat(t) .. partial end
      if not data then return table.concat(t) end t[#t + 1] = data end end ";

#[test]
fn d03_reads_of_every_kind_agree_with_a_model() {
    let mut random = Random(20);
    let stream = Arc::new(Mutex::new(Vec::<String>::new()));
    let pieces = stream.clone();
    let server = Origin::raw(move |mut conn| {
        let pieces = pieces.lock().unwrap().clone();
        for (i, piece) in pieces.iter().enumerate() {
            conn.send(piece);
            if i % 3 == 0 {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    });
    let origin = Origin::echo();
    let gateway = Setup::probe(origin.port).set("untrusted_lua", "on").start();
    for round in 0..120 {
        let len = random.below(90);
        let whole = random.text(b"ab-\n\r", len);
        let mut cut = Vec::new();
        let mut rest = whole.as_str();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at((1 + random.below(12)).min(rest.len()));
            cut.push(piece.to_owned());
            rest = after;
        }
        *stream.lock().unwrap() = cut.clone();
        let reads: Vec<Read> = (0..14).map(|_| Read::any(&mut random)).collect();
        let mut lua = format!(
            "{PRELUDE} local s = ngx.socket.tcp() s:settimeout(3000) assert(s:connect('127.0.0.1', {})) local ok = true ",
            server.port
        );
        for read in &reads {
            let _ = write!(lua, "ok = ok and {} ", read.lua());
        }
        lua += "kong.response.exit(200, { out = out })";
        let said = gateway.access(&one_line(&lua)).is(200).json()["out"].take();
        let said = said.as_array().cloned().unwrap_or_default();
        let mut left = whole.as_str();
        let story = format!("round {round}: {cut:?} {reads:?} {said:?}");
        for (read, got) in reads.iter().zip(&said) {
            match (read, read.model(left), got) {
                (Read::Any(max), _, Value::String(given)) => {
                    assert!(!given.is_empty() && given.len() <= *max, "{story}");
                    left = left.strip_prefix(given.as_str()).expect(&story);
                }
                (_, Some((want, used)), Value::String(given)) => {
                    assert_eq!(given, &want, "{story}");
                    left = &left[used..];
                }
                (_, None, Value::Array(end)) => {
                    let want = [Value::from("closed"), Value::from(read.partial(left))];
                    assert_eq!(end[..], want, "{story}");
                    left = "";
                }
                _ => panic!("{read:?} {story}"),
            }
        }
        let ended = said.last().is_some_and(Value::is_array);
        assert!(said.len() == reads.len() || ended, "{story}");
    }
}
