//! The spec runner: busted-style specs with luassert-style assertions, run in the gateway's own Lua.
//!
//! Everything a spec sees is Lua, in the files beside this one; here is what the runner asks of the outside
//! (files, clock, terminal) and the entry. Must not: know what a spec tests.

use std::cell::Cell;
use std::ffi::OsStr;
use std::io::{IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use mlua::{Function, Lua, Table, Value};

use crate::vm::Registrar;

mod request;
#[cfg(test)]
mod tests;

/// Why the runner itself could not run (failed specs are an exit code, not an error).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The runner's Lua raised.
    #[error("spec runner: {0}")]
    Lua(#[from] mlua::Error),
    /// The program was stopped before it had a result.
    #[error("spec runner: stopped before the end of the run")]
    Unfinished,
}

macro_rules! modules {
    ($($name:literal => $file:literal),* $(,)?) => {
        /// The embedded modules: the name that `require` takes, and the source.
        pub const MODULES: &[(&str, $crate::vm::loader::Source)] = &[$(($name, crate::embed!($file))),*];
    };
}

modules! {
    "busted" => "init.lua",
    "busted.block" => "block.lua",
    "busted.cli" => "cli.lua",
    "busted.config" => "config.lua",
    "busted.context" => "context.lua",
    "busted.core" => "core.lua",
    "busted.elements" => "elements.lua",
    "busted.environment" => "environment.lua",
    "busted.events" => "events.lua",
    "busted.files" => "files.lua",
    "busted.filter" => "filter.lua",
    "busted.fixtures" => "fixtures.lua",
    "busted.host" => "host.lua",
    "busted.json_text" => "json_text.lua",
    "busted.languages.en" => "languages/en.lua",
    "busted.luajit" => "luajit.lua",
    "busted.options" => "options.lua",
    "busted.order" => "order.lua",
    "busted.output" => "output.lua",
    "busted.outputHandlers.TAP" => "outputHandlers/TAP.lua",
    "busted.outputHandlers.base" => "outputHandlers/base.lua",
    "busted.outputHandlers.gtest" => "outputHandlers/gtest.lua",
    "busted.outputHandlers.json" => "outputHandlers/json.lua",
    "busted.outputHandlers.junit" => "outputHandlers/junit.lua",
    "busted.outputHandlers.plainTerminal" => "outputHandlers/plainTerminal.lua",
    "busted.outputHandlers.terminal" => "outputHandlers/terminal.lua",
    "busted.outputHandlers.utfTerminal" => "outputHandlers/utfTerminal.lua",
    "busted.palette" => "palette.lua",
    "busted.paths" => "paths.lua",
    "busted.pretty" => "pretty.lua",
    "busted.runner" => "runner.lua",
    "busted.status" => "status.lua",
    "busted.suite" => "suite.lua",
    "busted.trace" => "trace.lua",
    "busted.xml_text" => "xml_text.lua",
    "luassert" => "luassert/init.lua",
    "luassert.arguments" => "luassert/arguments.lua",
    "luassert.array" => "luassert/array.lua",
    "luassert.assert" => "luassert/assert.lua",
    "luassert.assertions" => "luassert/assertions.lua",
    "luassert.compatibility" => "luassert/compatibility.lua",
    "luassert.error_assertions" => "luassert/error_assertions.lua",
    "luassert.failure" => "luassert/failure.lua",
    "luassert.formatters" => "luassert/formatters/init.lua",
    "luassert.formatters.binarystring" => "luassert/formatters/binarystring.lua",
    "luassert.languages.en" => "luassert/languages/en.lua",
    "luassert.match" => "luassert/match.lua",
    "luassert.matchers" => "luassert/matchers/init.lua",
    "luassert.mock" => "luassert/mock.lua",
    "luassert.modifiers" => "luassert/modifiers.lua",
    "luassert.namespaces" => "luassert/namespaces.lua",
    "luassert.spy" => "luassert/spy.lua",
    "luassert.state" => "luassert/state.lua",
    "luassert.stub" => "luassert/stub.lua",
    "luassert.util" => "luassert/util.lua",
    "moongate.spec.asserts" => "helpers/asserts.lua",
    "moongate.spec.constants" => "helpers/constants.lua",
    "moongate.spec.database" => "helpers/database.lua",
    "moongate.spec.misc" => "helpers/misc.lua",
    "moongate.spec.request" => "request.lua",
    "moongate.spec.wait" => "helpers/wait.lua",
    "say" => "say.lua",
    "spec.helpers" => "helpers/init.lua",
    "term" => "term/init.lua",
    "term.colors" => "term/colors.lua",
}

/// Brings the runner's modules into a state.
///
/// # Errors
/// When Lua is out of memory.
pub fn install(r: &Registrar) -> mlua::Result<()> {
    for (name, source) in MODULES {
        r.module(name, *source)?;
    }
    request::install(r)
}

/// A run of specs as a Lua function without arguments, to be called on a coroutine of the driver
/// so that specs may wait, and the exit code it leaves.
pub struct Program {
    /// Runs the specs.
    pub function: Function,
    exit_code: Rc<Cell<Option<i32>>>,
}

impl Program {
    /// Prepares a run with the command-line arguments `args` (without the program's name). The
    /// state must have had [`install`].
    ///
    /// # Errors
    /// When Lua is out of memory.
    pub fn new(lua: &Lua, args: &[String]) -> Result<Self, Error> {
        let exit_code = Rc::new(Cell::new(None));
        let cell = exit_code.clone();
        let finish = lua.create_function(move |_, code: i32| {
            cell.set(Some(code));
            Ok(())
        })?;
        let args = lua.create_sequence_from(args.iter().map(String::as_str))?;
        let function = lua
            .load(
                "local args, host, finish = ...
                 return function() finish(require('busted.cli')(args, host)) end",
            )
            .set_name("@moongate/busted/entry.lua")
            .call((args, host_functions(lua)?, finish))?;
        Ok(Self { function, exit_code })
    }

    /// 0 when nothing failed, otherwise 1.
    ///
    /// # Errors
    /// When the function has not come to its end.
    pub fn exit_code(&self) -> Result<i32, Error> {
        self.exit_code.get().ok_or(Error::Unfinished)
    }
}

/// Runs specs outside any driver (they cannot wait) and returns the exit code.
///
/// # Errors
/// When the runner's own Lua raises.
pub fn run(lua: &Lua, args: &[String]) -> Result<i32, Error> {
    let program = Program::new(lua, args)?;
    program.function.call::<()>(())?;
    program.exit_code()
}

/// What the runner asks of the outside; see `host.lua`.
///
/// # Errors
/// When Lua is out of memory.
pub fn host_functions(lua: &Lua) -> mlua::Result<Table> {
    let host = lua.create_table()?;
    add_files(lua, &host)?;
    add_directories(lua, &host)?;
    add_clock_and_terminal(lua, &host)?;
    Ok(host)
}

fn path_of(text: &mlua::LuaString) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(&text.as_bytes()))
}

