//! How many clients the Admin API has at once; who comes beyond that is told so and sent away.
//!
//! Must not: wait for a client.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many are told at once why they are sent away; all others are closed without a word.
const TOLD: usize = 64;

/// How long one of them is listened to, so that it can read that.
const LISTEN: Duration = Duration::from_secs(1);

const REFUSAL: &[u8] = concat!(
    "HTTP/1.1 503 Service Temporarily Unavailable\r\nContent-Type: application/json; charset=utf-8\r\n",
    "Content-Length: 34\r\nServer: moongate/",
    env!("CARGO_PKG_VERSION"),
    "\r\nConnection: close\r\n\r\n{\"message\":\"Too many connections\"}"
)
.as_bytes();

/// The places, shared by all listeners.
#[derive(Debug, Clone)]
pub struct Places {
    free: Arc<Semaphore>,
    told: Arc<Semaphore>,
}

/// One of them, until it is dropped.
pub(super) type Place = OwnedSemaphorePermit;

impl Places {
    /// So many.
    pub fn new(most: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(most)),
            told: Arc::new(Semaphore::new(TOLD)),
        }
    }

    /// A place, if there is one.
    pub(super) fn take(&self) -> Option<Place> {
        self.free.clone().try_acquire_owned().ok()
    }

    /// Sends a client away; one that is to speak TLS cannot be told why.
    pub(super) fn refuse(&self, mut stream: TcpStream, tls: bool) {
        let Ok(telling) = self.told.clone().try_acquire_owned() else {
            return;
        };
        if tls {
            return;
        }
        tokio::spawn(async move {
            let _telling = telling;
            let told = async {
                stream.write_all(REFUSAL).await?;
                stream.shutdown().await?;
                // what it sent and nobody read would take the answer from it
                let mut thrown = [0; 4096];
                while stream.read(&mut thrown).await? > 0 {}
                std::io::Result::Ok(())
            };
            let _ = tokio::time::timeout(LISTEN, told).await;
        });
    }
}
