//! `ngx.pipe`: child processes, their pipes and their ends.
//!
//! A process belongs to the scope that started it and is killed with it, or when Lua lets go of it. While a read
//! or a write waits, its future owns that end. Must not: block, or leave a child unreaped.

use std::cell::{Cell, RefCell};
use std::ffi::OsStr;
use std::future::poll_fn;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::rc::{Rc, Weak};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, ChildStdin, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use super::call;
use super::log::{self, Level};
use crate::vm::{Args, Out, Registrar, Ret, Scope, cdata, op, scope};

/// How much one read may gather.
const READ_CAP: usize = 64 << 20;
/// Processes that a worker's handlers may have at once.
const PROCESSES: usize = 256;
/// Arguments or variables of one process.
const WORDS: usize = 65536;

/// One end of a pipe.
struct End<T> {
    io: RefCell<Option<T>>,
    busy: Cell<bool>,
    /// For good.
    closed: Cell<bool>,
    stop: Notify,
}

impl<T> End<T> {
    fn new(io: Option<T>) -> Self {
        Self {
            io: RefCell::new(io),
            busy: Cell::new(false),
            closed: Cell::new(false),
            stop: Notify::new(),
        }
    }

    /// Closes it; who waits on it is told.
    fn close(&self) {
        self.closed.set(true);
        drop(self.io.take());
        if self.busy.get() {
            self.stop.notify_one();
        }
    }

    /// Takes it out for an operation.
    fn take(&self, busy: &'static str) -> Result<T, &'static str> {
        if self.busy.get() {
            return Err(busy);
        }
        let io = self.io.take().ok_or("closed")?;
        self.busy.set(true);
        Ok(io)
    }
}

/// An end that an operation took out. It goes back when the operation is over, also when its thread was killed.
struct Taken<T> {
    process: Rc<Process>,
    of: fn(&Process) -> &End<T>,
    io: Option<T>,
}

impl<T> Taken<T> {
    fn new(
        process: &Rc<Process>,
        of: fn(&Process) -> &End<T>,
        busy: &'static str,
    ) -> Result<Self, &'static str> {
        let io = of(process).take(busy)?;
        Ok(Self {
            process: process.clone(),
            of,
            io: Some(io),
        })
    }

    /// The end, and who says that it is to be closed.
    fn parts(&mut self) -> (Option<&mut T>, &Notify, &Process) {
        (self.io.as_mut(), &(self.of)(&self.process).stop, &self.process)
    }
}

impl<T> Drop for Taken<T> {
    fn drop(&mut self) {
        let end = (self.of)(&self.process);
        end.busy.set(false);
        if !self.process.over.get() && !end.closed.get() {
            end.io.replace(self.io.take());
        }
    }
}

/// Says that somebody waits for the process.
struct Waiting(Rc<Process>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.set(false);
    }
}

/// What a child writes, and what of it was not asked for yet.
struct Source {
    io: Receiver,
    buf: BytesMut,
    /// So many bytes at the front of it have no end of a line.
    searched: usize,
    eof: bool,
}

/// What a read is to gather.
#[derive(Clone, Copy)]
enum Want {
    All,
    Bytes(usize),
    Line,
    Any(usize),
}

impl Source {
    fn new(io: Receiver) -> Self {
        Self {
            io,
            buf: BytesMut::new(),
            searched: 0,
            eof: false,
        }
    }

    /// What is at hand, if it is enough.
    fn enough(&mut self, want: Want) -> Option<Bytes> {
        let n = self.buf.len();
        let searched = std::mem::take(&mut self.searched);
        match want {
            Want::All => self.eof.then(|| self.buf.split().freeze()),
            Want::Bytes(wanted) => (n >= wanted).then(|| self.buf.split_to(wanted).freeze()),
            Want::Any(max) => (n > 0).then(|| self.buf.split_to(n.min(max)).freeze()),
            Want::Line => {
                let Some(end) = memchr::memchr(b'\n', &self.buf[searched..]) else {
                    self.searched = n;
                    return None;
                };
                let line = self.buf.split_to(searched + end);
                self.buf.advance(1);
                Some(without_returns(&line))
            }
        }
    }

