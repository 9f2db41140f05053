//! Bodies of error answers, chosen by what the client accepts.
//!
//! A pure function: `kong.response.error` and the gateway's own faults share it. Must not: set headers or decide
//! which fault leads to which status.
//!
//! # Source
//! Kong 3.10 `kong/tools/http.lua`, `kong/error_handlers.lua`, `kong/pdk/response.lua`

use std::borrow::Cow;

const JSON: &str = "application/json; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";
const XML: &str = "application/xml; charset=utf-8";
const GRPC: &str = "application/grpc";

/// What to send for an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorAnswer {
    /// The Content-Type header.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
    /// `grpc-status` and `grpc-message`, where gRPC was asked for.
    pub grpc: Option<(u8, String)>,
}

/// Renders an error of the gateway itself: by Accept, else by the request's Content-Type, else by the
/// `error_default_type` setting. Without a message, the status' own is used.
///
/// A request that is gRPC itself gets the headers of a trailers-only answer and no body, in any version of HTTP (Kong
/// asks for HTTP/2, which the gateway does not speak yet); one that only accepts gRPC gets a JSON message.
pub fn render(
    accept: Option<&str>,
    content_type: Option<&str>,
    default_type: &str,
    status: u16,
    message: Option<&str>,
    request_id: &str,
) -> ErrorAnswer {
    let message = message.map_or_else(|| message_for(status), Cow::Borrowed);
    let wanted = accept.or(content_type).unwrap_or(default_type);
    if wanted.starts_with(GRPC) {
        let is_grpc = content_type.is_some_and(|t| t.starts_with(GRPC));
        let quoted = serde_json::Value::from(message.as_ref());
        return ErrorAnswer {
            content_type: if is_grpc { GRPC } else { JSON },
            body: if is_grpc {
                String::new()
            } else {
                format!("{{\"message\":{quoted}}}")
            },
            grpc: Some((grpc_status(status), message.into_owned())),
        };
    }
    let content_type = response_type(Some(wanted));
    ErrorAnswer {
        content_type,
        body: template(content_type, &message, request_id).unwrap_or_default(),
        grpc: None,
    }
}

/// The message of a status (`An unexpected error occurred` for 500).
pub fn message_for(status: u16) -> Cow<'static, str> {
    let known = match status {
        400 => "Bad request",
        401 => "Unauthorized",
        402 => "Payment required",
        403 => "Forbidden",
        404 => "Not found",
        405 => "Method not allowed",
        406 => "Not acceptable",
        407 => "Proxy authentication required",
        408 => "Request timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length required",
        412 => "Precondition failed",
        413 => "Payload too large",
        414 => "URI too long",
        415 => "Unsupported media type",
        416 => "Range not satisfiable",
        417 => "Expectation failed",
        418 => "I'm a teapot",
        421 => "Misdirected request",
        422 => "Unprocessable entity",
        423 => "Locked",
        424 => "Failed dependency",
        425 => "Too early",
        426 => "Upgrade required",
        428 => "Precondition required",
        429 => "Too many requests",
        431 => "Request header fields too large",
        451 => "Unavailable for legal reasons",
        494 => "Request header or cookie too large",
        500 => "An unexpected error occurred",
        501 => "Not implemented",
        502 => "An invalid response was received from the upstream server",
        503 => "The upstream server is currently unavailable",
        504 => "The upstream server is timing out",
        505 => "HTTP version not supported",
        506 => "Variant also negotiates",
        507 => "Insufficient storage",
        508 => "Loop detected",
        510 => "Not extended",
        511 => "Network authentication required",
        _ => return Cow::Owned(format!("The upstream server responded with {status}")),
    };
    Cow::Borrowed(known)
}

/// The gRPC status for an HTTP status.
pub fn grpc_status(status: u16) -> u8 {
    match status {
        400 => 3,
        401 => 16,
        403 => 7,
        404 => 5,
        409 => 6,
        429 => 8,
        499 => 1,
        501 => 12,
        503 => 14,
        504 => 4,
        500..=599 => 13,
        402..=498 => 3,
        200..=299 => 0,
        _ => 2,
    }
}

