//! The request as plugins see and change it.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::{HeaderList, Kin};
use crate::net::body_file::BodyFile;

/// How much of the body has been read for Lua.
#[derive(Debug, Clone, Default)]
pub enum Body {
    /// Not read: it streams from the client to the upstream.
    #[default]
    Streaming,
    /// Read whole into memory (`ngx.req.read_body`), or set by a plugin.
    Memory(Bytes),
    /// Read whole into a temporary file, or a file that a plugin named; and its length.
    File(Arc<BodyFile>, u64),
}

/// The request. Starts as the client's head; Lua may change everything but the raw head.
#[derive(Debug, Default)]
pub struct Request {
    /// The method, upper-case as sent.
    pub method: String,
    /// The target as sent (`$request_uri`): path and query, never changed.
    pub target: String,
    /// 10, 11 or 20.
    pub version: u8,
    /// Whether the client's connection goes on, as far as the client's head says.
    pub keep_alive: bool,
    /// `https` or `http` by the connection.
    pub scheme: &'static str,
    /// The Host header's or absolute target's host, lower-case, without port (`$host`).
    pub host: String,
    /// The decoded, normalized path (`$uri`; writable by `ngx.req.set_uri`): bytes, of any encoding or none.
    pub uri: Vec<u8>,
    /// Whether `ngx.req.set_uri` changed `uri`.
    pub rewritten: bool,
    /// The query without `?` (`$args`; writable).
    pub args: Option<String>,
    /// Headers; also hold the raw head.
    pub headers: HeaderList,
    /// What became of the body.
    pub body: Body,
    /// Length by Content-Length, if given.
    pub content_length: Option<u64>,
    /// Whether the client sent a body (a length above 0, or chunked).
    pub has_body: bool,
    /// Bytes received so far, head and body (`$request_length`).
    pub length: u64,
    /// Not the client's own words any more: a subrequest, or after `ngx.exec` or `ngx.req.set_uri`.
    pub internal: bool,
    /// Its place among the requests that Lua makes for a client's (`ngx.location.capture`).
    pub kin: Kin,
    /// Its variables are its parent's, too (`share_all_vars`).
    pub shares: bool,
    /// The body was thrown away unread (`ngx.req.discard_body`).
    pub discarded: bool,
    /// A body that Lua makes piece by piece (`ngx.req.init_body`), until it is finished.
    pub building: Option<Box<Building>>,
    /// Internal redirects so far.
    pub redirects: u8,
    /// Where `ngx.exec` or a jump of `ngx.req.set_uri` sends the request, until the proxy takes it there.
    pub redirect: Option<Redirect>,
}

/// A target, a path or a query as text: bytes that are no UTF-8 are percent-encoded, so that none is lost.
pub fn target_text(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for b in chunk.invalid() {
            let _ = write!(out, "%{b:02X}");
        }
    }
    out
}

/// A body under construction.
#[derive(Debug)]
pub struct Building {
    /// The part in memory.
    pub memory: Vec<u8>,
    /// How large that may become, bytes.
    pub size: usize,
    /// All of it is to stand in a file.
    pub file_only: bool,
    /// Where the file comes.
    pub folder: PathBuf,
    /// The part in a file.
    pub file: Option<BuildingFile>,
}

/// The file of a body under construction.
#[derive(Debug)]
pub struct BuildingFile {
    /// Open for writing.
    pub open: File,
    /// Its name.
    pub name: BodyFile,
    /// Its length, bytes.
    pub len: u64,
}

/// An internal redirect.
#[derive(Debug, Clone)]
pub enum Redirect {
    /// `ngx.exec`: a path and a query; everything begins anew.
    Exec(Vec<u8>, Option<String>),
    /// `ngx.exec` of a named location.
    Named(Vec<u8>),
    /// `ngx.req.set_uri` with `jump`: the URI is set, rewrite runs again.
    Jump,
}

impl Request {
    /// The path of the target, before any `?`, as sent.
    pub fn raw_path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The path to route by, not decoded: the target's own, or `$uri` where Lua rewrote it.
    ///
    /// # Source
    /// nginx, `ngx_escape_uri` with `NGX_ESCAPE_URI`
    pub fn uri_path(&self) -> Cow<'_, [u8]> {
        if !self.rewritten {
            return self.raw_path().as_bytes().into();
        }
        let plain = |b: &u8| matches!(b, 0x21..=0x7e) && !matches!(b, b'#' | b'%' | b'?');
        if self.uri.iter().all(plain) {
            return self.uri.as_slice().into();
        }
        let mut out = Vec::with_capacity(self.uri.len() + 16);
        for b in &self.uri {
            match plain(b) {
                true => out.push(*b),
                false => out.extend_from_slice(format!("%{b:02X}").as_bytes()),
            }
        }
        out.into()
    }

    /// The request line as sent, for logs (`$request`).
    pub fn line(&self) -> &[u8] {
        let raw = self.headers.raw();
        let end = memchr::memchr2(b'\r', b'\n', raw).unwrap_or(raw.len());
        &raw[..end]
    }
}
