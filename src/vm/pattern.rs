//! Trial matches of Lua patterns: how far a match gets, found in steps that somebody counts.
//!
//! LuaJIT's own matcher cannot be stopped, and a pattern of a few quantifiers keeps it busy for years on a subject
//! that a stranger chose. Must not: make results; those are LuaJIT's.

/// Why a trial ended without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The pattern is malformed, or too complex: LuaJIT says so itself.
    Refused,
    /// Who counts the steps had enough.
    Stopped,
}

/// How deep matches nest at most, as LuaJIT's.
const DEPTH: usize = 200;
/// Captures at most.
const CAPTURES: usize = 32;
/// Steps between two looks at whether to go on.
const STRIDE: u32 = 1 << 12;

#[derive(Clone, Copy)]
enum Capture {
    Open(usize),
    Closed(usize, usize),
    Position,
}

/// A pattern and its subject, with the captures of the match that is tried.
pub struct Trial<'a, F> {
    subject: &'a [u8],
    pattern: &'a [u8],
    captures: Vec<Capture>,
    depth: usize,
    steps: u32,
    /// Whether to go on, asked every few thousand steps.
    go_on: F,
}

type Found = Result<Option<usize>, End>;

impl<'a, F: FnMut() -> bool> Trial<'a, F> {
    /// `pattern` without the `^` that anchors it.
    pub fn new(subject: &'a [u8], pattern: &'a [u8], go_on: F) -> Self {
        // a NUL ends a pattern
        let end = memchr::memchr(0, pattern).unwrap_or(pattern.len());
        Self {
            subject,
            pattern: &pattern[..end],
            captures: Vec::new(),
            depth: 0,
            steps: 0,
            go_on,
        }
    }

    /// Where a match that begins at `at` ends.
    ///
    /// # Errors
    /// No answer.
    pub fn at(&mut self, at: usize) -> Found {
        self.captures.clear();
        self.depth = 0;
        self.matches(at, 0)
    }

    fn step(&mut self) -> Result<(), End> {
        self.steps += 1;
        if self.steps >= STRIDE {
            self.steps = 0;
            if !(self.go_on)() {
                return Err(End::Stopped);
            }
        }
        Ok(())
    }

    fn byte(&self, p: usize) -> Option<u8> {
        self.pattern.get(p).copied()
    }

    fn matches(&mut self, s: usize, p: usize) -> Found {
        if self.depth >= DEPTH {
            return Err(End::Refused);
        }
        self.depth += 1;
        let found = self.unnested(s, p);
        self.depth -= 1;
        found
    }

    fn unnested(&mut self, mut s: usize, mut p: usize) -> Found {
        loop {
            self.step()?;
            match (self.byte(p), self.byte(p + 1)) {
                (None, _) => return Ok(Some(s)),
                (Some(b'('), Some(b')')) => return self.opened(s, p + 2, Capture::Position),
                (Some(b'('), _) => return self.opened(s, p + 1, Capture::Open(s)),
                (Some(b')'), _) => return self.closed(s, p + 1),
                (Some(b'$'), None) => return Ok((s == self.subject.len()).then_some(s)),
                (Some(b'%'), Some(b'b')) => match self.balanced(s, p + 2)? {
                    Some(end) => (s, p) = (end, p + 4),
                    None => return Ok(None),
                },
                (Some(b'%'), Some(b'f')) => match self.frontier(s, p + 2)? {
                    Some(end) => p = end,
                    None => return Ok(None),
                },
                (Some(b'%'), Some(digit @ b'0'..=b'9')) => match self.again(s, digit)? {
                    Some(end) => (s, p) = (end, p + 2),
                    None => return Ok(None),
                },
                _ => {
                    let end = self.item_end(p)?;
                    let here = self.single(s, p, end);
                    match self.byte(end) {
                        Some(b'*') => return self.longest(s, p, end),
                        Some(b'+') if here => return self.longest(s + 1, p, end),
                        Some(b'-') => return self.shortest(s, p, end),
                        Some(b'?') => {
                            if here && let Some(found) = self.matches(s + 1, end + 1)? {
                                return Ok(Some(found));
                            }
                            p = end + 1;
                        }
                        Some(b'+') => return Ok(None),
                        _ if here => (s, p) = (s + 1, end),
                        _ => return Ok(None),
                    }
                }
            }
        }
    }

