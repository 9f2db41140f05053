//! `receiveuntil`: finding a pattern in a stream that comes in pieces.
//!
//! A byte is settled once it can be no part of a match that is still open; what is not settled stays in the input, so
//! that whatever is read next sees it. Must not: keep input.

use std::rc::Rc;

use super::reading::Found;

/// A pattern.
pub(super) struct Pattern {
    text: Box<[u8]>,
    /// For each state, the longest shorter state that the bytes matched so far end with.
    shorter: Box<[usize]>,
    inclusive: bool,
}

impl Pattern {
    /// `inclusive`: it is part of what is received.
    pub fn new(text: &[u8], inclusive: bool) -> Self {
        let mut shorter = vec![0; text.len() + 1];
        let mut k = 0;
        for i in 1..text.len() {
            while k > 0 && text[i] != text[k] {
                k = shorter[k];
            }
            if text[i] == text[k] {
                k += 1;
            }
            shorter[i + 1] = k;
        }
        Self {
            text: text.into(),
            shorter: shorter.into(),
            inclusive,
        }
    }

    /// The state after `byte`, which does not continue `state`: 0 where it has to be looked at anew.
    fn fall_back(&self, state: usize, byte: u8) -> usize {
        let mut k = self.shorter[state];
        while k > 0 && self.text[k] != byte {
            k = self.shorter[k];
        }
        if k > 0 { k + 1 } else { 0 }
    }
}

/// One search; it goes on where it was when more has come.
pub(super) struct Search {
    pattern: Rc<Pattern>,
    sized: bool,
    rest: usize,
    at: usize,
    state: usize,
    over: bool,
}

impl Search {
    /// For at most about `size` bytes; 0 for all up to the pattern.
    pub fn new(pattern: Rc<Pattern>, size: usize) -> Self {
        Self {
            pattern,
            sized: size > 0,
            rest: size,
            at: 0,
            state: 0,
            over: false,
        }
    }

    /// Bytes that are surely before the pattern.
    pub fn settled(&self) -> usize {
        self.at - self.state
    }

    /// Whether the pattern was found where a size was asked for.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Settles `n` more bytes; whether that is as many as were asked for.
    fn settle(&mut self, n: usize) -> bool {
        if !self.sized {
            return false;
        }
        let full = self.rest <= n;
        self.rest = self.rest.saturating_sub(n);
        full
    }

    /// Looks at what is new in `input`.
    ///
    /// # Source
    /// ngx_http_lua_socket_tcp.c, `ngx_http_lua_socket_read_until`: what is settled at once is given at once, so that a
    /// part may be longer than its size.
    pub fn find(&mut self, input: &[u8]) -> Option<Found> {
        let pattern = self.pattern.clone();
        let text = &pattern.text;
        while self.at < input.len() {
            if self.state == 0 {
                // up to the first byte of the pattern there is nothing to think about
                let rest = &input[self.at..];
                let plain = memchr::memchr(text[0], rest).unwrap_or(rest.len());
                if plain > 0 {
                    let n = if self.sized { plain.min(self.rest) } else { plain };
                    self.at += n;
                    if self.settle(n) {
                        return Some(self.part());
                    }
                    continue;
                }
            }
            let byte = input[self.at];
            if byte == text[self.state] {
                self.at += 1;
                self.state += 1;
                if self.state == text.len() {
                    self.over = self.sized;
                    let before = self.at - text.len();
                    return Some(Found {
                        give: if pattern.inclusive { self.at } else { before },
                        take: self.at,
                    });
                }
                continue;
            }
            let next = pattern.fall_back(self.state, byte);
            let settled = if next > 0 {
                self.at += 1;
                self.state + 1 - next
            } else {
                self.state
            };
            self.state = next;
            if self.settle(settled) {
                return Some(self.part());
            }
        }
        None
    }

    fn part(&self) -> Found {
        Found {
            give: self.settled(),
            take: self.settled(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stream given in pieces, and what comes out up to the pattern, part by part.
    fn parts(stream: &[u8], cuts: &[usize], text: &[u8], size: usize) -> (Vec<Vec<u8>>, Vec<u8>) {
        let pattern = Rc::new(Pattern::new(text, false));
        let (mut input, mut out): (Vec<u8>, Vec<Vec<u8>>) = (Vec::new(), Vec::new());
        let mut fed = 0;
        let mut cuts = cuts.iter().copied();
        loop {
            let mut search = Search::new(pattern.clone(), size);
            let found = loop {
                if let Some(found) = search.find(&input) {
                    break found;
                }
                if fed == stream.len() {
                    out.push(input[..search.settled()].to_vec());
                    return (out, input[search.settled()..].to_vec());
                }
                let n = cuts.next().unwrap_or(usize::MAX).min(stream.len() - fed);
                input.extend_from_slice(&stream[fed..fed + n]);
                fed += n;
            };
            out.push(input[..found.give].to_vec());
            input.drain(..found.take);
            if size == 0 || search.is_over() {
                input.extend_from_slice(&stream[fed..]);
                return (out, input);
            }
        }
    }

    #[test]
    fn d03_a_pattern_is_found_however_the_stream_is_cut() {
        let mut seed = 7u64;
        let mut random = move |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as usize % below.max(1)
        };
        for _ in 0..20_000 {
            let text: Vec<u8> = (0..1 + random(5)).map(|_| b"ab"[random(2)]).collect();
            let stream: Vec<u8> = (0..random(24)).map(|_| b"abc"[random(3)]).collect();
            let cuts: Vec<usize> = (0..24).map(|_| 1 + random(4)).collect();
            let size = random(6);
            let (out, left) = parts(&stream, &cuts, &text, size);
            let all = out.concat();
            match stream.windows(text.len()).position(|w| w == &text[..]) {
                Some(at) => {
                    assert_eq!((&all[..], &left[..]), (&stream[..at], &stream[at + text.len()..]));
                }
                None => assert_eq!([&all[..], &left[..]].concat(), stream),
            }
            if size > 0 {
                for part in &out[..out.len() - 1] {
                    assert!(
                        part.len() >= size && part.len() < size + text.len(),
                        "{part:?} {size}"
                    );
                }
            }
        }
    }

    #[test]
    fn d03_parts_by_size_end_once() {
        let (out, left) = parts(b"hello, worldxend", &[], b"x", 5);
        assert_eq!(out, [b"hello".to_vec(), b", wor".to_vec(), b"ld".to_vec()]);
        assert_eq!(left, b"end");
    }
}
