//! Receiving: what is waited for, and what of the input is its answer.
//!
//! Must not: do I/O beyond filling a connection's input.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Buf;

use super::super::sockets::{self, ms};
use super::slot::{self, Busy, Part, Slot};
use super::until::{Pattern, Search};
use super::wire::Conn;
use crate::vm::{Args, Out, Ret, cdata};

/// How much one receive may gather.
const READ_CAP: usize = 64 << 20;

/// What a receive waits for.
enum Want {
    /// A line; how far there is none.
    Line(usize),
    All,
    Exactly(usize),
    Any(usize),
    Until(Search),
}

/// What of the input is the answer: its length, and how much goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub give: usize,
    pub take: usize,
}

impl Want {
    fn find(&mut self, input: &[u8]) -> Option<Found> {
        let whole = |n| Found { give: n, take: n };
        match self {
            Self::Line(from) => match memchr::memchr(b'\n', &input[*from..]) {
                Some(i) => Some(Found {
                    give: *from + i,
                    take: *from + i + 1,
                }),
                None => {
                    *from = input.len();
                    None
                }
            },
            Self::All => None,
            Self::Exactly(n) => (input.len() >= *n).then(|| whole(*n)),
            Self::Any(max) => (!input.is_empty()).then(|| whole(input.len().min(*max))),
            Self::Until(search) => search.find(input),
        }
    }

    /// How much of the input is given out when no more comes for now.
    fn partial(&self, input: &[u8]) -> usize {
        match self {
            Self::Until(search) => search.settled(),
            _ => input.len(),
        }
    }

    fn push(&self, data: &[u8], out: &mut Out) {
        if matches!(self, Self::Line(_)) && memchr::memchr(b'\r', data).is_some() {
            let clean: Vec<u8> = data.iter().copied().filter(|b| *b != b'\r').collect();
            out.str(clean);
        } else {
            out.str(data);
        }
    }

    /// Gives the answer out if it is there.
    fn answer(&mut self, conn: &Conn, out: &mut Out) -> bool {
        let mut input = conn.input.borrow_mut();
        let Some(found) = self.find(&input) else {
            return false;
        };
        self.push(&input[..found.give], out);
        input.advance(found.take);
        true
    }

    /// What the end of the stream makes of it.
    fn end(&self, slot: &Slot, conn: &Conn, out: &mut Out) {
        let mut input = conn.input.borrow_mut();
        if matches!(self, Self::All) {
            out.str(&*input);
            input.clear();
            return;
        }
        out.fail("closed");
        let settled = self.partial(&input);
        self.push(&input[..settled], out);
        input.clear();
        drop(input);
        slot.close_reading();
    }
}

/// The socket, if it may be read now.
fn ready(a: &Args, r: &mut Ret) -> Option<(Rc<Slot>, Rc<Conn>)> {
    let (slot, conn) = slot::open_to(a, r, "receive", |s| s.read_closed.get())?;
    (!slot.busy(&[Part::Connect, Part::Read], r)).then_some((slot, conn))
}

/// `receive(id, kind, argument, timeout_ms)`: the data, or `nil, err, partial`; waits where it is not at hand. With
/// kind "check": true where the socket may be read.
pub(super) fn receive(a: &Args, r: &mut Ret) {
    let Some((slot, conn)) = ready(a, r) else { return };
    let n = a.num(3).unwrap_or(0.0) as usize;
    let want = match a.str(2) {
        Some(b"all") => Want::All,
        Some(b"size") => Want::Exactly(n),
        Some(b"any") => Want::Any(n.min(sockets::defaults().of_settings.buffer_size)),
        Some(b"line") => Want::Line(0),
        _ => {
            r.bool(true);
            return;
        }
    };
    let limit = ms(a, 4, sockets::defaults().of_settings.read_timeout);
    start(slot, conn, want, limit, r, None);
}

/// `pattern(text, inclusive)`: the number of a compiled pattern.
pub(super) fn pattern(a: &Args, r: &mut Ret) {
    let compiled = Pattern::new(a.str(1).unwrap_or_default(), a.truthy(2));
    r.int(cdata::keep(Iterator {
        pattern: Rc::new(compiled),
        over: RefCell::new(false),
    }));
}

/// What `receiveuntil` gives: a pattern, and whether a part that was asked for by size was its last.
struct Iterator {
    pattern: Rc<Pattern>,
    over: RefCell<bool>,
}

/// `until(id, pattern, size, timeout_ms)`: as `receive`; nothing but three nils behind the last part.
pub(super) fn until(a: &Args, r: &mut Ret) {
    let Some((slot, conn)) = ready(a, r) else { return };
    let Some(iterator) = cdata::object::<Iterator>(a, 2) else {
        r.fail("closed");
        return;
    };
    if iterator.over.replace(false) {
        r.nil().nil().nil();
        return;
    }
    let size = a.num(3).unwrap_or(0.0).max(0.0) as usize;
    let limit = ms(a, 4, sockets::defaults().of_settings.read_timeout);
    let want = Want::Until(Search::new(iterator.pattern.clone(), size));
    start(slot, conn, want, limit, r, Some(iterator));
}

/// Answers at once, or waits.
fn start(
    slot: Rc<Slot>,
    conn: Rc<Conn>,
    mut want: Want,
    limit: Duration,
    r: &mut Ret,
    iterator: Option<Rc<Iterator>>,
) {
    if want.answer(&conn, r) {
        note(&want, iterator.as_deref());
        return;
    }
    if conn.eof.get() {
        return want.end(&slot, &conn, r);
    }
    let busy = Busy::new(&slot, Part::Read);
    r.wait(async move {
        let out = read(&slot, &conn, &mut want, limit).await;
        note(&want, iterator.as_deref());
        busy.done();
        out
    });
}

/// A pattern that was found where a size was asked for ends its iterator once.
fn note(want: &Want, iterator: Option<&Iterator>) {
    if let (Want::Until(search), Some(iterator)) = (want, iterator) {
        *iterator.over.borrow_mut() = search.is_over();
    }
}

async fn read(slot: &Slot, conn: &Conn, want: &mut Want, limit: Duration) -> Out {
    let mut out = Out::new();
    loop {
        if conn.input.borrow().len() > READ_CAP {
            slot.close_reading();
            out.fail("no memory").lit("");
            return out;
        }
        match conn.fill(limit, &slot.peer).await {
            Ok(0) => {
                want.end(slot, conn, &mut out);
                return out;
            }
            Ok(_) => {
                if want.answer(conn, &mut out) {
                    return out;
                }
            }
            // like nginx, a time limit bounds each wait, not the whole
            Err(e) => {
                let over = e != "timeout";
                if !over {
                    sockets::log_error(|| format!("lua tcp socket read timed out{}", slot.peer.borrow()));
                }
                out.fail(e);
                let mut input = conn.input.borrow_mut();
                let settled = want.partial(&input);
                want.push(&input[..settled], &mut out);
                input.advance(settled);
                drop(input);
                if over {
                    slot.close_reading();
                }
                return out;
            }
        }
    }
}
