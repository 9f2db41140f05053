//! The head hyper gets to see: method, `/`, version and what it needs to frame the message; and what is taken from the
//! head that it writes.
//!
//! Must not: let any other byte of the client's head through.

use super::head::{Framing, HeadFault, RequestHead, Version};

/// Writes the skeleton of a head into `out`.
pub(super) fn write(head: &RequestHead, out: &mut Vec<u8>) {
    out.extend_from_slice(head.method());
    let http11 = head.version() == Some(Version::Http11);
    out.extend_from_slice(if http11 {
        b" / HTTP/1.1\r\n"
    } else {
        b" / HTTP/1.0\r\n"
    });
    match head.framing() {
        Framing::None => {}
        Framing::Length(length) => {
            out.extend_from_slice(b"content-length: ");
            push_decimal(length, out);
            out.extend_from_slice(b"\r\n");
        }
        Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    if head.connection.close {
        out.extend_from_slice(b"connection: close\r\n");
    } else if head.wants_upgrade() {
        // The protocol's name does not matter to hyper, its presence does.
        out.extend_from_slice(b"connection: upgrade\r\nupgrade: x\r\n");
    } else if !http11 && head.connection.keep_alive {
        out.extend_from_slice(b"connection: keep-alive\r\n");
    }
    if head.accepts_trailers() {
        out.extend_from_slice(b"te: trailers\r\n");
    }
    if head.expects_continue() && head.framing() != Framing::None {
        out.extend_from_slice(b"expect: 100-continue\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes a head that makes hyper call the service once more and then close.
pub(super) fn write_fault(fault: &HeadFault, out: &mut Vec<u8>) {
    // A HEAD must be answered without a body even when it is refused.
    out.extend_from_slice(if fault.head.method() == b"HEAD" {
        b"HEAD"
    } else {
        b"GET"
    });
    out.extend_from_slice(match fault.head.version() {
        Some(Version::Http10) => b" / HTTP/1.0\r\n",
        _ => b" / HTTP/1.1\r\n",
    });
    out.extend_from_slice(b"connection: close\r\n\r\n");
}

/// Ends a head by what hyper's own says of the framing and of the connection.
///
/// # Source
/// ngx_http_header_filter_module.c: `Connection` says in each response whether the connection goes on.
pub(super) fn finish(head: &mut Vec<u8>, skeleton: &[u8], dated: bool, keepalive: u64) {
    let mut stays = None;
    // what follows has no framing of HTTP's
    let switches = head.starts_with(b"HTTP/1.1 101 ");
    let mut at = memchr::memchr(b'\n', skeleton).map_or(skeleton.len(), |end| end + 1);
    while let Some(end) = memchr::memchr(b'\n', &skeleton[at..]) {
        let line = &skeleton[at..=at + end];
        at += end + 1;
        match line {
            [b'\r', ..] => break,
            [b'D', b'a', b't', b'e', b':', ..] if dated => continue,
            [b'C', b'o', b'n', b't', ..] | [b'T', b'r', b'a', b'n', ..] if switches => continue,
            [b'C', b'o', b'n', b'n', ..] => {
                // what ends it is said beside what would keep it
                let closes = memchr::memmem::find(line, b"close").is_some();
                stays = Some(!closes);
                continue;
            }
            _ => {}
        }
        head.extend_from_slice(line);
    }
    let stays = stays.unwrap_or(!skeleton.starts_with(b"HTTP/1.0"));
    head.extend_from_slice(match stays {
        _ if switches => b"Connection: upgrade\r\n",
        true => b"Connection: keep-alive\r\n",
        false => b"Connection: close\r\n",
    });
    if stays && keepalive > 0 && !switches {
        head.extend_from_slice(b"Keep-Alive: timeout=");
        push_decimal(keepalive, head);
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
}

fn push_decimal(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finished(skeleton: &str, dated: bool) -> String {
        let mut head = b"HTTP/1.1 200 OK\r\nx-A: 1\r\n".to_vec();
        finish(&mut head, skeleton.as_bytes(), dated, 0);
        String::from_utf8_lossy(&head).into_owned()
    }

    #[test]
    fn d02_a_head_ends_with_what_the_server_does() {
        for (skeleton, dated, end) in [
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
                false,
                "Content-Length: 5\r\nConnection: keep-alive\r\n\r\n",
            ),
            (
                "HTTP/1.1 200 OK\r\nConnection: close\r\nDate: now\r\n\r\n",
                true,
                "Connection: close\r\n\r\n",
            ),
            (
                "HTTP/1.1 200 OK\r\nDate: now\r\n\r\n",
                false,
                "Date: now\r\nConnection: keep-alive\r\n\r\n",
            ),
            ("HTTP/1.0 200 OK\r\n\r\n", false, "Connection: close\r\n\r\n"),
            (
                "HTTP/1.0 204 No Content\r\nConnection: close, keep-alive\r\n\r\n",
                false,
                "Connection: close\r\n\r\n",
            ),
            (
                "HTTP/1.0 204 No Content\r\nConnection: keep-alive\r\n\r\n",
                false,
                "Connection: keep-alive\r\n\r\n",
            ),
        ] {
            assert_eq!(
                finished(skeleton, dated),
                format!("HTTP/1.1 200 OK\r\nx-A: 1\r\n{end}")
            );
        }
    }
}
