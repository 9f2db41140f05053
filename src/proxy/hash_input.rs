//! What a request is hashed by, where its Upstream balances consistently.
//!
//! Must not: hash (the balancer does).

use std::borrow::Cow;
use std::rc::Rc;

use super::Generation;
use crate::entity::{HashOn, Hashing};
use crate::exchange::{Exchange, HashCookie};
use crate::vm::Scope;

/// As many arguments are looked at (`lua_max_uri_args`).
const MAX_ARGS: usize = 100;

/// Finds the value, once per request, and leaves it in the exchange: a plugin's own, else that of `hash_on`, else that
/// of `hash_fallback`, else an empty one.
pub fn find(g: &Generation, scope: &Rc<Scope>, hashing: &Hashing) {
    let Some(cell) = &scope.exchange else { return };
    if cell.borrow().target.hash_value.is_some() {
        return;
    }
    for (on, names) in [
        (hashing.hash_on, first(hashing)),
        (hashing.hash_fallback, second(hashing)),
    ] {
        if on == HashOn::Consumer {
            consumer(g, scope);
        } else {
            let value = input(&mut cell.borrow_mut(), on, &names);
            cell.borrow_mut().target.hash_value = value;
        }
        if cell.borrow().target.hash_value.is_some() {
            return;
        }
    }
    cell.borrow_mut().target.hash_value = Some(Vec::new());
}

/// What the inputs of one of the two are called.
struct Names<'h> {
    header: Option<&'h str>,
    query_arg: Option<&'h str>,
    uri_capture: Option<&'h str>,
    cookie: Option<&'h str>,
    cookie_path: &'h str,
}

fn first(h: &Hashing) -> Names<'_> {
    Names {
        header: h.hash_on_header.as_deref(),
        query_arg: h.hash_on_query_arg.as_deref(),
        uri_capture: h.hash_on_uri_capture.as_deref(),
        cookie: h.hash_on_cookie.as_deref(),
        cookie_path: h.hash_on_cookie_path.as_deref().unwrap_or("/"),
    }
}

fn second(h: &Hashing) -> Names<'_> {
    Names {
        header: h.hash_fallback_header.as_deref(),
        query_arg: h.hash_fallback_query_arg.as_deref(),
        uri_capture: h.hash_fallback_uri_capture.as_deref(),
        ..first(h)
    }
}

/// The consumer's id; what only Lua knows (the credential), Lua says.
fn consumer(g: &Generation, scope: &Rc<Scope>) {
    let Some(cell) = &scope.exchange else { return };
    let known = cell.borrow().client.consumer;
    if let Some(consumer) = known.and_then(|at| g.snapshot.consumer(at)) {
        cell.borrow_mut().target.hash_value = Some(consumer.id.clone().into_bytes());
        return;
    }
    g.balancing.hash_consumer(&g.vm, scope);
}

fn input(x: &mut Exchange, on: HashOn, names: &Names<'_>) -> Option<Vec<u8>> {
    match on {
        HashOn::None | HashOn::Consumer => None,
        HashOn::Ip => Some(x.client.addr.ip().to_canonical().to_string().into_bytes()),
        HashOn::Header => {
            let name = names.header?.as_bytes();
            let all: Vec<&[u8]> = x.request.headers.get_all(name).collect();
            (!all.is_empty()).then(|| all.join(&b", "[..]))
        }
        HashOn::Cookie => cookie(x, names),
        HashOn::Path => Some(x.request.uri.clone()),
        HashOn::QueryArg => argument(x.request.args.as_deref()?, names.query_arg?),
        HashOn::UriCapture => {
            let captures = x.matched.as_ref()?.captures.as_ref()?;
            let wanted = names.uri_capture?;
            let found = captures.named.iter().find(|(name, _)| name == wanted)?;
            Some(found.1.clone().into_bytes())
        }
    }
}

/// The cookie's value; a client without one is given one.
fn cookie(x: &mut Exchange, names: &Names<'_>) -> Option<Vec<u8>> {
    let name = names.cookie?;
    let known = x.request.headers.get_all(b"cookie").find_map(|line| {
        line.split(|b| *b == b';' || *b == b',').find_map(|pair| {
            let pair = pair.trim_ascii_start();
            let at = memchr::memchr(b'=', pair)?;
            pair[..at]
                .eq_ignore_ascii_case(name.as_bytes())
                .then(|| pair[at + 1..].to_vec())
        })
    });
    if known.is_some() {
        return known;
    }
    let value = uuid::Uuid::new_v4().to_string();
    x.target.hash_cookie = Some(Box::new(HashCookie {
        name: name.to_owned(),
        value: value.clone(),
        path: names.cookie_path.to_owned(),
    }));
    Some(value.into_bytes())
}

