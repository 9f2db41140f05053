//! A stream that plays a script: what it reads comes in given pieces, what it writes is kept.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Reads pieces with a Pending between them, then the end; writes at most `write_sizes` bytes at a time, a zero
/// there meaning Pending.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pieces: VecDeque<Vec<u8>>,
    paused: bool,
    pub(crate) written: Vec<u8>,
    pub(crate) writes: usize,
    pub(crate) write_sizes: VecDeque<usize>,
}

impl Script {
    pub(crate) fn new<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let pieces = pieces
            .into_iter()
            .filter(|piece| !piece.is_empty())
            .map(<[u8]>::to_vec)
            .collect();
        Self {
            pieces,
            ..Self::default()
        }
    }

    pub(crate) fn whole(bytes: &[u8]) -> Self {
        Self::new([bytes])
    }

    pub(crate) fn writing(sizes: impl IntoIterator<Item = usize>) -> Self {
        Self {
            write_sizes: sizes.into_iter().collect(),
            ..Self::default()
        }
    }

    fn write_room(&mut self) -> Option<usize> {
        match self.write_sizes.pop_front() {
            Some(0) => None,
            size => Some(size.unwrap_or(usize::MAX)),
        }
    }
}

impl AsyncRead for Script {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let script = self.get_mut();
        if std::mem::take(&mut script.paused) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(mut piece) = script.pieces.pop_front() {
            let here = piece.len().min(out.remaining());
            out.put_slice(&piece[..here]);
            if here < piece.len() {
                piece.drain(..here);
                script.pieces.push_front(piece);
            } else {
                script.paused = true;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Script {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let script = self.get_mut();
        let Some(mut room) = script.write_room() else {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        script.writes += 1;
        let before = script.written.len();
        for slice in slices {
            let here = slice.len().min(room);
            script.written.extend_from_slice(&slice[..here]);
            room -= here;
        }
        Poll::Ready(Ok(script.written.len() - before))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
