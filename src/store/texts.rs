//! Texts that live and die together, packed into a few large pieces.
//!
//! A configuration has as many rows as entities: one allocation for each would cost their rounding, and freeing them
//! all would take as long as making them. Must not: change or drop a single one.

/// Room of a piece, in bytes; a longer text has one of its own.
const PIECE: usize = 128 << 10;

#[derive(Debug, Clone, Copy)]
struct Place {
    piece: u32,
    start: u32,
    length: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Texts {
    pieces: Vec<String>,
    places: Vec<Place>,
}

impl Texts {
    /// Keeps a text; its number is how many there were before.
    pub(super) fn push(&mut self, text: &str) {
        let room = |piece: &String| piece.capacity() - piece.len() >= text.len();
        if !self.pieces.last().is_some_and(room) {
            self.pieces.push(String::with_capacity(PIECE.max(text.len())));
        }
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let at = number(self.pieces.len() - 1);
        if let Some(piece) = self.pieces.last_mut() {
            let place = Place {
                piece: at,
                start: number(piece.len()),
                length: number(text.len()),
            };
            piece.push_str(text);
            self.places.push(place);
        }
    }

    /// A text by its number.
    pub(super) fn get(&self, at: usize) -> Option<&str> {
        let place = self.places.get(at)?;
        let start = place.start as usize;
        let piece = self.pieces.get(place.piece as usize)?;
        piece.get(start..start + place.length as usize)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// No more are coming.
    pub(super) fn finish(&mut self) {
        self.places.shrink_to_fit();
        if let Some(last) = self.pieces.last_mut() {
            last.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn b04_texts_come_back_as_they_went() {
        let mut texts = Texts::default();
        let of = |i: usize| format!("{i}ä").repeat(i * i % 7000);
        (0..300).for_each(|i| texts.push(&of(i)));
        texts.push(&"x".repeat(PIECE + 1));
        texts.push("last");
        texts.finish();
        assert_eq!(texts.len(), 302);
        (0..300).for_each(|i| assert_eq!(texts.get(i).unwrap(), of(i)));
        assert_eq!(texts.get(300).unwrap().len(), PIECE + 1);
        assert_eq!((texts.get(301), texts.get(302)), (Some("last"), None));
        assert!(texts.pieces.len() > 10 && texts.pieces.len() < 100);
    }
}
