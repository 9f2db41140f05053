//! `ngx.re` on PCRE2: compiled patterns are kept per worker, the least recently used go first.
//!
//! Must not: run Lua; replacement functions are called by the face, match by match.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use pcre2::bytes::{CaptureLocations, Regex, RegexBuilder};

use super::call;
use crate::vm::{Args, Out, Registrar, Ret, op};

/// How many compiled patterns a worker keeps.
const CACHE: usize = 1024;
/// Kong's `lua_regex_match_limit`: backtracking ends there.
const LIMIT: &str = "(*LIMIT_MATCH=100000)";

struct Pattern {
    regex: Regex,
    /// Whether names may repeat: then a name holds a list.
    dup_names: bool,
}

/// A pattern's source, its compiled form and when it was used last.
type Kept = HashMap<Box<[u8]>, (Rc<Pattern>, u64)>;

#[derive(Default)]
struct Cache {
    by_options: HashMap<u32, Kept>,
    count: usize,
    clock: u64,
}

thread_local! {
    static PATTERNS: RefCell<Cache> = RefCell::default();
}

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ngx_re", "exec", op::raw(exec))?;
    r.op("ngx_re", "find", op::raw(find))?;
    r.op("ngx_re", "replace", op::raw(replace))
}

const FLAGS: &[u8] = b"aDimosuUxjJ";

/// The options as bits of [`FLAGS`]; an unknown one is the face's error.
fn options(opts: &[u8]) -> Result<u32, String> {
    let mut bits = 0;
    for (i, o) in opts.iter().enumerate() {
        let Some(bit) = FLAGS.iter().position(|f| f == o) else {
            if *o == b'd' {
                return Err(format!("not supported: ngx.re option \"{}\"", *o as char));
            }
            return Err(format!(
                "unknown flag \"{}\" (flags \"{}\")",
                opts[i] as char,
                opts.escape_ascii()
            ));
        };
        bits |= 1 << bit;
    }
    Ok(bits)
}

fn has(bits: u32, flag: u8) -> bool {
    FLAGS
        .iter()
        .position(|f| *f == flag)
        .is_some_and(|i| bits & (1 << i) != 0)
}

/// Whether a pattern may mean something else under `J` (PCRE's JavaScript compatibility): there `[]`, `[^]`, `\u`,
/// `\U`, `\x` and references to unset groups differ. The binding has no such option.
fn javascript_differs(text: &str) -> bool {
    let escapes = text
        .as_bytes()
        .windows(2)
        .any(|w| w[0] == b'\\' && (w[1].is_ascii_digit() || b"uUxgk".contains(&w[1])));
    escapes || text.contains("[]") || text.contains("[^]") || text.contains("(?P=")
}

fn compile(pattern: &[u8], bits: u32) -> Result<Pattern, String> {
    // a byte that isn't UTF-8 is written as its escape, as the builder takes text
    let mut text = String::with_capacity(pattern.len());
    for chunk in pattern.utf8_chunks() {
        text.push_str(chunk.valid());
        for b in chunk.invalid() {
            text.push_str(&format!("\\x{b:02x}"));
        }
    }
    if has(bits, b'J') && javascript_differs(&text) {
        return Err("not supported: ngx.re option \"J\" with this pattern".into());
    }
    let mut head = String::from(LIMIT);
    let mut tail = "";
    let verbs = text.starts_with("(*");
    if has(bits, b'D') && !verbs {
        head.push_str("(?J)");
    }
    if has(bits, b'a') && !verbs {
        head.push_str("\\G(?:");
        // an extended pattern may end in a comment
        tail = if has(bits, b'x') { "\n)" } else { ")" };
    }
    let utf = has(bits, b'u') || has(bits, b'U');
    let regex = RegexBuilder::new()
        .caseless(has(bits, b'i'))
        .multi_line(has(bits, b'm'))
        .dotall(has(bits, b's'))
        .extended(has(bits, b'x'))
        .utf(utf)
        .jit_if_available(true)
        .build(&format!("{head}{text}{tail}"))
        .map_err(|e| {
            let message = e.to_string();
            let message = message.rsplit_once(": ").map_or(&*message, |(_, m)| m);
            let at = e.offset().unwrap_or(0).saturating_sub(head.len());
            match text.get(at..).filter(|rest| !rest.is_empty()) {
                Some(rest) => format!("pcre2_compile() failed: {message} in \"{text}\" at \"{rest}\""),
                None => format!("pcre2_compile() failed: {message} in \"{text}\""),
            }
        })?;
    Ok(Pattern {
        regex,
        dup_names: has(bits, b'D'),
    })
}

