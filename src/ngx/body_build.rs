//! `ngx.req.init_body`, `append_body`, `finish_body`: a body made piece by piece, in memory up to a size and then
//! in a file.
//!
//! Writing waits for the disk, as it does on nginx: these functions do not yield. Must not: read bodies.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::body::{buffered_to_file, replace, replaceable};
use super::call;
use crate::exchange::Body;
use crate::exchange::request::{Building, BuildingFile};
use crate::net::body_file::BodyFile;
use crate::vm::{Args, Registrar, Ret, op, scope};

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ngx_body", "init", op::raw(init))?;
    r.op("ngx_body", "append", op::raw(append))?;
    r.op("ngx_body", "finish", op::raw(finish))
}

/// The most that is kept in memory whatever size Lua asks for, bytes.
const MOST_IN_MEMORY: u64 = 64 << 20;

/// What the gateway's settings say: bytes kept in memory, and the folder of files.
fn room() -> (u64, PathBuf) {
    let reader = scope::with(|s| s.body_reader.borrow().clone()).flatten();
    reader.map_or_else(|| (8 << 10, std::env::temp_dir()), |reader| reader.room())
}

/// `init(size)`.
fn init(a: &Args, r: &mut Ret) {
    if !call::count(a, r, 0, 1, "0 or 1 argument") || !replaceable(r) {
        return;
    }
    let (size, folder) = room();
    let size = if a.len() == 1 {
        let Some(n) = call::check_num(a, r, 1, "init_body") else {
            return;
        };
        if n < 0.0 {
            return r.raise(format!("bad size argument: {}", n as i64));
        }
        n as u64
    } else {
        size
    };
    scope::write(|x| {
        let building = Building {
            memory: Vec::new(),
            // written in pieces of this size where nothing is to stay in memory
            size: if size == 0 {
                64 << 10
            } else {
                size.min(MOST_IN_MEMORY) as usize
            },
            file_only: size == 0,
            folder,
            file: None,
        };
        x.request.body = Body::Memory(Bytes::new());
        x.request.building = Some(Box::new(building));
    });
}

/// `append(s)`.
fn append(a: &Args, r: &mut Ret) {
    if !call::count(a, r, 1, 1, "1 arguments") {
        return;
    }
    let Some(data) = call::check_text(a, r, 1, "append_body") else {
        return;
    };
    let done = scope::write(|x| {
        x.request.building.as_mut().map(|b| {
            let before = b.file.is_some();
            add(b, &data)?;
            let new = b.file.as_ref().filter(|_| !before);
            Ok::<_, std::io::Error>(new.map(|file| file.name.to_path_buf()))
        })
    });
    if let Some(Some(Ok(Some(path)))) = &done {
        buffered_to_file(path);
    }
    match done {
        None => call::no_request(r),
        Some(None) => r.raise("request_body not initialized"),
        Some(Some(Err(_))) => r.raise("fail to write file"),
        Some(Some(Ok(_))) => {}
    }
}

fn add(b: &mut Building, mut data: &[u8]) -> std::io::Result<()> {
    while !data.is_empty() {
        if b.memory.len() == b.size {
            flush(b)?;
        }
        let (now, later) = data.split_at(data.len().min(b.size - b.memory.len()));
        b.memory.extend_from_slice(now);
        data = later;
    }
    Ok(())
}

fn flush(b: &mut Building) -> std::io::Result<()> {
    let file = match &mut b.file {
        Some(file) => file,
        None => {
            std::fs::create_dir_all(&b.folder)?;
            let path = b.folder.join(uuid::Uuid::new_v4().simple().to_string());
            let open = File::options().write(true).create_new(true).open(&path)?;
            b.file.insert(BuildingFile {
                open,
                name: BodyFile::temporary(path),
                len: 0,
            })
        }
    };
    file.open.write_all(&b.memory)?;
    file.len += b.memory.len() as u64;
    b.memory.clear();
    Ok(())
}

/// `finish()`.
fn finish(a: &Args, r: &mut Ret) {
    if !call::count(a, r, 0, 0, "0 argument") {
        return;
    }
    let done = scope::write(|x| {
        let mut b = x.request.building.take()?;
        if (b.file.is_some() || b.file_only) && flush(&mut b).is_err() {
            return Some(false);
        }
        let body = match b.file {
            Some(file) => Body::File(Arc::new(file.name), file.len),
            None => Body::Memory(b.memory.into()),
        };
        replace(x, body);
        Some(true)
    });
    match done {
        None => call::no_request(r),
        Some(None) => r.raise("request_body not initialized"),
        Some(Some(false)) => r.raise("fail to write file"),
        Some(Some(true)) => {}
    }
}