/// The name of a gRPC status, which Kong sends as `grpc-message`.
pub fn grpc_message(status: u8) -> &'static str {
    const NAMES: [&str; 17] = [
        "OK",
        "Canceled",
        "Unknown",
        "InvalidArgument",
        "DeadlineExceeded",
        "NotFound",
        "AlreadyExists",
        "PermissionDenied",
        "ResourceExhausted",
        "FailedPrecondition",
        "Aborted",
        "OutOfRange",
        "Unimplemented",
        "Internal",
        "Unavailable",
        "DataLoss",
        "Unauthenticated",
    ];
    NAMES.get(usize::from(status)).copied().unwrap_or("Unknown")
}

/// The media type of an error answer for an Accept header; JSON where none fits. Empty for gRPC.
pub fn response_type(accept: Option<&str>) -> &'static str {
    let (mut chosen, mut best) = (JSON, 0.0);
    for value in accept.unwrap_or_default().split(',') {
        let Some((media_type, quality)) = media_range(value.trim_matches(space)) else {
            continue;
        };
        if quality > best {
            best = quality;
            chosen = mime_type(media_type);
        }
    }
    chosen
}

/// Kong's names are compared in their own case; what is unknown gets the default.
fn mime_type(media_type: &str) -> &'static str {
    match media_type {
        "text/html" => HTML,
        "text/plain" | "text/*" => PLAIN,
        "application/xml" => XML,
        "application/grpc" => "",
        _ => JSON,
    }
}

fn space(c: char) -> bool {
    c.is_ascii_whitespace() || c == '\x0b'
}

fn is_name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"-!#$&^_+.".contains(&b)
}

/// Length of a name of at least two characters at the start of `text`, 0 if there is none.
fn name_len(text: &str) -> usize {
    let len = text.bytes().take_while(|b| is_name_byte(*b)).count();
    if len >= 2 && text.as_bytes()[0].is_ascii_alphanumeric() {
        len
    } else {
        0
    }
}

/// `type/subtype` and its quality, as Kong's pattern reads them: parameters it cannot read end the search.
fn media_range(value: &str) -> Option<(&str, f64)> {
    let part = |text: &str| match name_len(text) {
        0 if text.starts_with('*') => 1,
        len => len,
    };
    let first = part(value);
    if first == 0 || value.as_bytes().get(first) != Some(&b'/') {
        return None;
    }
    let second = part(&value[first + 1..]);
    if second == 0 {
        return None;
    }
    let end = first + 1 + second;
    Some((&value[..end], quality(&value[end..])))
}

fn quality(mut params: &str) -> f64 {
    let mut found = 1.0;
    while let Some(param) = params.trim_start_matches(space).strip_prefix(';') {
        let param = param.trim_start_matches(space);
        let weight = param.strip_prefix("q=").or_else(|| param.strip_prefix("Q="));
        if let Some((number, len)) = weight.and_then(qvalue) {
            found = number;
            params = &param[2 + len..];
            continue;
        }
        let name = name_len(param);
        if name == 0 {
            break;
        }
        let rest = &param[name..];
        params = match rest.strip_prefix('=') {
            Some(value) => &value[value.find(';').unwrap_or(value.len())..],
            None => rest,
        };
    }
    found
}

/// A quality of at most three decimals, and its length.
fn qvalue(text: &str) -> Option<(f64, usize)> {
    let bytes = text.as_bytes();
    let whole = *bytes.first()?;
    let decimal = |b: &&u8| match whole {
        b'1' => **b == b'0',
        _ => b.is_ascii_digit(),
    };
    if whole != b'0' && whole != b'1' {
        return None;
    }
    let mut len = 1;
    if bytes.get(1) == Some(&b'.') {
        len += 1 + bytes[2..].iter().take(3).take_while(decimal).count();
    }
    let number = text[..len].trim_end_matches('.').parse().ok()?;
    Some((number, len))
}