fn pattern(pattern: &[u8], bits: u32) -> Result<Rc<Pattern>, String> {
    PATTERNS.with(|cache| {
        let cache = &mut *cache.borrow_mut();
        cache.clock += 1;
        let stamp = cache.clock;
        let same = cache.by_options.entry(bits).or_default();
        if let Some((p, used)) = same.get_mut(pattern) {
            *used = stamp;
            return Ok(p.clone());
        }
        let made = Rc::new(compile(pattern, bits)?);
        same.insert(pattern.into(), (made.clone(), stamp));
        cache.count += 1;
        if cache.count > CACHE {
            cache.forget_oldest();
        }
        Ok(made)
    })
}

impl Cache {
    fn forget_oldest(&mut self) {
        let oldest = self
            .by_options
            .iter()
            .flat_map(|(bits, same)| same.iter().map(|(p, (_, used))| (*used, *bits, p.clone())))
            .min_by_key(|(used, ..)| *used);
        if let Some((_, bits, p)) = oldest
            && let Some(same) = self.by_options.get_mut(&bits)
        {
            same.remove(&p);
            self.count -= 1;
        }
    }
}

enum Outcome {
    Found(Rc<Pattern>, CaptureLocations),
    None,
    /// `nil, err`.
    Failed(String),
}

/// A subject and what became of its pattern.
type LookedUp<'a> = (Cow<'a, [u8]>, Result<Rc<Pattern>, String>);

/// The subject, compiled pattern and options that arguments 1 to 3 name.
fn look_up<'a>(a: &'a Args, r: &mut Ret, name: &str) -> Option<LookedUp<'a>> {
    let subject = call::check_text(a, r, 1, name)?;
    let text = call::check_text(a, r, 2, name)?;
    match options(a.str(3).unwrap_or_default()) {
        Ok(bits) => Some((subject, pattern(&text, bits))),
        Err(e) => {
            r.raise(e);
            None
        }
    }
}

fn search(compiled: Result<Rc<Pattern>, String>, subject: &[u8], from: usize) -> Outcome {
    let p = match compiled {
        Ok(p) => p,
        Err(e) => return Outcome::Failed(e),
    };
    if from > subject.len() {
        return Outcome::None;
    }
    let mut places = p.regex.capture_locations();
    match p.regex.captures_read_at(&mut places, subject, from) {
        Ok(Some(_)) => Outcome::Found(p, places),
        Ok(None) => Outcome::None,
        Err(e) => Outcome::Failed(format!("pcre_exec() failed: {}", e.code())),
    }
}

/// What a capture matched; `\K` in a lookahead may end before it starts.
fn piece<'s>(places: &CaptureLocations, subject: &'s [u8], i: usize) -> Option<&'s [u8]> {
    let (from, to) = places.get(i)?;
    Some(subject.get(from..to).unwrap_or_default())
}

fn put(t: &mut Out, value: Option<&[u8]>) {
    match value {
        Some(v) => t.str(v),
        None => t.bool(false),
    };
}

fn captures(t: &mut Out, p: &Pattern, places: &CaptureLocations, subject: &[u8]) {
    for i in 0..places.len() {
        if i == 0 {
            t.num(0.0);
            put(t, piece(places, subject, 0));
            t.set();
        } else {
            put(t, piece(places, subject, i));
            t.seti(i);
        }
    }
    let names = p.regex.capture_names();
    for (i, name) in names.iter().enumerate() {
        let Some(name) = name else { continue };
        t.str(name);
        if p.dup_names {
            let same = |(j, n): (usize, &Option<String>)| {
                (n.as_ref() == Some(name))
                    .then(|| piece(places, subject, j))
                    .flatten()
            };
            t.table(1, 0, |l| {
                for (k, v) in names.iter().enumerate().filter_map(same).enumerate() {
                    l.str(v).seti(k + 1);
                }
            });
        } else {
            put(t, piece(places, subject, i));
        }
        t.set();
    }
}

/// `exec(subject, pattern, options, offset)`: the captures, first and end offset of the match (from 0); nil; or
/// `nil, err`.
fn exec(a: &Args, r: &mut Ret) {
    let Some((subject, compiled)) = look_up(a, r, "match") else {
        return;
    };
    match search(compiled, &subject, a.num(4).unwrap_or(0.0) as usize) {
        Outcome::Found(p, places) => {
            let (from, to) = places.get(0).unwrap_or_default();
            r.table(places.len() - 1, 1, |t| captures(t, &p, &places, &subject));
            r.num(from as f64).num(to as f64);
        }
        Outcome::None => {
            r.nil();
        }
        Outcome::Failed(e) => {
            r.fail(e);
        }
    }
}

