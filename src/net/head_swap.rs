//! One head in place of another on its way out: what hyper writes of its own is a skeleton, and the head that was set
//! goes out where that would stand, in one write with the bytes behind it.
//!
//! Must not: know requests from responses; `finish` does.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper::rt::Write;

/// Slices handed to one vectored write.
const MAX_SLICES: usize = 16;

/// A larger buffer is not kept for the next head.
const MAX_SPARE: usize = 16 << 10;

/// What hyper may write in front of a response's skeleton.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The next head, and the buffer of the last one.
#[derive(Debug, Default)]
pub(super) struct Slot {
    head: RefCell<Option<Vec<u8>>>,
    spare: RefCell<Vec<u8>>,
}

impl Slot {
    /// Sets the head in whose place hyper writes next.
    pub(super) fn set(&self, head: Vec<u8>) {
        self.head.replace(Some(head));
    }

    /// An empty buffer to build a head in: the last one written, where there was one.
    pub(super) fn buffer(&self) -> Vec<u8> {
        self.spare.take()
    }
}

/// Writes, and swaps heads.
#[derive(Debug)]
pub(super) struct HeadSwap {
    slot: Rc<Slot>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Bytes pass.
    Passing,
    /// So many bytes in front of the skeleton pass.
    Before { head: Vec<u8>, left: usize },
    /// The skeleton is being taken; so much of it came in earlier writes.
    Skeleton { head: Vec<u8>, taken: Vec<u8> },
    /// The skeleton is taken; of the head so many bytes are written.
    Sending { head: Vec<u8>, at: usize },
}

/// Where the first slice with something in it ends a head: how many bytes up to there.
fn end_of_head(before: &[u8], bytes: &[u8]) -> Option<usize> {
    const END: &[u8; 4] = b"\r\n\r\n";
    if before.is_empty() {
        // line by line: what is looked for is nowhere else than at the end of one
        let mut at = 0;
        while let Some(line) = memchr::memchr(b'\n', &bytes[at..]) {
            at += line + 1;
            if at >= END.len() && bytes[at - END.len()..at] == *END {
                return Some(at);
            }
        }
        return None;
    }
    let known = before.len().min(END.len() - 1);
    let joined = [&before[before.len() - known..], bytes].concat();
    memchr::memmem::find(&joined, END).map(|at| at + END.len() - known)
}

/// Lays `first` and then what stands behind `skipped` bytes of `slices` into `out`; how many there are then.
#[inline]
fn behind<'a>(
    out: &mut [IoSlice<'a>; MAX_SLICES],
    first: &'a [u8],
    slices: &'a [IoSlice<'_>],
    mut skipped: usize,
) -> usize {
    out[0] = IoSlice::new(first);
    let mut count = 1;
    for slice in slices {
        let here = skipped.min(slice.len());
        skipped -= here;
        if here < slice.len() && count < MAX_SLICES {
            out[count] = IoSlice::new(&slice[here..]);
            count += 1;
        }
    }
    count
}

impl HeadSwap {
    /// Swaps what is set in `slot`.
    pub(super) fn new(slot: Rc<Slot>) -> Self {
        Self {
            slot,
            state: State::Passing,
        }
    }

    fn done(&mut self, mut head: Vec<u8>) {
        if head.capacity() <= MAX_SPARE {
            head.clear();
            self.slot.spare.replace(head);
        }
        self.state = State::Passing;
    }

    /// Writes the rest of a head whose skeleton is taken.
    pub(super) fn poll_rest(
        &mut self,
        io: &mut (impl Write + Unpin),
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while let State::Sending { head, at } = &mut self.state {
            let written = ready!(Pin::new(&mut *io).poll_write(cx, &head[*at..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *at += written;
            if *at == head.len() {
                let head = std::mem::take(head);
                self.done(head);
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes `slices`; `finish` gets the head and the skeleton that it replaces, when that is whole.
    pub(super) fn poll_write(
        &mut self,
        io: &mut (impl Write + Unpin),
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
        finish: impl FnOnce(&mut Vec<u8>, &[u8]),
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_rest(io, cx))?;
        let Some(first) = slices.iter().find(|slice| !slice.is_empty()) else {
            return Pin::new(io).poll_write_vectored(cx, slices);
        };
        if matches!(self.state, State::Passing)
            && let Some(head) = self.slot.head.take()
        {
            self.state = match first.starts_with(CONTINUE) {
                true => State::Before {
                    head,
                    left: CONTINUE.len(),
                },
                false => State::Skeleton {
                    head,
                    taken: Vec::new(),
                },
            };
        }
        match &mut self.state {
            State::Before { head, left } => {
                let here = (*left).min(first.len());
                let written = ready!(Pin::new(io).poll_write(cx, &first[..here]))?;
                *left -= written;
                if *left == 0 {
                    self.state = State::Skeleton {
                        head: std::mem::take(head),
                        taken: Vec::new(),
                    };
                }
                Poll::Ready(Ok(written))
            }
            State::Skeleton { head, taken } => {
                let Some(end) = end_of_head(taken, first) else {
                    taken.extend_from_slice(first);
                    return Poll::Ready(Ok(first.len()));
                };
                if taken.is_empty() {
                    finish(head, &first[..end]);
                } else {
                    taken.extend_from_slice(&first[..end]);
                    finish(head, taken);
                }
                let mut joined = [IoSlice::new(&[]); MAX_SLICES];
                let count = behind(&mut joined, head, slices, end);
                // the skeleton counts as written in any case: the rest of the head is ours to write
                let written = match Pin::new(io).poll_write_vectored(cx, &joined[..count])? {
                    Poll::Ready(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    Poll::Ready(written) => written,
                    Poll::Pending => 0,
                };
                let head = std::mem::take(head);
                match written.checked_sub(head.len()) {
                    Some(behind) => {
                        self.done(head);
                        Poll::Ready(Ok(end + behind))
                    }
                    None => {
                        self.state = State::Sending { head, at: written };
                        Poll::Ready(Ok(end))
                    }
                }
            }
            State::Passing | State::Sending { .. } => Pin::new(io).poll_write_vectored(cx, slices),
        }
    }
}