    /// Stops anywhere without losing what has come.
    async fn gather(&mut self, want: Want, chunk: usize) -> Result<Bytes, String> {
        loop {
            if let Some(data) = self.enough(want) {
                return Ok(data);
            }
            if self.eof {
                return Err("closed".into());
            }
            if self.buf.len() > READ_CAP {
                return Err("no memory".into());
            }
            self.buf.reserve(chunk);
            match self.io.read_buf(&mut self.buf).await {
                Ok(0) => self.eof = true,
                Ok(_) => {}
                Err(e) => return Err(words(&e)),
            }
        }
    }

    fn partial(&mut self, want: Want) -> Bytes {
        self.searched = 0;
        let rest = self.buf.split().freeze();
        match want {
            Want::Line => without_returns(&rest),
            _ => rest,
        }
    }
}

fn without_returns(line: &[u8]) -> Bytes {
    line.iter().copied().filter(|b| *b != b'\r').collect()
}

/// An error in the system's words.
fn words(e: &io::Error) -> String {
    match e.kind() {
        io::ErrorKind::BrokenPipe => "closed".into(),
        _ => {
            let text = e.to_string();
            text.split(" (os error").next().unwrap_or_default().to_owned()
        }
    }
}

/// One child process.
struct Process {
    pid: i32,
    merged: bool,
    chunk: usize,
    child: RefCell<Option<Child>>,
    /// Somebody else than who waits has seen its end.
    ended: Notify,
    waiting: Cell<bool>,
    /// It was waited for, or its scope has ended.
    over: Cell<bool>,
    stdin: End<ChildStdin>,
    stdout: End<Source>,
    stderr: End<Source>,
    /// Milliseconds for writing, reading either, waiting; 0 for no limit.
    limits: Cell<[u64; 4]>,
}

impl Process {
    /// Closes what nobody is using; reads under way get what the child has left.
    fn finalize(&self) {
        self.over.set(true);
        self.stdin.close();
        for end in [&self.stdout, &self.stderr] {
            if !end.busy.get() {
                end.close();
            }
        }
    }

    /// The end of its scope: the child is killed if it lives.
    fn destroy(&self) {
        self.finalize();
        self.stdout.close();
        self.stderr.close();
        drop(self.child.take());
    }

    fn ended(&self) -> Option<ExitStatus> {
        let status = self.child.borrow_mut().as_mut()?.try_wait().ok().flatten();
        if status.is_some() {
            // what would have woken who waits is gone with the child
            self.ended.notify_one();
        }
        status
    }

    fn within(&self, which: usize) -> Duration {
        match self.limits.get()[which] {
            0 => Duration::from_secs(u64::from(u32::MAX)),
            ms => Duration::from_millis(ms),
        }
    }
}

thread_local! {
    static PROCESSES_OF: RefCell<Vec<(Weak<Scope>, Weak<Process>)>> = const { RefCell::new(Vec::new()) };
    static SWEEPING: Cell<bool> = const { Cell::new(false) };
}

/// Processes that handlers of this worker have.
pub fn count() -> usize {
    sweep();
    PROCESSES_OF.with_borrow(Vec::len)
}

/// Ends what dead handlers left.
fn sweep() {
    let mut dead = Vec::new();
    PROCESSES_OF.with_borrow_mut(|all| {
        all.retain(|(scope, process)| {
            let Some(process) = process.upgrade() else {
                return false;
            };
            let lives = scope.strong_count() > 0;
            if !lives {
                dead.push(process);
            }
            lives
        });
    });
    dead.iter().for_each(|p| p.destroy());
}

/// Takes note of who has ended, as nginx does at once; how is kept for `wait`.
fn reap() {
    PROCESSES_OF.with_borrow(|all| {
        for process in all.iter().filter_map(|(_, process)| process.upgrade()) {
            process.ended();
        }
    });
}

struct Sweeping;

impl Drop for Sweeping {
    fn drop(&mut self) {
        let _ = SWEEPING.try_with(|s| s.set(false));
    }
}

