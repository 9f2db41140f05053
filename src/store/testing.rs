//! Chance that repeats itself, for tests that mutate what they feed.
#![allow(clippy::unwrap_used)]

/// xorshift64*: enough to mutate inputs, and the same on every run.
pub struct Dice(u64);

impl Dice {
    /// Dice of their own sequence.
    pub fn new(seed: u64) -> Self {
        Self(0x9E37_79B9_7F4A_7C15 ^ seed.wrapping_mul(0xD134_2543_DE82_EF95))
    }

    /// A number below `sides`.
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize) % sides.max(1)
    }

    /// One of a list.
    pub fn one<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.roll(of.len())]
    }
}

/// How many rounds of a fuzz test: `MOONGATE_FUZZ` times as many as usual.
pub fn rounds(usual: usize) -> usize {
    let times = std::env::var("MOONGATE_FUZZ")
        .ok()
        .and_then(|text| text.parse().ok());
    usual * times.unwrap_or(1_usize)
}
