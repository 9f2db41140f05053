//! The one thread that writes logs.
//!
//! Must not: make a sender wait. (`flush` and `Drop`, which wait for a while, are for the end of the process.)

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::error::{ErrorContext, write_line};
use super::level::Level;
use super::stamp::Stamp;
use super::target::Target;

/// Messages that may wait for the thread; an access buffer is one message.
const QUEUE: usize = 2048;
/// How long the end of the process waits for the last lines.
const LAST_WRITES: Duration = Duration::from_millis(500);

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// In nginx's words.
    #[error("open() \"{}\" failed ({source})", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The thread is gone or could not be started.
    #[error("log writer: {0}")]
    Thread(String),
}

enum Message {
    /// Sinks are numbered in the order in which they are opened.
    Open(Output, Arc<AtomicU64>),
    Lines(usize, Vec<u8>),
    Reopen,
    Flush(SyncSender<()>),
    Stop,
}

enum Output {
    Stdout,
    Stderr,
    File(PathBuf, File),
}

/// Owner of the writing thread; shared by the process's threads.
#[derive(Debug)]
pub struct LogWriter {
    sender: SyncSender<Message>,
    sinks: Mutex<HashMap<Target, LogSink>>,
    thread: Option<JoinHandle<()>>,
}

/// One target's entrance; cheap to clone, one per worker.
#[derive(Debug, Clone)]
pub struct LogSink {
    /// `None` when the log is off.
    sender: Option<SyncSender<Message>>,
    id: usize,
    dropped: Arc<AtomicU64>,
}

// === impl LogWriter ===

impl LogWriter {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives us no thread.
    pub fn start() -> Result<Self, LogError> {
        let (sender, receiver) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new()
            .name("logs".to_owned())
            .spawn(move || run(&receiver))
            .map_err(|error| LogError::Thread(error.to_string()))?;
        Ok(Self {
            sender,
            sinks: Mutex::default(),
            thread: Some(thread),
        })
    }

    /// Opens a target; the same target again gives the same sink.
    ///
    /// # Errors
    /// The file cannot be opened for appending.
    pub fn open(&self, target: &Target) -> Result<LogSink, LogError> {
        let mut sinks = self.sinks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sink) = sinks.get(target) {
            return Ok(sink.clone());
        }
        let output = match target {
            Target::Off => return Ok(LogSink::off()),
            Target::Stdout => Output::Stdout,
            Target::Stderr => Output::Stderr,
            Target::File(path) => Output::File(
                path.clone(),
                append(path).map_err(|source| LogError::Open {
                    path: path.clone(),
                    source,
                })?,
            ),
        };
        let sink = LogSink {
            sender: Some(self.sender.clone()),
            id: sinks.len(),
            dropped: Arc::default(),
        };
        self.sender
            .send(Message::Open(output, Arc::clone(&sink.dropped)))
            .map_err(|_| LogError::Thread("gone".to_owned()))?;
        sinks.insert(target.clone(), sink.clone());
        Ok(sink)
    }

    /// Opens all files anew, behind what is queued (SIGUSR1). A file that cannot be opened stays the old one.
    pub fn reopen(&self) {
        // A thread that is gone has nothing to reopen.
        let _ = self.sender.send(Message::Reopen);
    }

    /// Waits until everything queued so far is written, or `limit` is over; whether it was written.
    pub fn flush(&self, limit: Duration) -> bool {
        let (done, wait) = sync_channel(1);
        self.send_within(Message::Flush(done), limit) && wait.recv_timeout(limit).is_ok()
    }

    /// Sends even if the queue is full, but does not wait for ever: a log may be a pipe nobody reads.
    fn send_within(&self, message: Message, limit: Duration) -> bool {
        let end = Instant::now() + limit;
        let mut message = message;
        loop {
            message = match self.sender.try_send(message) {
                Ok(()) => return true,
                Err(TrySendError::Full(back)) if Instant::now() < end => back,
                Err(_) => return false,
            };
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for LogWriter {
    /// Writes what is queued, then stops; a thread that hangs in a write is left behind.
    fn drop(&mut self) {
        let written = self.flush(LAST_WRITES);
        let _ = self.sender.try_send(Message::Stop);
        if let Some(thread) = self.thread.take().filter(|_| written) {
            let _ = thread.join();
        }
    }
}

// === impl LogSink ===

impl LogSink {
    /// A sink that takes everything and keeps nothing.
    pub fn off() -> Self {
        Self {
            sender: None,
            id: 0,
            dropped: Arc::default(),
        }
    }

    /// Whether nothing is written here.
    pub fn is_off(&self) -> bool {
        self.sender.is_none()
    }

    /// Hands over finished lines. Never waits: with a full queue they are dropped and counted.
    pub fn write(&self, lines: Vec<u8>) {
        if let Some(sender) = &self.sender
            && sender.try_send(Message::Lines(self.id, lines)).is_err()
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

// === the thread ===

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

fn run(receiver: &Receiver<Message>) {
    let mut outputs: Vec<(Output, Arc<AtomicU64>)> = Vec::new();
    while let Ok(message) = receiver.recv() {
        match message {
            Message::Open(output, dropped) => outputs.push((output, dropped)),
            Message::Lines(id, lines) => {
                if let Some((output, dropped)) = outputs.get_mut(id) {
                    let lost = dropped.swap(0, Ordering::Relaxed);
                    output.write(&lines);
                    if lost > 0 {
                        output.write(&loss(lost));
                    }
                }
            }
            Message::Reopen => outputs.iter_mut().for_each(|(output, _)| output.reopen()),
            Message::Flush(done) => drop(done.send(())),
            Message::Stop => return,
        }
    }
}

fn loss(lost: u64) -> Vec<u8> {
    let mut line = Vec::new();
    let message = format!("{lost} log writes were dropped: the log could not be written fast enough");
    let context = ErrorContext::default();
    write_line(
        &mut line,
        &Stamp::now(),
        Level::Alert,
        std::process::id(),
        message.as_bytes(),
        &context,
    );
    line
}

impl Output {
    fn write(&mut self, lines: &[u8]) {
        let result = match self {
            Self::Stdout => io::stdout().write_all(lines).and_then(|()| io::stdout().flush()),
            Self::Stderr => io::stderr().write_all(lines),
            Self::File(_, file) => file.write_all(lines),
        };
        // Nobody is left to be told that a log cannot be written.
        drop(result);
    }

    fn reopen(&mut self) {
        let Self::File(path, file) = self else { return };
        match append(path) {
            Ok(new) => *file = new,
            Err(error) => {
                let _ = writeln!(io::stderr(), "open() \"{}\" failed ({error})", path.display());
            }
        }
    }
}