fn keep(process: Process) -> i64 {
    let scope = scope::current().map(|s| Rc::downgrade(&s)).unwrap_or_default();
    let process = Rc::new(process);
    PROCESSES_OF.with_borrow_mut(|all| all.push((scope, Rc::downgrade(&process))));
    if !SWEEPING.replace(true) {
        let mark = Sweeping;
        tokio::task::spawn_local(async move {
            let _mark = mark;
            // where the signal cannot be heard, the clock does for it
            let mut ended = signal(SignalKind::child()).ok();
            while count() > 0 {
                reap();
                let heard = async {
                    match &mut ended {
                        Some(signals) => drop(signals.recv().await),
                        None => std::future::pending().await,
                    }
                };
                let _ = tokio::time::timeout(Duration::from_millis(100), heard).await;
            }
        });
    }
    cdata::keep(process)
}

pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("ngx_pipe", "spawn", op::raw(spawn))?;
    r.op("ngx_pipe", "limits", op::raw(limits))?;
    r.op("ngx_pipe", "read", op::raw(read))?;
    r.op("ngx_pipe", "write", op::raw(write))?;
    r.op("ngx_pipe", "shutdown", op::raw(shutdown))?;
    r.op("ngx_pipe", "wait", op::raw(wait))?;
    r.op("ngx_pipe", "kill", op::raw(kill))?;
    r.op("ngx_pipe", "count", op::raw(living))
}

fn living(_: &Args, r: &mut Ret) {
    r.int(count() as i64);
}

fn process(a: &Args) -> Option<Rc<Process>> {
    cdata::get::<Rc<Process>>(a, 1)
}