    fn opened(&mut self, s: usize, p: usize, capture: Capture) -> Found {
        if self.captures.len() >= CAPTURES {
            return Err(End::Refused);
        }
        self.captures.push(capture);
        let level = self.captures.len();
        let found = self.matches(s, p)?;
        if found.is_none() {
            self.captures.truncate(level - 1);
        }
        Ok(found)
    }

    fn closed(&mut self, s: usize, p: usize) -> Found {
        let open = self.captures.iter().rposition(|c| matches!(c, Capture::Open(_)));
        let Some((at, Capture::Open(from))) = open.map(|at| (at, self.captures[at])) else {
            return Err(End::Refused);
        };
        self.captures[at] = Capture::Closed(from, s);
        let found = self.matches(s, p)?;
        if found.is_none() {
            self.captures[at] = Capture::Open(from);
        }
        Ok(found)
    }

    /// `%bxy` at `p` behind the `b`.
    fn balanced(&mut self, s: usize, p: usize) -> Found {
        let (Some(open), Some(close)) = (self.byte(p), self.byte(p + 1)) else {
            return Err(End::Refused);
        };
        if self.subject.get(s) != Some(&open) {
            return Ok(None);
        }
        let mut nested = 1;
        for at in s + 1..self.subject.len() {
            self.step()?;
            let c = self.subject[at];
            if c == close {
                nested -= 1;
                if nested == 0 {
                    return Ok(Some(at + 1));
                }
            } else if c == open {
                nested += 1;
            }
        }
        Ok(None)
    }

    /// `%f[set]` at `p` behind the `f`: where the pattern goes on.
    fn frontier(&self, s: usize, p: usize) -> Found {
        if self.byte(p) != Some(b'[') {
            return Err(End::Refused);
        }
        let end = self.item_end(p)?;
        let before = s.checked_sub(1).map_or(0, |at| self.subject[at]);
        let here = self.subject.get(s).copied().unwrap_or(0);
        let crossed = !self.in_set(before, p, end - 1) && self.in_set(here, p, end - 1);
        Ok(crossed.then_some(end))
    }

    /// `%1`: the same text as a capture.
    fn again(&mut self, s: usize, digit: u8) -> Found {
        let capture = usize::from(digit - b'0').checked_sub(1);
        match capture.and_then(|at| self.captures.get(at)) {
            Some(Capture::Closed(from, to)) => {
                let text = &self.subject[*from..*to];
                self.steps += u32::try_from(text.len() / 16).unwrap_or(u32::MAX).min(STRIDE);
                Ok(self.subject[s..].starts_with(text).then_some(s + text.len()))
            }
            Some(Capture::Position) => Ok(None),
            Some(Capture::Open(_)) | None => Err(End::Refused),
        }
    }

    /// As often as the item fits, then ever less often.
    fn longest(&mut self, s: usize, p: usize, end: usize) -> Found {
        let mut to = s;
        while self.single(to, p, end) {
            self.step()?;
            to += 1;
        }
        loop {
            if let Some(found) = self.matches(to, end + 1)? {
                return Ok(Some(found));
            }
            if to == s {
                return Ok(None);
            }
            to -= 1;
        }
    }

    /// Not at all, then ever more often.
    fn shortest(&mut self, mut s: usize, p: usize, end: usize) -> Found {
        loop {
            if let Some(found) = self.matches(s, end + 1)? {
                return Ok(Some(found));
            }
            if !self.single(s, p, end) {
                return Ok(None);
            }
            s += 1;
        }
    }

    /// Where the item that begins at `p` ends: a character, a class, a set.
    fn item_end(&self, p: usize) -> Result<usize, End> {
        match self.byte(p) {
            Some(b'%') if p + 1 < self.pattern.len() => Ok(p + 2),
            Some(b'%') | None => Err(End::Refused),
            Some(b'[') => {
                let mut at = p + 1;
                if self.byte(at) == Some(b'^') {
                    at += 1;
                }
                // the first character of a set is one of it, whatever it is
                loop {
                    match self.byte(at).ok_or(End::Refused)? {
                        b'%' => {
                            self.byte(at + 1).ok_or(End::Refused)?;
                            at += 2;
                        }
                        _ => at += 1,
                    }
                    if self.byte(at) == Some(b']') {
                        return Ok(at + 1);
                    }
                }
            }
            Some(_) => Ok(p + 1),
        }
    }

