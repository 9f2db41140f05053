#![allow(clippy::unwrap_used)]

use super::*;
use crate::entity::PathHandling;
use http::{HeaderMap, HeaderName, HeaderValue};

fn snapshot(routes: &str) -> Snapshot {
    let text = format!(
        r#"{{"_format_version":"3.0","routes":[{routes}],
        "services":[{{"name":"on","host":"h"}},{{"name":"off","host":"h","enabled":false}}]}}"#
    );
    crate::db::testing::snapshot(&text)
}

struct Ask {
    method: &'static str,
    host: String,
    path: String,
    https: bool,
    sni: Option<&'static str>,
    headers: HeaderMap,
}

fn get(host: &str, path: &str) -> Ask {
    let (host, path) = (host.to_owned(), path.to_owned());
    Ask {
        method: "GET",
        host,
        path,
        https: false,
        sni: None,
        headers: HeaderMap::new(),
    }
}

impl Ask {
    fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers
            .append(HeaderName::from_static(name), HeaderValue::from_static(value));
        self
    }

    fn of(&self, router: &Router) -> Option<Match> {
        router.find(&Query {
            method: self.method,
            host: &self.host,
            port: if self.https { 443 } else { 80 },
            path: self.path.as_bytes(),
            https: self.https,
            sni: self.sni,
            headers: &self.headers,
        })
    }
}

/// Builds a router and asks it; answers the names of the routes found.
struct Table {
    snapshot: Snapshot,
    router: Router,
}

fn table(routes: &str) -> Table {
    let snapshot = snapshot(routes);
    let router = Router::build(&snapshot).unwrap();
    Table { snapshot, router }
}

impl Table {
    fn name(&self, ask: &Ask) -> Option<&str> {
        let found = ask.of(&self.router)?;
        self.snapshot.route(found.route)?.name.as_deref()
    }
}

