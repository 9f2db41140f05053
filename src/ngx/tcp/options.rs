//! `setoption`, `getoption`, `getfd`.
//!
//! Must not: touch any option but those OpenResty knows.

use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

use socket2::SockRef;

use super::super::sockets::reason;
use super::slot;
use crate::vm::{Args, Ret};

fn get(s: &SockRef<'_>, option: &[u8]) -> io::Result<usize> {
    match option {
        b"keepalive" => s.keepalive().map(usize::from),
        b"reuseaddr" => s.reuse_address().map(usize::from),
        b"tcp-nodelay" => s.tcp_nodelay().map(usize::from),
        b"sndbuf" => s.send_buffer_size(),
        b"rcvbuf" => s.recv_buffer_size(),
        b"keepintvl" => s.tcp_keepalive_interval().map(|d| d.as_secs() as usize),
        _ => s.tcp_keepalive_retries().map(|n| n as usize),
    }
}

fn set(s: &SockRef<'_>, option: &[u8], value: i64) -> io::Result<()> {
    let positive = || value.clamp(0, i64::from(i32::MAX));
    match option {
        b"keepalive" => s.set_keepalive(value != 0),
        b"reuseaddr" => s.set_reuse_address(value != 0),
        b"tcp-nodelay" => s.set_tcp_nodelay(value != 0),
        b"sndbuf" => s.set_send_buffer_size(positive() as usize),
        b"rcvbuf" => s.set_recv_buffer_size(positive() as usize),
        b"keepintvl" => {
            let every = Duration::from_secs(positive() as u64);
            let keep = socket2::TcpKeepalive::new().with_interval(every);
            s.set_keepalive(s.keepalive()?)
                .and_then(|()| s.set_tcp_keepalive(&keep))
        }
        _ => {
            let keep = socket2::TcpKeepalive::new().with_retries(positive() as u32);
            s.set_tcp_keepalive(&keep)
        }
    }
}

/// `option(id, name, value or nil)`: the option's value, or true where it was set; or `nil, err`.
pub(super) fn option(a: &Args, r: &mut Ret) {
    let Some((_, conn)) = slot::open_any(a, r, |_| false) else {
        return;
    };
    let name = a.str(2).unwrap_or_default();
    let done = conn.with_fd(|fd| {
        let socket = SockRef::from(&fd);
        match a.num(3) {
            Some(value) => set(&socket, name, value as i64).map(|()| None),
            None => get(&socket, name).map(Some),
        }
    });
    match done {
        None => r.fail("invalid socket fd"),
        Some(Err(e)) => r.fail(reason(&e)),
        Some(Ok(None)) => r.bool(true),
        Some(Ok(Some(value))) => r.num(value as f64),
    };
}

/// `fd(id)`: the socket's number in the system; or `nil, err`.
pub(super) fn fd(a: &Args, r: &mut Ret) {
    let Some((_, conn)) = slot::open_any(a, r, |_| false) else {
        return;
    };
    match conn.with_fd(|fd| fd.as_raw_fd()) {
        Some(fd) => r.num(fd),
        None => r.fail("faked connection"),
    };
}