    fn single(&self, s: usize, p: usize, end: usize) -> bool {
        let Some(c) = self.subject.get(s).copied() else {
            return false;
        };
        match self.pattern[p] {
            b'.' => true,
            b'%' => class(c, self.pattern[p + 1]),
            b'[' => self.in_set(c, p, end - 1),
            own => own == c,
        }
    }

    /// Whether the set between the brackets at `p` and `close` has `c`.
    fn in_set(&self, c: u8, p: usize, close: usize) -> bool {
        let mut at = p + 1;
        let wanted = self.pattern[at] != b'^';
        if !wanted {
            at += 1;
        }
        while at < close {
            let own = self.pattern[at];
            if own == b'%' {
                if class(c, self.pattern[at + 1]) {
                    return wanted;
                }
                at += 2;
            } else if at + 2 < close && self.pattern[at + 1] == b'-' {
                if (own..=self.pattern[at + 2]).contains(&c) {
                    return wanted;
                }
                at += 3;
            } else {
                if own == c {
                    return wanted;
                }
                at += 1;
            }
        }
        !wanted
    }
}

/// Whether `c` is of the class that a letter names; an upper-case letter is what is not of it.
fn class(c: u8, letter: u8) -> bool {
    let of = match letter.to_ascii_lowercase() {
        b'a' => c.is_ascii_alphabetic(),
        b'c' => c.is_ascii_control(),
        b'd' => c.is_ascii_digit(),
        b'g' => c.is_ascii_graphic(),
        b'l' => c.is_ascii_lowercase(),
        b'p' => c.is_ascii_punctuation(),
        b's' => matches!(c, b' ' | 9..=13),
        b'u' => c.is_ascii_uppercase(),
        b'w' => c.is_ascii_alphanumeric(),
        b'x' => c.is_ascii_hexdigit(),
        b'z' => c == 0,
        _ => return letter == c,
    };
    of != letter.is_ascii_uppercase()
}

/// How many matches may be tried without a look at the watchdog: half a second at most.
const FEW: u64 = 1 << 24;

/// The ways that `k` quantifiers can share up to `n` characters: n + k over k.
const fn ways(n: u64, k: u64) -> u64 {
    let (mut ways, mut i) = (1, 1);
    while i <= k && ways <= FEW {
        ways = ways * (n + i) / i;
        i += 1;
    }
    ways
}

/// By the number of quantifiers, the longest subject that has few ways.
const SHORT: [usize; 32] = {
    let mut short = [usize::MAX; 32];
    let mut k = 1;
    while k < short.len() {
        let (mut low, mut high) = (0, FEW);
        while low < high {
            let middle = (low + high).div_ceil(2);
            match ways(middle, k as u64) <= FEW {
                true => low = middle,
                false => high = middle - 1,
            }
        }
        short[k] = low as usize;
        k += 1;
    }
    short
};