fn unescape(text: &str) -> Vec<u8> {
    let plus = text.replace('+', " ");
    percent_encoding::percent_decode_str(&plus).collect()
}

/// The values of an argument, in order, joined.
fn argument(args: &str, wanted: &str) -> Option<Vec<u8>> {
    let pairs = args.split('&').filter(|pair| !pair.is_empty()).take(MAX_ARGS);
    let mut values: Vec<Cow<'_, [u8]>> = pairs
        .filter_map(|pair| match pair.split_once('=') {
            Some((name, value)) => (unescape(name) == wanted.as_bytes()).then(|| unescape(value).into()),
            None => (unescape(pair) == wanted.as_bytes()).then_some(Cow::Borrowed(&b"true"[..])),
        })
        .collect();
    values.sort();
    (!values.is_empty()).then(|| values.join(&b","[..]))
}

/// Gives the client the cookie it is hashed by from now on, before plugins see the response.
pub fn set_cookie(x: &mut Exchange) {
    let Some(cookie) = x.target.hash_cookie.take() else {
        return;
    };
    let start = format!("{}=", cookie.name);
    // Kong's spelling of SameSite; no browser knows it
    let line = format!(
        "{start}{}; Path={}; Same-Site=Lax; HttpOnly",
        cookie.value, cookie.path
    );
    let Ok(line) = http::HeaderValue::from_str(&line) else {
        return;
    };
    let name = http::header::SET_COOKIE;
    let kept: Vec<_> = x.response.headers.get_all(&name).iter().cloned().collect();
    x.response.headers.remove(&name);
    for other in kept {
        if !other.as_bytes().starts_with(start.as_bytes()) {
            x.response.headers.append(&name, other);
        }
    }
    x.response.headers.append(name, line);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::exchange::testing;

    fn hashed(head: &str, hashing: serde_json::Value) -> Option<String> {
        let mut x = testing::exchange(head);
        let hashing: Hashing = serde_json::from_value(hashing).unwrap();
        let value = input(&mut x, hashing.hash_on, &first(&hashing))
            .or_else(|| input(&mut x, hashing.hash_fallback, &second(&hashing)));
        value.map(|v| String::from_utf8(v).unwrap())
    }

    #[test]
    fn c06_inputs_of_the_hash() {
        let on = |on: &str, head: &str| {
            let hashing = serde_json::json!({ "hash_on": on, "hash_on_header": "X-H", "hash_on_cookie": "c",
                "hash_on_query_arg": "q", "hash_on_uri_capture": "u" });
            hashed(head, hashing)
        };
        let value = |text: &str| Some(text.to_owned());
        assert_eq!(on("none", "GET / HTTP/1.1"), None);
        assert_eq!(on("ip", "GET / HTTP/1.1"), value("127.0.0.1"));
        assert_eq!(on("header", "GET / HTTP/1.1\nx-h: 1\nX-H: 2"), value("1, 2"));
        assert_eq!(on("header", "GET / HTTP/1.1"), None);
        assert_eq!(on("path", "GET /a/b?x HTTP/1.1"), value("/a/b"));
        assert_eq!(
            on("query_arg", "GET /?q=b+%41&q&x=1&q=a HTTP/1.1"),
            value("a,b A,true")
        );
        assert_eq!(on("query_arg", "GET /?p=1 HTTP/1.1"), None);
        assert_eq!(on("uri_capture", "GET / HTTP/1.1"), None);
        assert_eq!(on("cookie", "GET / HTTP/1.1\nCookie: a=1; c=2"), value("2"));
        assert_eq!(on("cookie", "GET / HTTP/1.1").unwrap().len(), 36, "a new one");
        let fallback = serde_json::json!({ "hash_on": "header", "hash_on_header": "a", "hash_fallback": "header",
            "hash_fallback_header": "b" });
        assert_eq!(hashed("GET / HTTP/1.1\nB: 3", fallback), value("3"));
    }

    #[test]
    fn c06_the_cookie_takes_its_namesakes_place() {
        let mut x = testing::exchange("GET / HTTP/1.1");
        for line in ["c=old", "other=1"] {
            x.response.headers.append("set-cookie", line.parse().unwrap());
        }
        x.target.hash_cookie = Some(Box::new(HashCookie {
            name: "c".into(),
            value: "new".into(),
            path: "/p".into(),
        }));
        set_cookie(&mut x);
        let all: Vec<_> = x.response.headers.get_all("set-cookie").iter().collect();
        assert_eq!(all, ["other=1", "c=new; Path=/p; Same-Site=Lax; HttpOnly"]);
    }
}