/// The system's words, without Rust's "(os error 2)".
fn words(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_string(),
        None => text,
    }
}

type Answer = mlua::Result<(Value, Option<String>)>;

fn answer(result: std::io::Result<Value>) -> Answer {
    Ok(match result {
        Ok(value) => (value, None),
        Err(error) => (Value::Nil, Some(words(&error))),
    })
}

fn add_files(lua: &Lua, host: &Table) -> mlua::Result<()> {
    host.set(
        "read_file",
        lua.create_function(|lua, path: mlua::LuaString| -> Answer {
            match std::fs::read(path_of(&path)) {
                Ok(bytes) => Ok((Value::String(lua.create_string(&bytes)?), None)),
                Err(error) => answer(Err(error)),
            }
        })?,
    )?;
    host.set(
        "write_file",
        lua.create_function(|_, (path, text): (mlua::LuaString, mlua::LuaString)| -> Answer {
            answer(std::fs::write(path_of(&path), &*text.as_bytes()).map(|()| Value::Boolean(true)))
        })?,
    )?;
    host.set(
        "is_file",
        lua.create_function(|_, path: mlua::LuaString| Ok(path_of(&path).is_file()))?,
    )
}

fn list(lua: &Lua, path: &Path) -> mlua::Result<std::io::Result<Value>> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => return Ok(Err(error)),
    };
    let found = lua.create_table()?;
    for entry in entries.flatten() {
        // Through a symbolic link, to what it names.
        let kind = if entry.path().is_dir() { "dir" } else { "file" };
        let row = lua.create_table()?;
        row.set("name", lua.create_string(entry.file_name().as_bytes())?)?;
        row.set("kind", kind)?;
        found.push(row)?;
    }
    Ok(Ok(Value::Table(found)))
}

fn add_directories(lua: &Lua, host: &Table) -> mlua::Result<()> {
    host.set(
        "list_dir",
        lua.create_function(|lua, path: mlua::LuaString| -> Answer { answer(list(lua, &path_of(&path))?) })?,
    )?;
    host.set(
        "is_dir",
        lua.create_function(|_, path: mlua::LuaString| Ok(path_of(&path).is_dir()))?,
    )?;
    host.set(
        "chdir",
        lua.create_function(|_, path: mlua::LuaString| -> Answer {
            let path = path_of(&path);
            Ok(match std::env::set_current_dir(&path) {
                Ok(()) => (Value::Boolean(true), None),
                Err(error) => (Value::Nil, Some(format!("{}: {}", path.display(), words(&error)))),
            })
        })?,
    )?;
    host.set(
        "current_dir",
        lua.create_function(|lua, ()| -> Answer {
            match std::env::current_dir() {
                Ok(path) => Ok((
                    Value::String(lua.create_string(path.as_os_str().as_bytes())?),
                    None,
                )),
                Err(error) => answer(Err(error)),
            }
        })?,
    )
}

fn add_clock_and_terminal(lua: &Lua, host: &Table) -> mlua::Result<()> {
    let start = Instant::now();
    host.set(
        "monotonic",
        lua.create_function(move |_, ()| Ok(start.elapsed().as_secs_f64()))?,
    )?;
    host.set(
        "now",
        lua.create_function(|_, ()| {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            Ok(since.unwrap_or_default().as_secs_f64())
        })?,
    )?;
    host.set(
        "sleep",
        lua.create_function(|_, seconds: f64| {
            std::thread::sleep(Duration::try_from_secs_f64(seconds).unwrap_or_default());
            Ok(())
        })?,
    )?;
    host.set(
        "isatty",
        lua.create_function(|_, ()| Ok(std::io::stdout().is_terminal()))?,
    )?;
    host.set(
        "getenv",
        lua.create_function(|lua, name: mlua::LuaString| {
            std::env::var_os(OsStr::from_bytes(&name.as_bytes()))
                .map(|value| lua.create_string(value.as_bytes()))
                .transpose()
        })?,
    )?;
    host.set(
        "write_error",
        lua.create_function(|_, text: mlua::LuaString| Ok(std::io::stderr().write_all(&text.as_bytes())?))?,
    )
}