/// Whether matching a pattern may take long: by the length of the subject and the quantifiers, to which one comes where
/// the pattern may begin anywhere. No more is looked at, for every call is asked.
#[inline]
pub fn is_risky(subject: usize, pattern: &[u8]) -> bool {
    let mut free = usize::from(pattern.first() != Some(&b'^'));
    let mut optional = 0;
    let mut escaped = false;
    for b in pattern {
        let shares = matches!(b, b'*' | b'+' | b'-') | (escaped & (b.is_ascii_digit() | (*b == b'b')));
        free += usize::from(shares);
        optional += u32::from(*b == b'?');
        escaped = *b == b'%';
    }
    match FEW.checked_shr(optional) {
        _ if subject > SHORT.get(free).copied().unwrap_or(0) => true,
        _ if optional == 0 => false,
        // each is there or not
        Some(few) => ways(subject as u64, free as u64) > few,
        None => true,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use mlua::{Lua, Value};

    use super::*;

    /// Where the first match of a pattern begins and ends, by trials.
    fn first(subject: &[u8], pattern: &[u8]) -> Result<Option<(usize, usize)>, End> {
        let anchored = pattern.first() == Some(&b'^');
        let mut trial = Trial::new(subject, &pattern[usize::from(anchored)..], || true);
        for at in 0..=subject.len() {
            if let Some(end) = trial.at(at)? {
                return Ok(Some((at + 1, end)));
            }
            if anchored {
                break;
            }
        }
        Ok(None)
    }

    /// A generator that repeats.
    struct Dice(u64);

    impl Dice {
        fn roll(&mut self, n: usize) -> usize {
            self.0 = self
                .0
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (self.0 >> 33) as usize % n
        }
    }

    #[test]
    fn d05_a_trial_ends_where_luajit_ends() {
        const PIECES: &[&str] = &[
            "a", "b", "(", ")", "()", ".", "%a", "%d", "%s", "%W", "%S", "%.", "%%", "[ab]", "[^a]", "[a-c]",
            "[%d-]", "[]]", "[^]b]", "[a-]", "[%a_]", "*", "+", "-", "?", "%1", "%2", "%b()", "%bab",
            "%f[a]", "%f[%W]", "$", "^", "]", "[", "%", "%g", "%p", "%z", "%u", "-", "\0", "1",
        ];
        const SUBJECT: &[u8] = b"aabbc 1(). -]%\0A_";
        let lua = Lua::new();
        let find: mlua::Function = lua
            .load("local find = string.find return function(s, p) local ok, b, e = pcall(find, s, p) return ok, b, e end")
            .eval()
            .unwrap();
        let mut dice = Dice(7);
        let mut counts = [0; 3];
        for _ in 0..60_000 {
            let pattern: String = (0..1 + dice.roll(7))
                .map(|_| PIECES[dice.roll(PIECES.len())])
                .collect();
            if !pattern.contains(['^', '$', '*', '+', '?', '.', '(', '[', '%', '-']) {
                continue; // a plain search
            }
            let subject: Vec<u8> = (0..dice.roll(12))
                .map(|_| SUBJECT[dice.roll(SUBJECT.len())])
                .collect();
            let text = lua.create_string(&subject).unwrap();
            let (ok, begin, end): (bool, Value, Value) = find.call((text, pattern.as_str())).unwrap();
            let theirs = begin.as_usize().zip(end.as_usize());
            let case = format!("{pattern:?} in {:?}", String::from_utf8_lossy(&subject));
            // that one is missed when the match is over
            let unfinished = begin
                .as_string()
                .is_some_and(|e| e.to_string_lossy() == "unfinished capture");
            match first(&subject, pattern.as_bytes()) {
                Ok(_) if unfinished => {}
                Ok(found) => {
                    assert!(ok, "{case}: LuaJIT refuses it: {begin:?}");
                    assert_eq!(found, theirs, "{case}");
                    counts[usize::from(found.is_some())] += 1;
                }
                Err(_) => {
                    assert!(!ok, "{case}: LuaJIT takes it: {theirs:?}");
                    counts[2] += 1;
                }
            }
        }
        assert!(counts.iter().all(|n| *n > 5000), "{counts:?}");
    }

    #[test]
    fn d05_what_may_take_long_is_known_beforehand() {
        assert!(is_risky(8000, b"^%s*(.-)%s*$"));
        assert!(!is_risky(300, b"^%s*(.-)%s*$"));
        assert!(!is_risky(1_000_000, b"plain"));
        assert!(is_risky(1_000_000, b"%bxy") && is_risky(20_000, b"a*"));
        assert!(is_risky(40, b".-.-.-.-.-.-.-.-x") && !is_risky(8, b".-.-.-.-.-.-.-.-x"));
        assert!(is_risky(1, &b"a*".repeat(40)) && is_risky(1, &b"a?".repeat(64)));
        assert!(is_risky(22, &b"a?".repeat(22)) && is_risky(200_000, b"^(.-)%1x"));
        assert!(!is_risky(200, b"^https?://([^/:]+):?(%d*)/?(.*)$"));
        let mut asked = 0;
        let text = vec![b'a'; 4000];
        let mut trial = Trial::new(&text, b".-.-.-b", || {
            asked += 1;
            asked < 10
        });
        assert_eq!(trial.at(0), Err(End::Stopped));
        assert_eq!(asked, 10);
    }
}