/// Where the system would find a program.
fn find(program: &OsStr) -> Option<PathBuf> {
    if program.as_bytes().contains(&b'/') {
        return Some(program.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/bin:/usr/bin".into());
    std::env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|p| p.is_file())
}

/// Words with a NUL after each.
fn list(a: &Args, i: usize) -> Option<Vec<&OsStr>> {
    let text = a.str(i)?.strip_suffix(b"\0")?;
    let words: Vec<&OsStr> = text
        .split(|b| *b == 0)
        .take(WORDS)
        .map(OsStr::from_bytes)
        .collect();
    Some(words)
}

/// `spawn(words, merge_stderr, buffer_size, environ)`, lists as words with a NUL after each: number and pid.
fn spawn(a: &Args, r: &mut Ret) {
    let Some(words_given) = list(a, 1) else {
        r.fail("no memory");
        return;
    };
    if tokio::runtime::Handle::try_current().is_err() {
        return call::no_request(r);
    }
    if count() >= PROCESSES {
        r.fail("fork failed: Resource temporarily unavailable");
        return;
    }
    let merged = a.truthy(2);
    let chunk = a.int(3).unwrap_or(4096).clamp(1, 1 << 20) as usize;
    match start(&words_given, merged, list(a, 4)) {
        Ok((mut child, stdout, stderr)) => {
            let pid = child.id().unwrap_or(0) as i32;
            let stdin = child.stdin.take();
            let number = keep(Process {
                pid,
                merged,
                chunk,
                child: RefCell::new(Some(child)),
                ended: Notify::new(),
                waiting: Cell::new(false),
                over: Cell::new(false),
                stdin: End::new(stdin),
                stdout: End::new(Some(Source::new(stdout))),
                stderr: End::new(stderr.map(Source::new)),
                limits: Cell::new([10_000; 4]),
            });
            r.int(number).int(pid.into());
        }
        Err(e) => {
            r.fail(e);
        }
    }
}

type Started = (Child, Receiver, Option<Receiver>);

/// Starts a process. One whose program cannot be run is one that exits with 1, as it is after a fork.
fn start(given: &[&OsStr], merged: bool, environ: Option<Vec<&OsStr>>) -> Result<Started, String> {
    let name = given.first().ok_or("no memory")?;
    let pipe_failed = |e: io::Error| format!("pipe failed: {}", words(&e));
    let launch = |program: &Path, words: &[&OsStr]| -> Result<Result<Started, io::Error>, String> {
        let (out, out_end) = io::pipe().map_err(pipe_failed)?;
        let mut command = Command::new(program);
        command.arg0(words[0]).args(&words[1..]);
        command.stdin(Stdio::piped()).kill_on_drop(true);
        let err = if merged {
            command.stderr(out_end.try_clone().map_err(pipe_failed)?);
            None
        } else {
            let (err, err_end) = io::pipe().map_err(pipe_failed)?;
            command.stderr(err_end);
            Some(err)
        };
        command.stdout(out_end);
        if let Some(environ) = &environ {
            command.env_clear();
            for pair in environ {
                let bytes = pair.as_bytes();
                if let Some(at) = memchr::memchr(b'=', bytes) {
                    command.env(
                        OsStr::from_bytes(&bytes[..at]),
                        OsStr::from_bytes(&bytes[at + 1..]),
                    );
                }
            }
        }
        let child = match command.spawn() {
            Ok(child) => child,
            Err(e) => return Ok(Err(e)),
        };
        let receiver = |reader: io::PipeReader| Receiver::from_owned_fd(reader.into()).map_err(pipe_failed);
        let stderr = err.map(receiver).transpose()?;
        Ok(Ok((child, receiver(out)?, stderr)))
    };
    let not_found = || io::Error::from_raw_os_error(libc::ENOENT);
    let started = match find(name) {
        Some(program) => launch(&program, given)?,
        None => Err(not_found()),
    };
    match started {
        Ok(started) => Ok(started),
        Err(e) if [libc::EAGAIN, libc::ENOMEM].contains(&e.raw_os_error().unwrap_or(0)) => {
            Err(format!("fork failed: {}", words(&e)))
        }
        Err(e) => {
            let text = format!(
                "lua pipe child execvp() failed while executing {} ({}: {})",
                name.to_string_lossy(),
                e.raw_os_error().unwrap_or(0),
                words(&e)
            );
            log::emit(Level::ERR, text.as_bytes());
            let exit: [&OsStr; 3] = ["sh".as_ref(), "-c".as_ref(), "exit 1".as_ref()];
            launch(Path::new("/bin/sh"), &exit)?.map_err(|e| format!("fork failed: {}", words(&e)))
        }
    }
}

/// `limits(process, write, stdout, stderr, wait)`: milliseconds; nil leaves one as it is.
fn limits(a: &Args, _: &mut Ret) {
    let Some(p) = process(a) else { return };
    let mut limits = p.limits.get();
    for (i, limit) in limits.iter_mut().enumerate() {
        if let Some(ms) = a.num(i + 2) {
            *limit = ms as u64;
        }
    }
    p.limits.set(limits);
}

/// `read(process, stderr, kind, length)`: nil and why not; or waits for data, or nil, why, and what came.
fn read(a: &Args, r: &mut Ret) {
    if !call::allowed(r, call::WAIT) {
        return;
    }
    let Some(p) = process(a).filter(|p| !p.over.get()) else {
        r.fail("closed");
        return;
    };
    let from_stderr = a.truthy(2);
    if from_stderr && p.merged {
        r.fail("merged to stdout");
        return;
    }
    let length = a.num(4).unwrap_or(0.0) as usize;
    let want = match a.int(3) {
        Some(1) => Want::Bytes(length),
        Some(2) => Want::Line,
        Some(3) => Want::Any(length),
        _ => Want::All,
    };
    let of: fn(&Process) -> &End<Source> = if from_stderr { |p| &p.stderr } else { |p| &p.stdout };
    let mut taken = match Taken::new(&p, of, "pipe busy reading") {
        Ok(taken) => taken,
        Err(e) => {
            r.fail(e);
            return;
        }
    };
    r.wait(async move {
        let mut out = Out::new();
        let (Some(source), stop, p) = taken.parts() else {
            out.fail("closed");
            return out;
        };
        let limit = p.within(if from_stderr { 2 } else { 1 });
        let result = tokio::select! {
            biased;
            result = source.gather(want, p.chunk) => result,
            () = stop.notified() => Err("aborted".into()),
            () = tokio::time::sleep(limit) => Err("timeout".into()),
        };
        match result {
            Ok(data) => out.held(data),
            Err(e) => out.fail(e).held(source.partial(want)),
        };
        out
    });
}

/// `write(process, data)`: nil and why not; or waits for the number of bytes, or nil and why.
fn write(a: &Args, r: &mut Ret) {
    if !call::allowed(r, call::WAIT) {
        return;
    }
    let Some(p) = process(a).filter(|p| !p.over.get()) else {
        r.fail("closed");
        return;
    };
    let mut taken = match Taken::new(&p, |p| &p.stdin, "pipe busy writing") {
        Ok(taken) => taken,
        Err(e) => {
            r.fail(e);
            return;
        }
    };
    let data = Bytes::copy_from_slice(a.str(2).unwrap_or_default());
    r.wait(async move {
        let mut out = Out::new();
        let (Some(stdin), stop, p) = taken.parts() else {
            out.fail("closed");
            return out;
        };
        let limit = p.within(0);
        let result = tokio::select! {
            biased;
            result = stdin.write_all(&data) => result.map_err(|e| words(&e)),
            () = stop.notified() => Err("aborted".into()),
            () = tokio::time::sleep(limit) => Err("timeout".into()),
        };
        match result {
            Ok(()) => out.num(data.len() as f64),
            Err(e) => out.fail(e),
        };
        out
    });
}

/// `shutdown(process, end)`: 0 for stdin, 1 for stdout, 2 for stderr.
fn shutdown(a: &Args, r: &mut Ret) {
    let Some(p) = process(a).filter(|p| !p.over.get()) else {
        r.fail("closed");
        return;
    };
    match a.int(2) {
        Some(0) => p.stdin.close(),
        Some(1) => p.stdout.close(),
        _ if p.merged => {
            r.fail("merged to stdout");
            return;
        }
        _ => p.stderr.close(),
    }
    r.bool(true);
}

/// How a child ended: whether well, `exit` or `signal`, and the number.
fn end_of(status: ExitStatus) -> Out {
    let mut out = Out::new();
    out.bool(status.success());
    match (status.code(), status.signal()) {
        (Some(code), _) => out.lit("exit").num(code),
        (None, Some(signal)) => out.lit("signal").num(signal),
        (None, None) => out.lit("unknown").num(0),
    };
    out
}

/// `wait(process)`: nil and why not; or waits for how the process ended, or nil and `timeout`.
fn wait(a: &Args, r: &mut Ret) {
    if !call::allowed(r, call::WAIT) {
        return;
    }
    let Some(p) = process(a).filter(|p| !p.over.get()) else {
        r.fail("exited");
        return;
    };
    if p.waiting.replace(true) {
        r.fail("pipe busy waiting");
        return;
    }
    let waiting = Waiting(p);
    r.wait(async move {
        let p = &waiting.0;
        // the child stays where `kill` and the end of the scope find it
        let ended = async {
            loop {
                let seen = poll_fn(|cx| match p.child.borrow_mut().as_mut() {
                    Some(child) => pin!(child.wait()).poll(cx),
                    None => std::task::Poll::Ready(Err(io::ErrorKind::NotFound.into())),
                });
                tokio::select! {
                    biased;
                    status = seen => return status,
                    () = p.ended.notified() => {}
                }
            }
        };
        match tokio::time::timeout(p.within(3), ended).await {
            Ok(Ok(status)) => {
                log::emit_outside(
                    Level::NOTICE,
                    format!("signal {} (SIGCHLD) received from {}", libc::SIGCHLD, p.pid).as_bytes(),
                );
                p.finalize();
                end_of(status)
            }
            other => {
                let mut out = Out::new();
                out.fail(if other.is_err() { "timeout" } else { "exited" });
                out
            }
        }
    });
}

/// `kill(process, signal)`: true, or nil and why.
fn kill(a: &Args, r: &mut Ret) {
    let signal = a
        .int(2)
        .unwrap_or(-1)
        .clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32;
    let living = process(a).filter(|p| !p.over.get() && p.ended().is_none());
    let Some(p) = living else {
        r.fail("exited");
        return;
    };
    // SAFETY: a system call on numbers; the child has not been reaped, so the pid is still its own.
    #[allow(unsafe_code)]
    let failed = unsafe { libc::kill(p.pid, signal) } == -1;
    if !failed {
        r.bool(true);
        return;
    }
    let e = io::Error::last_os_error();
    match e.raw_os_error() {
        Some(libc::EINVAL) => r.fail("invalid signal"),
        Some(libc::ESRCH) => r.fail("exited"),
        _ => r.fail(words(&e)),
    };
}
