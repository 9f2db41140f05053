//! What nginx says behind a status: in the status line, and on the page of its own that some have.
//!
//! Must not: know who made the answer.
//!
//! # Source
//! nginx, `ngx_http_status_lines` (ngx_http_header_filter_module.c), `ngx_http_error_pages`
//! (ngx_http_special_response.c)

use http::StatusCode;

/// The reason phrase of a status that the gateway or Lua chose, where it is another than HTTP's own; for a status that
/// HTTP does not know, nothing.
pub fn phrase(status: u16) -> Option<&'static str> {
    Some(match status {
        302 => "Moved Temporarily",
        405 => "Not Allowed",
        408 => "Request Time-out",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Large",
        416 => "Requested Range Not Satisfiable",
        503 => "Service Temporarily Unavailable",
        504 => "Gateway Time-out",
        other if StatusCode::from_u16(other).is_ok_and(|s| s.canonical_reason().is_none()) => "",
        _ => return None,
    })
}

/// The heading of the page that nginx makes for a status; None where it makes none.
pub fn page(status: u16) -> Option<&'static str> {
    Some(match status {
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Authorization Required",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Time-out",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Large",
        415 => "Unsupported Media Type",
        416 => "Requested Range Not Satisfiable",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Temporarily Unavailable",
        504 => "Gateway Time-out",
        505 => "HTTP Version Not Supported",
        507 => "Insufficient Storage",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d02_statuses_are_named_as_nginx_does() {
        assert_eq!((phrase(200), page(200)), (None, None));
        assert_eq!(
            (phrase(302), page(302)),
            (Some("Moved Temporarily"), Some("Found"))
        );
        assert_eq!((phrase(404), page(404)), (None, Some("Not Found")));
        assert_eq!((phrase(444), page(444)), (Some(""), None));
    }
}
