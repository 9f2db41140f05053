//! The two files that names depend on, read at the start and again when they have changed.
//!
//! Must not: read them on the worker's thread once it serves.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;
use std::time::SystemTime;

use super::hosts::{self, HostAddresses};
use super::options::Options;
use super::resolv_conf::ResolvConf;

/// How much of a file is read.
const MAX_FILE: u64 = 16 << 20;

/// Tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    len: u64,
    modified: Option<SystemTime>,
    inode: u64,
}

fn stamp(path: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path).ok()?;
    Some(Stamp {
        len: meta.len(),
        modified: meta.modified().ok(),
        inode: meta.ino(),
    })
}

/// What the files say.
#[derive(Debug, Clone)]
pub struct Files {
    /// The hosts file's names.
    pub hosts: HashMap<Box<str>, HostAddresses>,
    /// `resolv.conf` and the environment.
    pub conf: ResolvConf,
    stamps: [Option<Stamp>; 2],
}

// === impl Files ===

impl Files {
    /// Reads both.
    pub fn read(options: &Options) -> Self {
        let stamps = Self::stamps(options);
        Self {
            hosts: hosts::parse(&text(&options.hosts_file)),
            conf: ResolvConf::parse(
                &text(&options.resolv_conf),
                &options.localdomain,
                &options.res_options,
            ),
            stamps,
        }
    }

    /// The stamps of both, to be compared later and elsewhere.
    pub fn seen(&self) -> Seen {
        Seen(self.stamps)
    }

    fn stamps(options: &Options) -> [Option<Stamp>; 2] {
        [stamp(&options.hosts_file), stamp(&options.resolv_conf)]
    }
}

/// The state of the files when they were read last.
#[derive(Debug, Clone, Copy)]
pub struct Seen([Option<Stamp>; 2]);

impl Seen {
    /// The files again, if either has changed. Blocks.
    pub fn changed(self, options: &Options) -> Option<Files> {
        (Files::stamps(options) != self.0).then(|| Files::read(options))
    }
}

fn text(path: &Path) -> Vec<u8> {
    let mut text = Vec::new();
    if let Ok(file) = std::fs::File::open(path) {
        let _ = file.take(MAX_FILE).read_to_end(&mut text);
    }
    text
}
