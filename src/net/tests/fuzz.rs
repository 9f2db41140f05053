//! Mutated messages, the same ones on every run.

use super::*;
use crate::net::guard::Framing;

/// xorshift64*: enough to mutate inputs, and repeatable.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new() -> Self {
        Self(0x9E37_79B9_7F4A_7C15)
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize) % sides.max(1)
    }
}

const SEEDS: &[&[u8]] = &[
    b"GET /a?b HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\nGET /2 HTTP/1.0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n\r\nGET / HTTP/1GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\r\n5;x\r\nhello\r\nb\r\n01234567890\r\n0\r\nT: 1\r\n\r\nHEAD / HTTP/1.1\r\nhost: x\r\nConnection: close\r\n\r\n",
    b"PUT http://a:1/x HTTP/1.1\nHost: h\nExpect: 100-continue\nContent-Length: 3\n\nabcOPTIONS * HTTP/1.1\nHost: h\n\n",
    b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nraw bytes",
];

const TOKENS: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b":",
    b"0",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"\r\n\r\n",
    b"0\r\n\r\n",
    b"HTTP/1.1",
    b"\xff",
    b"\t",
    b";",
    b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
];

pub(super) fn mutate(dice: &mut Dice) -> Vec<u8> {
    let mut input = SEEDS[dice.roll(SEEDS.len())].to_vec();
    for _ in 0..dice.roll(4) {
        let at = dice.roll(input.len());
        match dice.roll(5) {
            0 => input[at] = dice.roll(256) as u8,
            1 => drop(input.remove(at)),
            2 => {
                let token = TOKENS[dice.roll(TOKENS.len())];
                drop(input.splice(at..at, token.iter().copied()));
            }
            3 => {
                let end = (at + dice.roll(12)).min(input.len());
                drop(input.drain(at..end));
            }
            _ => {
                let copied = input[at..(at + dice.roll(20)).min(input.len())].to_vec();
                drop(input.splice(at..at, copied));
            }
        }
        if input.is_empty() {
            input.push(b'G');
        }
    }
    input
}

/// Walks what hyper would see as hyper would: counts requests and checks each skeleton with httparse.
fn requests_in(mut bytes: &[u8]) -> Vec<String> {
    let mut methods = Vec::new();
    while !bytes.is_empty() {
        let mut headers = [httparse::EMPTY_HEADER; 8];
        let mut request = httparse::Request::new(&mut headers);
        let Ok(httparse::Status::Complete(length)) = request.parse(bytes) else {
            panic!("not a skeleton: {:?}", String::from_utf8_lossy(bytes));
        };
        assert_eq!(request.path, Some("/"));
        methods.push(request.method.unwrap().to_owned());
        let mut framing = Framing::None;
        for header in request.headers.iter() {
            match header.name {
                "content-length" => {
                    framing = Framing::Length(std::str::from_utf8(header.value).unwrap().parse().unwrap());
                }
                "transfer-encoding" => framing = Framing::Chunked,
                "connection" | "te" | "expect" | "upgrade" => {}
                other => panic!("{other} in a skeleton"),
            }
        }
        bytes = &bytes[length..];
        bytes = match framing {
            Framing::None => bytes,
            Framing::Length(body) => &bytes[bytes.len().min(body as usize)..],
            Framing::Chunked => skip_chunks(bytes),
        };
    }
    methods
}

/// A second, simple reader of the chunked coding: by httparse's reading of chunk sizes.
fn skip_chunks(mut bytes: &[u8]) -> &[u8] {
    loop {
        let Ok(httparse::Status::Complete((start, size))) = httparse::parse_chunk_size(bytes) else {
            return &[];
        };
        bytes = &bytes[start..];
        if size == 0 {
            while let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") {
                bytes = &bytes[end + 2..];
                if end == 0 {
                    return bytes;
                }
            }
            return &[];
        }
        match bytes.get(size as usize + 2..) {
            Some(rest) => bytes = rest,
            None => return &[],
        }
    }
}

#[test]
fn a04_fuzz_skeletons_parse_and_match_the_heads() {
    let mut dice = Dice::new();
    let mut refused = 0;
    let mut served = 0;
    for round in 0..120_000 {
        let input = mutate(&mut dice);
        let piece = [usize::MAX, 1, 1 + dice.roll(40)][round % 3];
        let room = [8192, 100][dice.roll(2)];
        let seen = read_all(Script::new(input.chunks(piece)), Limits::default(), room);
        let methods = requests_in(&seen.bytes);
        assert_eq!(
            methods.len(),
            seen.heads.len(),
            "{:?}",
            String::from_utf8_lossy(&input)
        );
        for (method, incoming) in methods.iter().zip(&seen.heads) {
            match incoming {
                Incoming::Head(head) => {
                    served += 1;
                    assert_eq!(method.as_bytes(), head.method());
                    assert!(input.windows(head.raw().len()).any(|window| window == head.raw()));
                }
                Incoming::Fault(_) => refused += 1,
            }
        }
        if piece == usize::MAX {
            let again = read_all(Script::new(input.chunks(7)), Limits::default(), 8192);
            assert_eq!(again.heads.len(), seen.heads.len());
            assert_eq!(again.bytes, seen.bytes, "{:?}", String::from_utf8_lossy(&input));
        }
    }
    assert!(
        refused > 10_000 && served > 10_000,
        "{refused} refused, {served} served"
    );
}
