//! Conditional requests: an answer of the gateway's own that names its version is not sent to who has it.
//!
//! What an upstream answers is the upstream's to judge. Must not: look at anything but the two heads.
//!
//! # Source
//! nginx, `ngx_http_not_modified_filter_module.c` with its default `if_modified_since exact`; RFC 9110, 13.1.

use http::{HeaderMap, HeaderValue, header};

use super::Generation;
use super::respond::answer_exit;
use crate::exchange::{Exchange, HeaderList};
use crate::ngx::parse_http_time;

/// What the request's conditions make of an answer.
#[derive(Debug, PartialEq, Eq)]
enum Judged {
    Sent,
    NotModified,
    Failed,
}

/// Turns an own answer of 200 into 304 or 412 where the request asks for that; true if it became another answer.
pub fn apply(g: &Generation, x: &mut Exchange) -> bool {
    if x.response.status != 200 || x.request.kin.depth() > 0 || x.response.body.is_none() {
        return false;
    }
    match judge(&x.request.headers, &x.response.headers) {
        Judged::Sent => false,
        Judged::NotModified => {
            x.response.status = 304;
            for name in [
                header::CONTENT_TYPE,
                header::CONTENT_LENGTH,
                header::CONTENT_ENCODING,
                header::ACCEPT_RANGES,
            ] {
                x.response.headers.remove(name);
            }
            x.response.body = Some(Vec::new());
            false
        }
        Judged::Failed => {
            x.response.headers = HeaderMap::new();
            x.response.body = None;
            answer_exit(g, x, 412);
            true
        }
    }
}

fn judge(asked: &HeaderList, answer: &HeaderMap) -> Judged {
    let modified = || {
        answer
            .get(header::LAST_MODIFIED)
            .and_then(|v| parse_http_time(v.as_bytes()))
    };
    let tag = || answer.get(header::ETAG);
    if let Some(since) = asked.get("if-unmodified-since")
        && modified().is_none_or(|m| parse_http_time(since).is_none_or(|s| s < m))
    {
        return Judged::Failed;
    }
    if let Some(list) = asked.get("if-match")
        && !matches(list, tag(), false)
    {
        return Judged::Failed;
    }
    let (since, none) = (asked.get("if-modified-since"), asked.get("if-none-match"));
    if since.is_none() && none.is_none() {
        return Judged::Sent;
    }
    let same_time = |since: &[u8]| modified().is_some_and(|m| parse_http_time(since) == Some(m));
    if since.is_some_and(|s| !same_time(s)) || none.is_some_and(|list| !matches(list, tag(), true)) {
        return Judged::Sent;
    }
    Judged::NotModified
}

/// Whether a list of tags names this one, or any; weak ones are the same as strong ones if `weak` says so.
fn matches(list: &[u8], tag: Option<&HeaderValue>, weak: bool) -> bool {
    if list == b"*" {
        return true;
    }
    let Some(tag) = tag else { return false };
    let tag = bare(tag.as_bytes(), weak);
    list.split(|b| *b == b',')
        .any(|one| bare(one.trim_ascii(), weak) == tag)
}

/// A tag without the sign of weakness, if that does not matter.
fn bare(tag: &[u8], weak: bool) -> &[u8] {
    tag.strip_prefix(b"W/").filter(|_| weak).unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const THEN: &str = "Thu, 18 Nov 2010 11:27:35 GMT";
    const LATER: &str = "Fri, 19 Nov 2010 11:27:35 GMT";

    fn judged(asked: &[(&str, &str)], answer: &[(&'static str, &str)]) -> Judged {
        let mut list = HeaderList::default();
        for (name, value) in asked {
            list.add(name.as_bytes(), value.as_bytes());
        }
        let mut headers = HeaderMap::new();
        for (name, value) in answer {
            headers.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        judge(&list, &headers)
    }

    #[test]
    fn d02_conditions_are_judged_as_nginx_does() {
        let both = [("etag", "\"x\""), ("last-modified", THEN)];
        for asked in [
            ("If-None-Match", "\"x\""),
            ("If-None-Match", "W/\"x\""),
            ("If-None-Match", "\"y\" , \"x\""),
            ("If-None-Match", "*"),
            ("If-Modified-Since", THEN),
        ] {
            assert_eq!(judged(&[asked], &both), Judged::NotModified, "{asked:?}");
        }
        for asked in [
            ("If-None-Match", "\"y\""),
            ("If-Modified-Since", LATER),
            ("If-Modified-Since", "soon"),
            ("If-Match", "\"x\""),
            ("If-Match", "*"),
            ("If-Unmodified-Since", LATER),
            ("Accept", "*/*"),
        ] {
            assert_eq!(judged(&[asked], &both), Judged::Sent, "{asked:?}");
        }
        for asked in [
            ("If-Match", "\"y\""),
            ("If-Unmodified-Since", "Thu, 18 Nov 2010 11:27:34 GMT"),
        ] {
            assert_eq!(judged(&[asked], &both), Judged::Failed, "{asked:?}");
        }
        // both must hold
        let two = [("If-Modified-Since", THEN), ("If-None-Match", "\"y\"")];
        assert_eq!(judged(&two, &both), Judged::Sent);
        assert_eq!(judged(&[("If-None-Match", "\"x\"")], &[]), Judged::Sent);
        assert_eq!(judged(&[("If-Unmodified-Since", LATER)], &[]), Judged::Failed);
        // weak tags are not good enough for If-Match
        assert_eq!(
            judged(&[("If-Match", "\"x\"")], &[("etag", "W/\"x\"")]),
            Judged::Failed
        );
        assert_eq!(
            judged(&[("If-None-Match", "\"x\"")], &[("etag", "W/\"x\"")]),
            Judged::NotModified
        );
    }
}
