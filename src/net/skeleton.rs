//! The head hyper gets to see: method, `/`, version and what it needs to frame the message.
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