/// `find(subject, pattern, options, offset, nth)`: first, last of the capture (from 1) and the match's end offset;
/// nil; or `nil, nil, err`.
fn find(a: &Args, r: &mut Ret) {
    let Some((subject, compiled)) = look_up(a, r, "find") else {
        return;
    };
    let nth = a.num(5).unwrap_or(0.0);
    match search(compiled, &subject, a.num(4).unwrap_or(0.0) as usize) {
        Outcome::Found(_, places) => {
            if nth < 0.0 || nth as usize >= places.len() {
                r.nil().nil().lit("nth out of bound");
                return;
            }
            let end = places.get(0).map_or(0, |(_, to)| to);
            match places.get(nth as usize) {
                Some((from, to)) => r.num(from as f64 + 1.0).num(to as f64).num(end as f64),
                None => r.nil().nil().nil().num(end as f64),
            };
        }
        Outcome::None => {
            r.nil();
        }
        Outcome::Failed(e) => {
            r.nil().nil().str(e);
        }
    }
}

/// A part of a replacement template.
enum Part {
    Text(Vec<u8>),
    Group(usize),
}

/// `$1`, `${1}` and `$$` in a replacement; None for any other `$`.
fn template(text: &[u8]) -> Option<Vec<Part>> {
    let mut parts = vec![Part::Text(Vec::new())];
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'$', rest) {
        if let Some(Part::Text(t)) = parts.last_mut() {
            t.extend_from_slice(&rest[..at]);
        }
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(b"$") {
            if let Some(Part::Text(t)) = parts.last_mut() {
                t.push(b'$');
            }
            rest = after;
            continue;
        }
        let (inner, braced) = match rest.strip_prefix(b"{") {
            Some(i) => (i, true),
            None => (rest, false),
        };
        let digits = inner.iter().take_while(|b| b.is_ascii_digit()).count();
        if digits == 0 || (braced && inner.get(digits) != Some(&b'}')) {
            return None;
        }
        let number = std::str::from_utf8(&inner[..digits]).ok()?.parse().ok()?;
        rest = &inner[digits + usize::from(braced)..];
        parts.push(Part::Group(number));
        parts.push(Part::Text(Vec::new()));
    }
    if let Some(Part::Text(t)) = parts.last_mut() {
        t.extend_from_slice(rest);
    }
    Some(parts)
}

/// How much a replacement may grow.
const RESULT_CAP: usize = 256 << 20;

/// `replace(subject, pattern, options, template, global)`: the new string and the number of replacements; or
/// `nil, nil, err`.
fn replace(a: &Args, r: &mut Ret) {
    let Some((subject, compiled)) = look_up(a, r, "gsub") else {
        return;
    };
    let global = a.truthy(5);
    let Some(text) = call::check_text(a, r, 4, "gsub") else {
        return;
    };
    let Some(parts) = template(&text) else {
        r.nil().nil().lit("failed to compile the replacement template");
        return;
    };
    let (mut out, mut count, mut copied, mut at) = (Vec::new(), 0, 0, 0);
    loop {
        let places = match search(compiled.clone(), &subject, at) {
            Outcome::Found(_, places) => places,
            Outcome::None => break,
            Outcome::Failed(e) => {
                r.nil().nil().str(e);
                return;
            }
        };
        count += 1;
        let (from, to) = places.get(0).unwrap_or_default();
        out.extend_from_slice(subject.get(copied..from).unwrap_or_default());
        for part in &parts {
            match part {
                Part::Text(t) => out.extend_from_slice(t),
                Part::Group(n) if *n >= places.len() => {}
                Part::Group(n) => out.extend_from_slice(piece(&places, &subject, *n).unwrap_or_default()),
            }
        }
        if out.len() > RESULT_CAP {
            r.nil().nil().lit("replacement too large");
            return;
        }
        copied = copied.max(to);
        // an empty match moves on by one byte, as OpenResty does
        at = at.max(to) + usize::from(from >= to);
        if !global || at > subject.len() {
            break;
        }
    }
    if count == 0 {
        r.str(&subject).num(0.0);
        return;
    }
    out.extend_from_slice(&subject[copied..]);
    r.held(out.into()).num(count);
}