#[test]
fn a12_longest_prefix_first() {
    let t = table(
        r#"{"name":"root","paths":["/"]},{"name":"two","paths":["/a","/a/b"]},{"name":"deep","paths":["/a/b/c"]}"#,
    );
    for (path, name, length) in [
        ("/", "root", 1),
        ("/x", "root", 1),
        ("/ax", "two", 2),
        ("/a/b/x", "two", 4),
        ("/a/b/c", "deep", 6),
    ] {
        assert_eq!(t.name(&get("h", path)), Some(name), "{path}");
        assert_eq!(get("h", path).of(&t.router).unwrap().matched_path, Some(length));
    }
    assert_eq!(
        table(r#"{"name":"a","paths":["/a"]}"#).name(&get("h", "/b")),
        None
    );
    assert_eq!(table("").name(&get("h", "/")), None);
}

#[test]
fn a12_hosts_plain_wildcard_and_port() {
    let t = table(
        r#"{"name":"plain","hosts":["api.example.com"]},{"name":"left","hosts":["*.example.com"]},
        {"name":"right","hosts":["www.*"]},{"name":"port","hosts":["ported.org:8443"]},
        {"name":"default-port","hosts":["ported.org:80"]},{"name":"both","hosts":["*.net","exact.org"]}"#,
    );
    for (host, name) in [
        ("api.example.com", Some("plain")),
        ("API.Example.com:8000", Some("plain")),
        ("other.example.com", Some("left")),
        ("a.b.example.com:81", Some("left")),
        ("www.anything", Some("right")),
        ("ported.org:8443", Some("port")),
        ("ported.org", Some("default-port")),
        ("ported.org:81", None),
        ("exact.org", Some("both")),
        ("x.net", Some("both")),
        ("example.com", None),
        ("", None),
        ("[::1]:80", None),
    ] {
        assert_eq!(t.name(&get(host, "/")), name, "{host}");
    }
}

#[test]
fn a12_more_kinds_of_criteria_win() {
    let t = table(
        r#"{"name":"path","paths":["/long/path/here"]},{"name":"path.method","paths":["/"],"methods":["GET"]},
        {"name":"path.method.host","paths":["/"],"methods":["GET"],"hosts":["*.com"]},
        {"name":"all","paths":["/"],"methods":["GET"],"hosts":["x.com"],"headers":{"a":["1"]}}"#,
    );
    assert_eq!(t.name(&get("y", "/long/path/here")), Some("path.method"));
    assert_eq!(t.name(&get("x.com", "/")), Some("path.method.host"));
    assert_eq!(t.name(&get("x.com", "/").header("a", "1")), Some("all"));
    assert_eq!(
        t.name(&Ask {
            method: "POST",
            ..get("x.com", "/long/path/here")
        }),
        Some("path")
    );
    assert_eq!(
        t.name(&Ask {
            method: "POST",
            ..get("x.com", "/")
        }),
        None
    );
}

#[test]
fn a12_plain_hosts_before_wildcards_and_regex_before_prefix() {
    let t = table(
        r#"{"name":"wild","hosts":["*.com"],"paths":["/longer"]},{"name":"plain","hosts":["x.com"],"paths":["/"]}"#,
    );
    assert_eq!(t.name(&get("x.com", "/longer")), Some("plain"));
    let t = table(
        r#"{"name":"prefix","paths":["/users/123"]},{"name":"regex","paths":["~/users/\\d+"]},
        {"name":"first","paths":["~/users/1.*"],"regex_priority":5}"#,
    );
    assert_eq!(t.name(&get("h", "/users/123")), Some("first"));
    assert_eq!(t.name(&get("h", "/users/223")), Some("regex"));
    assert_eq!(t.name(&get("h", "/api/users/1")), None, "anchored at the start");
}

#[test]
fn a12_equal_routes_go_by_creation() {
    let t = table(
        r#"{"name":"later","paths":["~/a.*"],"created_at":200},{"name":"earlier","paths":["~/a/b"],"created_at":100}"#,
    );
    assert_eq!(t.name(&get("h", "/a/b")), Some("earlier"));
    assert_eq!(t.name(&get("h", "/a/c")), Some("later"));
}

#[test]
fn a12_headers_any_value_any_case_all_names() {
    let t = table(
        r#"{"name":"two","paths":["/"],"headers":{"X-A":["one","Two"],"x-b":["b"]}},
        {"name":"one","paths":["/"],"headers":{"X-A":["one","two"]}},
        {"name":"regex","paths":["/"],"headers":{"x-r":["~*^v\\d+$"]}},{"name":"none","paths":["/"]}"#,
    );
    assert_eq!(
        t.name(&get("h", "/").header("x-a", "TWO").header("x-b", "B")),
        Some("two")
    );
    assert_eq!(
        t.name(&get("h", "/").header("x-a", "zero").header("x-a", "one")),
        Some("one")
    );
    assert_eq!(t.name(&get("h", "/").header("x-r", "V12")), Some("regex"));
    assert_eq!(
        t.name(&get("h", "/").header("x-r", "v12a").header("x-b", "b")),
        Some("none")
    );
}

#[test]
fn a12_snis_count_only_with_tls() {
    let t = table(r#"{"name":"sni","protocols":["https"],"snis":["a.com","*.b.com","c.com."]}"#);
    let ask = |sni, https| Ask {
        sni,
        https,
        ..get("h", "/")
    };
    assert_eq!(t.name(&ask(Some("a.com"), true)), Some("sni"));
    assert_eq!(t.name(&ask(Some("x.b.com"), true)), Some("sni"));
    assert_eq!(t.name(&ask(Some("c.com"), true)), Some("sni"));
    assert_eq!(t.name(&ask(Some("d.com"), true)), None);
    assert_eq!(t.name(&ask(None, true)), None);
    assert_eq!(t.name(&ask(None, false)), Some("sni"));
}

#[test]
fn a12_captures_by_number_and_name() {
    let t = table(
        r#"{"name":"r","paths":["~/v(\\d)/(?<id>[^/]+)(/opt)?"]},{"name":"bare","paths":["~/bare\\d"]}"#,
    );
    let found = get("h", "/v1/ann/rest").of(&t.router).unwrap();
    assert_eq!(found.matched_path, Some("/v1/ann".len()));
    let captures = found.captures.unwrap();
    let text = |at: usize| {
        captures.positional[at]
            .as_deref()
            .map(|b| String::from_utf8_lossy(b).into_owned())
    };
    assert_eq!(
        (text(0), text(1), text(2)),
        (Some("/v1/ann".into()), Some("1".into()), Some("ann".into()))
    );
    assert_eq!(text(3), None);
    assert_eq!(captures.named, [("id".to_owned(), b"ann".to_vec())]);
    let bare = get("h", "/bare7/x").of(&t.router).unwrap();
    assert_eq!((bare.matched_path, bare.captures), (Some(6), None));
}

#[test]
fn a12_disabled_services_and_stream_routes_are_left_out() {
    let t = table(
        r#"{"name":"off","paths":["/off"],"service":"off"},{"name":"on","paths":["/on"],"service":"on"},
        {"name":"tcp","protocols":["tcp"],"sources":[{"port":1}]}"#,
    );
    assert_eq!(t.name(&get("h", "/off")), None);
    let found = get("h", "/on").of(&t.router).unwrap();
    assert_eq!(found.service, Some(ServiceIdx(0)));
    assert_eq!(t.name(&get("h", "/")), None);
}

#[test]
fn a12_refused_regex_names_the_route() {
    let mut snapshot = snapshot(r#"{"name":"good","paths":["/"]}"#);
    snapshot.routes[0].paths = vec!["~/a(?!b)".to_owned()];
    let error = Router::build(&snapshot).err().unwrap().to_string();
    assert!(
        error.starts_with("route 'good': invalid regex: '^/a(?!b)'"),
        "{error}"
    );
}

/// The index answers what a walk over all matchers in order answers.
#[test]
fn a12_index_agrees_with_a_walk() {
    let hosts = [
        r#"["a.com"]"#,
        r#"["*.com"]"#,
        r#"["b.com","a.com:81"]"#,
        r#"["b.*"]"#,
        "null",
    ];
    let paths = [
        r#"["/"]"#,
        r#"["/a","/a/b"]"#,
        r#"["/ab"]"#,
        r#"["~/a/\\d"]"#,
        r#"["/a","~/b$"]"#,
        "null",
    ];
    let methods = [r#"["GET"]"#, r#"["POST"]"#, "null"];
    let mut routes = Vec::new();
    for (h, host) in hosts.iter().enumerate() {
        for (p, path) in paths.iter().enumerate() {
            for (m, method) in methods
                .iter()
                .enumerate()
                .filter(|(m, _)| h + p + m < 9 && (h + p + m) % 2 == 0)
            {
                routes.push(format!(
                    r#"{{"name":"{h}{p}{m}","hosts":{host},"paths":{path},"methods":{method},"headers":{{"q":["{}"]}}}}"#,
                    (h + p) % 2
                ));
            }
        }
    }
    let t = table(&routes.join(","));
    let mut found = 0;
    for host in ["a.com", "a.com:81", "b.com", "c.com", "b.org", "z"] {
        for path in ["/", "/a", "/a/b", "/a/b/c", "/a/7", "/ab", "/b", "/c"] {
            for method in ["GET", "POST", "PUT"] {
                for value in ["0", "1", "2"] {
                    let ask = Ask {
                        method,
                        ..get(host, path)
                    }
                    .header("q", value);
                    let (name, port) = criteria::split_port(host);
                    let query = Query {
                        method,
                        host,
                        port: 80,
                        path: path.as_bytes(),
                        https: false,
                        sni: None,
                        headers: &ask.headers,
                    };
                    let walked = t
                        .router
                        .matchers
                        .iter()
                        .find(|m| m.matches(&query, name, port.unwrap_or(80), false))
                        .map(|m| m.route);
                    let indexed = t.router.find(&query).map(|m| m.route);
                    assert_eq!(indexed, walked, "{method} {host} {path} {value}");
                    found += usize::from(walked.is_some());
                }
            }
        }
    }
    assert!(found > 100, "the requests do hit routes: {found}");
}

fn joined(strip: bool, handling: PathHandling, service: &str, path: &str, matched: Option<&str>) -> String {
    let mut route = snapshot(r#"{"name":"r","paths":["/"]}"#).routes.remove(0);
    route.strip_path = strip;
    route.path_handling = handling;
    let out = upstream_path(&route, Some(service), path.as_bytes(), matched.map(str::len));
    String::from_utf8(out).unwrap()
}

#[test]
fn a12_upstream_path_v0() {
    use PathHandling::V0;
    // service path, route path, request path, stripped, kept: Kong's documented table and its corner cases.
    for (service, route, request, stripped, kept) in [
        ("/", "/", "/req", "/req", "/req"),
        ("/", "/fv0", "/fv0/req", "/req", "/fv0/req"),
        ("/", "/fv0", "/fv0req", "/req", "/fv0req"),
        ("/", "/fv0/", "/fv0/req", "/req", "/fv0/req"),
        ("/s", "/", "/req", "/s/req", "/s/req"),
        ("/s", "/fv0", "/fv0/req", "/s/req", "/s/fv0/req"),
        ("/s", "/fv0", "/fv0", "/s", "/s/fv0"),
        ("/s", "/fv0/", "/fv0/", "/s/", "/s/fv0/"),
        ("/s", "/fv0/", "/fv0/req", "/s/req", "/s/fv0/req"),
        ("/s/", "/fv0", "/fv0", "/s", "/s/fv0"),
        ("/s/", "/fv0/", "/fv0/", "/s/", "/s/fv0/"),
        ("/s/", "/fv0", "/fv0req", "/s/req", "/s/fv0req"),
        ("/s/", "/", "/", "/s/", "/s/"),
        ("/s", "/", "/", "/s", "/s"),
        ("/", "/x", "/x", "/", "/x"),
        ("/s", "/a", "/a..", "/s", "/s/a.."),
        ("/s", "/a", "/a../b", "/s/b", "/s/a../b"),
    ] {
        let shown = format!("{service} {route} {request}");
        assert_eq!(
            joined(true, V0, service, request, Some(route)),
            stripped,
            "{shown}"
        );
        assert_eq!(joined(false, V0, service, request, Some(route)), kept, "{shown}");
    }
    assert_eq!(joined(true, V0, "/s", "/req", None), "/s/req");
}

#[test]
fn a12_upstream_path_v1() {
    use PathHandling::V1;
    for (service, route, request, stripped, kept) in [
        ("/", "/fv1", "/fv1/req", "/req", "/fv1/req"),
        ("/", "/fv1/", "/fv1/req", "/req", "/fv1/req"),
        ("/s", "/fv1", "/fv1/req", "/s/req", "/sfv1/req"),
        ("/s", "/fv1", "/fv1req", "/sreq", "/sfv1req"),
        ("/s/", "/fv1/", "/fv1/req", "/s/req", "/s/fv1/req"),
    ] {
        let shown = format!("{service} {route} {request}");
        assert_eq!(
            joined(true, V1, service, request, Some(route)),
            stripped,
            "{shown}"
        );
        assert_eq!(joined(false, V1, service, request, Some(route)), kept, "{shown}");
    }
}

#[test]
fn a12_forwarded_prefix_is_what_was_stripped() {
    let mut route = snapshot(r#"{"name":"r","paths":["/"]}"#).routes.remove(0);
    assert_eq!(forwarded_prefix(&route, b"/a/b", Some(2)), Some(&b"/a"[..]));
    assert_eq!(forwarded_prefix(&route, b"/a/b", Some(1)), None);
    assert_eq!(forwarded_prefix(&route, b"/a/b", None), None);
    route.strip_path = false;
    assert_eq!(forwarded_prefix(&route, b"/a/b", Some(2)), None);
}
