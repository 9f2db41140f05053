//! What `lfs` and `pl.dir` ask of the file system (POSIX).
//!
//! Must not: follow what a caller did not ask to follow, or keep handles open.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{fs, io};

use super::ops::no_string;
use crate::vm::{Args, Registrar, Ret, op};

/// Registers the ops of room `files`.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("files", "stat", op::raw(stat))?;
    r.op("files", "list", op::raw(list))?;
    r.op("files", "mkdir", op::raw(mkdir))?;
    r.op("files", "rmdir", op::raw(rmdir))?;
    r.op("files", "chdir", op::raw(chdir))?;
    r.op("files", "link", op::raw(link))?;
    r.op("files", "touch", op::raw(touch))
}

fn path(a: &Args, i: usize) -> Option<&Path> {
    a.str(i).map(|bytes| Path::new(OsStr::from_bytes(bytes)))
}

/// The system's words and number, without Rust's "(os error 2)".
fn failed(r: &mut Ret, error: &io::Error) {
    let text = error.to_string();
    let words = text.find(" (os error").map_or(text.as_str(), |end| &text[..end]);
    r.fail(words)
        .int(i64::from(error.raw_os_error().unwrap_or_default()));
}

fn answer(r: &mut Ret, result: io::Result<()>) {
    match result {
        Ok(()) => {
            r.bool(true);
        }
        Err(error) => failed(r, &error),
    }
}

fn mode(kind: fs::FileType) -> &'static str {
    match kind {
        t if t.is_file() => "file",
        t if t.is_dir() => "directory",
        t if t.is_symlink() => "link",
        t if t.is_socket() => "socket",
        t if t.is_fifo() => "named pipe",
        t if t.is_char_device() => "char device",
        t if t.is_block_device() => "block device",
        _ => "other",
    }
}

fn permissions(mode: u32) -> String {
    let bit = |at: u32, letter: char| if mode >> at & 1 == 1 { letter } else { '-' };
    (0..9)
        .rev()
        .zip("rwxrwxrwx".chars())
        .map(|(at, c)| bit(at, c))
        .collect()
}

/// `stat(path, of_the_link)`: a table of attributes as `lfs` names them, or nil, words and a number.
fn stat(a: &Args, r: &mut Ret) {
    let Some(path) = path(a, 1) else {
        return no_string(a, r, 1, "attributes");
    };
    let found = if a.truthy(2) {
        fs::symlink_metadata(path)
    } else {
        fs::metadata(path)
    };
    let meta = match found {
        Ok(meta) => meta,
        Err(error) => return failed(r, &error),
    };
    r.table(0, 15, |t| {
        t.lit("mode").lit(mode(meta.file_type())).set();
        t.lit("permissions").str(permissions(meta.mode())).set();
        for (name, n) in [
            ("dev", meta.dev() as f64),
            ("ino", meta.ino() as f64),
            ("nlink", meta.nlink() as f64),
            ("uid", f64::from(meta.uid())),
            ("gid", f64::from(meta.gid())),
            ("rdev", meta.rdev() as f64),
            ("access", meta.atime() as f64),
            ("modification", meta.mtime() as f64),
            ("change", meta.ctime() as f64),
            ("size", meta.size() as f64),
            ("blocks", meta.blocks() as f64),
            ("blksize", meta.blksize() as f64),
        ] {
            t.lit(name).num(n).set();
        }
        if let (true, Ok(target)) = (meta.file_type().is_symlink(), fs::read_link(path)) {
            t.lit("target").str(target.as_os_str().as_bytes()).set();
        }
    });
}

/// The names in a folder, with "." and "..", as a list.
fn list(a: &Args, r: &mut Ret) {
    let Some(path) = path(a, 1) else {
        return no_string(a, r, 1, "dir");
    };
    match fs::read_dir(path) {
        Ok(entries) => {
            let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
            r.table(names.len() + 2, 0, |t| {
                t.lit(".").seti(1);
                t.lit("..").seti(2);
                for (i, name) in names.iter().enumerate() {
                    t.str(name.as_bytes()).seti(i + 3);
                }
            });
        }
        Err(error) => failed(r, &error),
    }
}

fn mkdir(a: &Args, r: &mut Ret) {
    match path(a, 1) {
        Some(path) => answer(r, fs::create_dir(path)),
        None => no_string(a, r, 1, "mkdir"),
    }
}

fn rmdir(a: &Args, r: &mut Ret) {
    match path(a, 1) {
        Some(path) => answer(r, fs::remove_dir(path)),
        None => no_string(a, r, 1, "rmdir"),
    }
}

fn chdir(a: &Args, r: &mut Ret) {
    match path(a, 1) {
        Some(path) => answer(r, std::env::set_current_dir(path)),
        None => no_string(a, r, 1, "chdir"),
    }
}

/// `link(old, new, symbolic)`.
fn link(a: &Args, r: &mut Ret) {
    match (path(a, 1), path(a, 2)) {
        (Some(old), Some(new)) if a.truthy(3) => answer(r, std::os::unix::fs::symlink(old, new)),
        (Some(old), Some(new)) => answer(r, fs::hard_link(old, new)),
        (None, _) => no_string(a, r, 1, "link"),
        (_, None) => no_string(a, r, 2, "link"),
    }
}

/// `touch(path, accessed, modified)`: seconds since the epoch, now where none are given.
fn touch(a: &Args, r: &mut Ret) {
    let Some(path) = path(a, 1) else {
        return no_string(a, r, 1, "touch");
    };
    let at = |i: usize, other: SystemTime| match a.num(i) {
        Some(n) if (0.0..1e12).contains(&n) => UNIX_EPOCH + Duration::from_secs_f64(n),
        _ => other,
    };
    let accessed = at(2, SystemTime::now());
    let modified = at(3, accessed);
    let times = fs::FileTimes::new().set_accessed(accessed).set_modified(modified);
    answer(r, fs::File::open(path).and_then(|file| file.set_times(times)));
}
