//! A response's body at a rate (`$limit_rate`): what may not leave yet is held back.
//!
//! Must not: change bytes.
//!
//! # Source
//! ngx_http_write_filter_module.c

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Frame;
use tokio::time::Sleep;

/// How fast, in bytes per second, and how much goes before that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// `limit_rate`; 0 for none.
    pub rate: u64,
    /// `limit_rate_after`.
    pub after: u64,
    /// When the request began.
    pub since: Instant,
}

/// What is held back, and until when.
#[derive(Debug, Default)]
pub struct Pace {
    held: Bytes,
    trailers: Option<HeaderMap>,
    /// Bytes that left, head included.
    sent: u64,
    pause: Option<Pin<Box<Sleep>>>,
    /// Nothing comes behind what is held.
    pub over: bool,
}

impl Pace {
    /// Begins behind a head of so many bytes.
    pub fn new(head: u64) -> Self {
        Self {
            sent: head,
            ..Self::default()
        }
    }

    /// Takes a frame to be let go piece by piece.
    pub fn hold(&mut self, frame: Frame<Bytes>) {
        match frame.into_data() {
            Ok(data) => self.held = data,
            Err(other) => self.trailers = other.into_trailers().ok(),
        }
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty() && self.trailers.is_none()
    }

    fn wait(&mut self, delay: Duration) {
        let pause = tokio::time::Instant::now() + delay;
        match &mut self.pause {
            Some(sleep) => sleep.as_mut().reset(pause),
            None => self.pause = Some(Box::pin(tokio::time::sleep_until(pause))),
        }
    }

    /// The next piece that may leave; None where nothing is held.
    pub fn poll_piece(&mut self, cx: &mut Context<'_>, limit: Rate) -> Poll<Option<Frame<Bytes>>> {
        loop {
            if self.is_empty() {
                return Poll::Ready(None);
            }
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            if self.held.is_empty() {
                return Poll::Ready(self.trailers.take().map(Frame::trailers));
            }
            let Some(rate) = Some(limit.rate).filter(|rate| *rate > 0) else {
                return Poll::Ready(Some(Frame::data(std::mem::take(&mut self.held))));
            };
            let seconds = limit.since.elapsed().as_secs() + 1;
            let may = rate.saturating_mul(seconds).saturating_add(limit.after);
            let Some(room) = may.checked_sub(self.sent).filter(|room| *room > 0) else {
                self.wait(delay(self.sent - may, rate) + Duration::from_millis(1));
                continue;
            };
            let piece = room.min(self.held.len() as u64);
            let counted = |sent: u64| sent.saturating_sub(limit.after);
            let (before, now) = (counted(self.sent), counted(self.sent + piece));
            self.sent += piece;
            if now > before {
                self.wait(delay(now - before, rate));
            }
            return Poll::Ready(Some(Frame::data(self.held.split_to(piece as usize))));
        }
    }
}

/// How long so many bytes take.
fn delay(bytes: u64, rate: u64) -> Duration {
    Duration::from_millis(u64::try_from(u128::from(bytes) * 1000 / u128::from(rate)).unwrap_or(u64::MAX))
        .min(Duration::from_secs(30 * 24 * 3600))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(pace: &mut Pace, limit: Rate) -> Vec<usize> {
        let mut pieces = Vec::new();
        while let Some(frame) = std::future::poll_fn(|cx| pace.poll_piece(cx, limit)).await {
            pieces.push(frame.data_ref().map_or(0, Bytes::len));
        }
        pieces
    }

    #[tokio::test]
    async fn d02_a_second_has_its_share() {
        let limit = |rate, after| Rate {
            rate,
            after,
            since: Instant::now(),
        };
        let began = Instant::now();
        let mut pace = Pace::new(100);
        pace.hold(Frame::data(Bytes::from(vec![0; 2500])));
        let pieces = all(&mut pace, limit(2000, 0)).await;
        assert_eq!((pieces[0], pieces.iter().sum::<usize>()), (1900, 2500));
        assert!(began.elapsed() >= Duration::from_millis(950), "{pieces:?}");
        // what comes before is free, and so is everything without a rate
        let began = Instant::now();
        let mut pace = Pace::new(0);
        pace.hold(Frame::data(Bytes::from(vec![0; 5000])));
        assert_eq!(all(&mut pace, limit(1, 5000)).await, [5000]);
        pace.hold(Frame::data(Bytes::from(vec![0; 5000])));
        pace.pause = None;
        assert_eq!(all(&mut pace, limit(0, 0)).await, [5000]);
        pace.hold(Frame::trailers(HeaderMap::new()));
        assert_eq!(all(&mut pace, limit(1, 0)).await, [0]);
        assert!(began.elapsed() < Duration::from_millis(900));
    }

    #[test]
    fn d02_a_delay_is_never_without_end() {
        assert_eq!(delay(3000, 2000), Duration::from_millis(1500));
        assert!(delay(u64::MAX, 1) <= Duration::from_secs(30 * 24 * 3600));
    }
}