/// The body for a media type as [`response_type`] gives it or as Kong names it; None for one without a template.
pub fn template(content_type: &str, message: &str, request_id: &str) -> Option<String> {
    Some(match content_type {
        JSON | "application/json" => {
            format!("{{\n  \"message\":\"{message}\",\n  \"request_id\":\"{request_id}\"\n}}")
        }
        HTML | "text/html" => format!(
            "<!doctype html>\n<html>\n  <head>\n    <meta charset=\"utf-8\">\n    <title>Error</title>\n  \
             </head>\n  <body>\n    <h1>Error</h1>\n    <p>{message}.</p>\n    <p>request_id: \
             {request_id}</p>\n  </body>\n</html>\n"
        ),
        XML | "application/xml" => format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error>\n  <message>{message}</message>\n  \
             <requestid>{request_id}</requestid>\n</error>\n"
        ),
        PLAIN | "text/plain" => format!("{message}\nrequest_id: {request_id}\n"),
        GRPC | "" => String::new(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a08_type_by_accept() {
        let cases = [
            (None, JSON),
            (Some("*/*"), JSON),
            (Some("text/html"), HTML),
            (Some("text/*"), PLAIN),
            (Some("application/*"), JSON),
            (Some("application/xml"), XML),
            (Some("image/png"), JSON),
            (Some("text/html;q=0.3, text/plain;q=0.7"), PLAIN),
            (Some("text/html, text/plain"), HTML),
            (Some("text/html;q=0"), JSON),
            (Some("text/html;level=1;q=0.1 , application/xml;q=0.2"), XML),
            (Some("text/html; charset=utf-8; q=0.9, text/plain;q=0.8"), HTML),
            (
                Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
                HTML,
            ),
            (Some("TEXT/HTML"), JSON),
            (Some("nonsense"), JSON),
            (Some(""), JSON),
            (Some("application/grpc"), ""),
        ];
        for (accept, expected) in cases {
            assert_eq!(response_type(accept), expected, "{accept:?}");
        }
    }

    #[test]
    fn a08_bodies_are_kongs() {
        let body = |accept: &str| render(Some(accept), None, "text/plain", 404, Some("nothing"), "abc").body;
        assert_eq!(
            body("*/*"),
            "{\n  \"message\":\"nothing\",\n  \"request_id\":\"abc\"\n}"
        );
        assert_eq!(body("text/plain"), "nothing\nrequest_id: abc\n");
        assert_eq!(
            body("application/xml"),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error>\n  <message>nothing</message>\n  \
             <requestid>abc</requestid>\n</error>\n"
        );
        assert_eq!(
            body("text/html"),
            "<!doctype html>\n<html>\n  <head>\n    <meta charset=\"utf-8\">\n    <title>Error</title>\n  \
             </head>\n  <body>\n    <h1>Error</h1>\n    <p>nothing.</p>\n    <p>request_id: abc</p>\n  \
             </body>\n</html>\n"
        );
    }

    #[test]
    fn a08_falls_back_to_content_type_and_setting() {
        let kind = |a, c| render(a, c, "text/plain", 500, None, "x").content_type;
        assert_eq!(kind(None, Some("text/html")), HTML);
        assert_eq!(kind(None, None), PLAIN);
        assert_eq!(kind(Some("application/xml"), Some("text/html")), XML);
    }

    #[test]
    fn a08_grpc_statuses_and_messages() {
        let answer = render(Some("application/grpc+proto"), None, "", 503, None, "x");
        assert_eq!(
            answer.body,
            r#"{"message":"The upstream server is currently unavailable"}"#
        );
        assert_eq!(
            answer.grpc,
            Some((14, "The upstream server is currently unavailable".to_owned()))
        );
        let own = render(None, Some("application/grpc"), "text/plain", 404, Some("m"), "x");
        assert_eq!((own.content_type, own.body.as_str()), ("application/grpc", ""));
        assert_eq!(own.grpc, Some((5, "m".to_owned())));
        let mapped: Vec<u8> = [200, 302, 400, 401, 418, 499, 500, 502, 504]
            .map(grpc_status)
            .into();
        assert_eq!(mapped, [0, 2, 3, 16, 3, 1, 13, 13, 4]);
        assert_eq!(grpc_message(7), "PermissionDenied");
        assert_eq!(message_for(504), "The upstream server is timing out");
        assert_eq!(message_for(599), "The upstream server responded with 599");
    }
}
