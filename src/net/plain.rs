//! Whether a text is free of control characters, eight bytes at a time: header values are short, and many.
//!
//! Must not: know what a text is.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Whether one of eight bytes is below 0x20 or 0x7f.
#[inline]
fn is_wild(bytes: u64) -> bool {
    let low = bytes.wrapping_sub(0x20 * ONES) & !bytes;
    let del = bytes ^ (0x7f * ONES);
    (low | (del.wrapping_sub(ONES) & !del)) & HIGH != 0
}

/// Whether no byte is a control character, tabs included.
#[inline]
pub fn is_plain(text: &[u8]) -> bool {
    let mut chunks = text.chunks_exact(8);
    for chunk in &mut chunks {
        // the compiler makes one load of it
        let bytes = chunk.iter().fold(0, |all, b| all << 8 | u64::from(*b));
        if is_wild(bytes) {
            return false;
        }
    }
    let wild = |b: u8| (b < 0x20) | (b == 0x7f);
    !chunks.remainder().iter().fold(false, |found, b| found | wild(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a04_every_control_character_is_found_at_every_place() {
        for len in 0..40 {
            assert!(is_plain(&vec![b'a'; len]));
            for at in 0..len {
                for byte in 0..=255_u8 {
                    let mut text = vec![0xff; len];
                    text[at] = byte;
                    assert_eq!(
                        is_plain(&text),
                        !byte.is_ascii_control(),
                        "{byte} at {at} of {len}"
                    );
                }
            }
        }
    }
}
