//! Bodies too large for memory, in temporary files that vanish with their last user.
//!
//! Must not: block the worker: reading and writing run on the runtime's blocking pool.

use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};

use crate::net::body_file::BodyFile;

/// A file being written; removed when dropped unfinished.
#[derive(Debug)]
pub struct Spool {
    file: File,
    path: PathBuf,
    len: u64,
    finished: bool,
}

impl Spool {
    /// Creates a file of its own name in `dir`.
    ///
    /// # Errors
    /// What the system says.
    pub fn create(dir: &Path) -> io::Result<Self> {
        // at once and not on the pool: a request that ends in between would leave its file behind
        std::fs::create_dir_all(dir)?;
        let path = dir.join(uuid::Uuid::new_v4().simple().to_string());
        let file = std::fs::File::options()
            .write(true)
            .create_new(true)
            .open(&path)?;
        let file = File::from_std(file);
        Ok(Self {
            file,
            path,
            len: 0,
            finished: false,
        })
    }

    /// Appends.
    ///
    /// # Errors
    /// What the system says.
    pub async fn write(&mut self, data: Bytes) -> io::Result<()> {
        self.len += data.len() as u64;
        self.file.write_all(&data).await
    }

    /// Bytes so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether nothing was written.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Flushes; the file now belongs to the caller.
    ///
    /// # Errors
    /// What the system says.
    pub async fn finish(mut self) -> io::Result<PathBuf> {
        self.file.flush().await?;
        self.finished = true;
        Ok(self.path.clone())
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if !self.finished {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A spooled body on its way to the upstream.
pub struct FileBody {
    file: File,
    left: u64,
    _path: Arc<BodyFile>,
}

impl FileBody {
    /// Opens it from the start.
    ///
    /// # Errors
    /// What the system says.
    pub async fn open(path: Arc<BodyFile>, len: u64) -> io::Result<Self> {
        Ok(Self {
            file: File::open(&**path).await?,
            left: len,
            _path: path,
        })
    }
}

impl http_body::Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let mut space = vec![0; self.left.min(64 << 10) as usize];
        let mut buf = ReadBuf::new(&mut space);
        std::task::ready!(Pin::new(&mut self.file).poll_read(cx, &mut buf))?;
        let n = buf.filled().len();
        if n == 0 {
            return Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into())));
        }
        self.left -= n as u64;
        space.truncate(n);
        Poll::Ready(Some(Ok(Frame::data(space.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
