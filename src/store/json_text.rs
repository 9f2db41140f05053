//! Makes JSON text of what a text says, so that YAML goes the way of JSON from there on.
//!
//! Everything is written into one buffer; an object's or a list's own text takes the place of its pieces once it is
//! whole. Must not: judge.

use std::cell::RefCell;
use std::ops::Range;

use super::syntax::Make;

/// Longest JSON text made: aliases can make much of little.
pub(super) const MAX_MADE: usize = 256 << 20;
/// What is said of more.
const TOO_MUCH: &str = "expands to too much";

/// Makes JSON text.
#[derive(Debug, Default)]
pub struct MakeText {
    buffer: RefCell<Vec<u8>>,
    /// Where an object or a list is put together.
    whole: RefCell<Vec<u8>>,
}

/// A list in the making.
#[derive(Debug)]
pub struct List {
    start: usize,
    items: Vec<Range<usize>>,
}

/// A field in the making.
#[derive(Debug)]
struct Field {
    key: Range<usize>,
    value: Range<usize>,
}

/// An object in the making. Of fields of the same name the last one written counts.
#[derive(Debug)]
pub struct Object {
    start: usize,
    own: Vec<Field>,
    /// Those that give way to all others; the first counts most.
    lent: Vec<Field>,
}

impl MakeText {
    /// The text that was made.
    pub fn into_text(self) -> String {
        // what is written is UTF-8 already
        String::from_utf8(self.buffer.into_inner()).unwrap_or_default()
    }

    fn write(&self, bytes: &[u8]) -> Range<usize> {
        let mut buffer = self.buffer.borrow_mut();
        let start = buffer.len();
        buffer.extend_from_slice(bytes);
        start..buffer.len()
    }

    fn quoted(&self, text: &str) -> Result<Range<usize>, String> {
        let mut buffer = self.buffer.borrow_mut();
        let start = buffer.len();
        if start + text.len() > MAX_MADE {
            return Err(TOO_MUCH.to_owned());
        }
        serde_json::to_writer(&mut *buffer, text).map_err(|e| e.to_string())?;
        Ok(start..buffer.len())
    }

    /// Puts what `assemble` writes in the place of everything from `start` on.
    fn replace(&self, start: usize, assemble: impl FnOnce(&[u8], &mut Vec<u8>)) -> Range<usize> {
        let (mut buffer, mut whole) = (self.buffer.borrow_mut(), self.whole.borrow_mut());
        whole.clear();
        assemble(&buffer, &mut whole);
        buffer.truncate(start);
        buffer.extend_from_slice(&whole);
        if whole.capacity() > (1 << 20) && start > 0 {
            *whole = Vec::new();
        }
        start..buffer.len()
    }

    fn here(&self) -> Result<usize, String> {
        let here = self.buffer.borrow().len();
        if here > MAX_MADE {
            return Err(TOO_MUCH.to_owned());
        }
        Ok(here)
    }
}

impl Make for MakeText {
    type Made = Range<usize>;
    type List = List;
    type Object = Object;

    fn null(&self) -> Range<usize> {
        self.write(b"null")
    }

    fn bool(&self, value: bool) -> Range<usize> {
        self.write(if value { b"true" } else { b"false" })
    }

    fn int(&self, value: i64) -> Range<usize> {
        self.write(value.to_string().as_bytes())
    }

    fn float(&self, value: f64) -> Range<usize> {
        // the shortest text that reads as the same number
        self.write(format!("{value:?}").as_bytes())
    }

    fn text(&self, value: &str) -> Result<Range<usize>, String> {
        self.quoted(value)
    }

    fn list(&self) -> Result<List, String> {
        Ok(List {
            start: self.here()?,
            items: Vec::new(),
        })
    }

    fn push(&self, list: &mut List, item: Range<usize>) -> Result<(), String> {
        list.items.push(item);
        Ok(())
    }

    fn list_done(&self, list: List) -> Range<usize> {
        self.replace(list.start, |from, to| {
            to.push(b'[');
            for (n, item) in list.items.into_iter().enumerate() {
                if n > 0 {
                    to.push(b',');
                }
                to.extend_from_slice(&from[item]);
            }
            to.push(b']');
        })
    }

    fn object(&self) -> Result<Object, String> {
        Ok(Object {
            start: self.here()?,
            own: Vec::new(),
            lent: Vec::new(),
        })
    }

    fn set(&self, object: &mut Object, key: &str, value: Range<usize>, always: bool) -> Result<(), String> {
        let key = self.quoted(key)?;
        let fields = if always { &mut object.own } else { &mut object.lent };
        fields.push(Field { key, value });
        Ok(())
    }

    fn object_done(&self, object: Object) -> Range<usize> {
        self.replace(object.start, |from, to| {
            to.push(b'{');
            for (n, field) in object.lent.iter().rev().chain(&object.own).enumerate() {
                if n > 0 {
                    to.push(b',');
                }
                to.extend_from_slice(&from[field.key.clone()]);
                to.push(b':');
                to.extend_from_slice(&from[field.value.clone()]);
            }
            to.push(b'}');
        })
    }
}
