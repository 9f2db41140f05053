//! Follows the chunked transfer coding (RFC 9112, 7.1) through a body without changing or copying it.
//!
//! Stricter than nginx and hyper: lines end in CR LF, never in LF alone; extensions and trailers have limits.
//!
//! Must not: decode; hyper does that with the same bytes.

/// Limits on what a chunked body may carry besides data.
#[derive(Debug, Clone, Copy)]
pub struct ChunkLimits {
    /// Bytes of chunk extensions in the whole body.
    pub extensions: usize,
    /// Bytes of the trailer section.
    pub trailers: usize,
    /// Trailer fields.
    pub trailer_fields: usize,
}

impl Default for ChunkLimits {
    fn default() -> Self {
        // hyper's own are 16 KiB, 16 KiB and 100; ours are met first so that we answer.
        Self {
            extensions: 8 * 1024,
            trailers: 8 * 1024,
            trailer_fields: 64,
        }
    }
}

/// Where the bytes of a chunked body stand.
#[derive(Debug)]
pub(super) struct ChunkFollower {
    state: State,
    left: u64,
    digits: u8,
    extension_bytes: usize,
    trailer_bytes: usize,
    trailer_fields: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size,
    SizeSpace,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
}

/// What a look at some bytes found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Followed {
    /// All bytes belong to the body, which goes on.
    All,
    /// The body ended after this many bytes.
    End(usize),
    /// The byte at this place must not stand there.
    Bad(usize, &'static str),
}

impl ChunkFollower {
    pub(super) fn new() -> Self {
        Self {
            state: State::Size,
            left: 0,
            digits: 0,
            extension_bytes: 0,
            trailer_bytes: 0,
            trailer_fields: 0,
        }
    }

    /// Follows the body through `bytes`.
    pub(super) fn follow(&mut self, bytes: &[u8], limits: &ChunkLimits) -> Followed {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            if self.state == State::Data {
                let here = (bytes.len() - at) as u64;
                if self.left > here {
                    self.left -= here;
                    return Followed::All;
                }
                at += self.left as usize;
                self.left = 0;
                self.state = State::DataCr;
                continue;
            }
            let step = match self.state {
                State::TrailerStart | State::TrailerName | State::TrailerValue | State::TrailerLf => {
                    self.trailer(byte, limits)
                }
                State::EndLf if byte == b'\n' => return Followed::End(at + 1),
                State::EndLf => Err("client sent invalid end of chunked body"),
                _ => self.framing(byte, limits),
            };
            match step {
                Ok(state) => self.state = state,
                Err(reason) => return Followed::Bad(at, reason),
            }
            at += 1;
        }
        Followed::All
    }

    fn framing(&mut self, byte: u8, limits: &ChunkLimits) -> Result<State, &'static str> {
        match (self.state, byte) {
            (State::Size, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => self.size_digit(byte),
            (State::Size | State::SizeSpace, b' ' | b'\t') if self.digits > 0 => {
                self.extension_byte(limits, State::SizeSpace)
            }
            (State::Size | State::SizeSpace, b';') if self.digits > 0 => {
                self.extension_byte(limits, State::Extension)
            }
            (State::Size | State::SizeSpace | State::Extension, b'\r') if self.digits > 0 => {
                Ok(State::SizeLf)
            }
            (State::Extension, b'\t' | b' '..=b'~' | 0x80..) => self.extension_byte(limits, State::Extension),
            (State::SizeLf, b'\n') => {
                self.digits = 0;
                Ok(if self.left == 0 {
                    State::TrailerStart
                } else {
                    State::Data
                })
            }
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size),
            (State::DataCr | State::DataLf, _) => Err("client sent chunk data of wrong length"),
            (State::Extension, _) => Err("client sent invalid chunk extension"),
            _ => Err("client sent invalid chunk size"),
        }
    }

    fn size_digit(&mut self, byte: u8) -> Result<State, &'static str> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            _ => (byte | 0x20) - b'a' + 10,
        };
        self.digits += 1;
        // Fifteen digits stay below hyper's own limit and leave no room for an overflow.
        if self.digits > 15 {
            return Err("client sent too large chunk size");
        }
        self.left = self.left * 16 + u64::from(digit);
        Ok(State::Size)
    }

    fn extension_byte(&mut self, limits: &ChunkLimits, next: State) -> Result<State, &'static str> {
        self.extension_bytes += 1;
        if self.extension_bytes > limits.extensions {
            return Err("client sent too long chunk extensions");
        }
        Ok(next)
    }

    fn trailer(&mut self, byte: u8, limits: &ChunkLimits) -> Result<State, &'static str> {
        self.trailer_bytes += 1;
        if self.trailer_bytes > limits.trailers {
            return Err("client sent too long trailers");
        }
        match (self.state, byte) {
            (State::TrailerStart, b'\r') => Ok(State::EndLf),
            (State::TrailerStart, _) if super::head_parser::is_token(byte) => {
                self.trailer_fields += 1;
                if self.trailer_fields > limits.trailer_fields {
                    return Err("client sent too many trailers");
                }
                Ok(State::TrailerName)
            }
            (State::TrailerName, b':') => Ok(State::TrailerValue),
            (State::TrailerName, _) if super::head_parser::is_token(byte) => Ok(State::TrailerName),
            (State::TrailerValue, b'\r') => Ok(State::TrailerLf),
            (State::TrailerValue, b'\t' | b' '..=b'~' | 0x80..) => Ok(State::TrailerValue),
            (State::TrailerLf, b'\n') => Ok(State::TrailerStart),
            _ => Err("client sent invalid trailer"),
        }
    }
}
