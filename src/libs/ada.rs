//! URLs as browsers read them (`resty.ada`), over the `url` crate, which keeps the same standard as ada does.
//!
//! Must not: keep URLs: Lua holds the text of one, each op reads it anew.

use url::{Url, quirks};

use crate::vm::{Args, Registrar, Ret, op};

const ROOM: &str = "ada";

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op(ROOM, "parse", op::raw(parse))?;
    r.op(ROOM, "get", op::raw(get))?;
    r.op(ROOM, "set", op::raw(set))?;
    r.module("resty.ada", crate::embed!("resty/ada.lua"))
}

fn text(a: &Args, at: usize) -> Option<&str> {
    std::str::from_utf8(a.str(at)?).ok()
}

fn url(a: &Args, at: usize) -> Option<Url> {
    Url::parse(text(a, at)?).ok()
}

/// (url, base or nil): the text as it is written canonically, or nil.
fn parse(a: &Args, r: &mut Ret) {
    let read = || {
        let given = text(a, 1)?;
        match a.str(2) {
            None => Url::parse(given).ok(),
            Some(_) => url(a, 2)?.join(given).ok(),
        }
    };
    match read() {
        Some(found) => r.str(found.as_str()),
        None => r.nil(),
    };
}

/// (url, part): the part as text, or nil.
fn get(a: &Args, r: &mut Ret) {
    let (Some(u), Some(part)) = (url(a, 1), text(a, 2)) else {
        r.nil();
        return;
    };
    match part {
        "origin" => r.str(quirks::origin(&u)),
        "protocol" => r.str(quirks::protocol(&u)),
        "username" => r.str(quirks::username(&u)),
        "password" => r.str(quirks::password(&u)),
        "host" => r.str(quirks::host(&u)),
        "hostname" => r.str(quirks::hostname(&u)),
        "port" => r.str(quirks::port(&u)),
        "pathname" => r.str(quirks::pathname(&u)),
        "search" => r.str(quirks::search(&u)),
        "hash" => r.str(quirks::hash(&u)),
        "host_type" => r.num(match u.host() {
            Some(url::Host::Ipv4(_)) => 1,
            Some(url::Host::Ipv6(_)) => 2,
            _ => 0,
        }),
        _ => r.nil(),
    };
}

/// (url, part, value): the URL with the part set, or nil.
fn set(a: &Args, r: &mut Ret) {
    let (Some(mut u), Some(part), Some(value)) = (url(a, 1), text(a, 2), text(a, 3)) else {
        r.nil();
        return;
    };
    let done = match part {
        "protocol" => quirks::set_protocol(&mut u, value).is_ok(),
        "username" => quirks::set_username(&mut u, value).is_ok(),
        "password" => quirks::set_password(&mut u, value).is_ok(),
        "host" => quirks::set_host(&mut u, value).is_ok(),
        "hostname" => quirks::set_hostname(&mut u, value).is_ok(),
        "port" => quirks::set_port(&mut u, value).is_ok(),
        "pathname" => {
            quirks::set_pathname(&mut u, value);
            true
        }
        "search" => {
            quirks::set_search(&mut u, value);
            true
        }
        "hash" => {
            quirks::set_hash(&mut u, value);
            true
        }
        _ => false,
    };
    match done {
        true => r.str(u.as_str()),
        false => r.nil(),
    };
}
