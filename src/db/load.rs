//! A declarative text becomes a snapshot: read straight into Lua tables, judged by the schemas there, taken back row
//! by row.
//!
//! Must not: run on a worker's thread; it is for a control state, off the request path.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;

use md5::{Digest, Md5};
use mlua::{Function, Lua, LuaString, Table};
use serde_json::Value;

use super::keeper::Keeper;
use super::pieces::{Kinds, Pieces};
use crate::libs::cjson::lent::{self, Lent, lend};
use crate::schema::Converter;
use crate::store::syntax::{self, Format, MakeNothing};
use crate::store::{Builder, EntityKind, Snapshot, StoreError, yaml_to_json};
use crate::vm::Vm;

/// What the judge is told beside the text.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The plugins that may be configured.
    pub plugins: Vec<String>,
    /// The vaults that may be configured.
    pub vaults: Vec<String>,
    /// Whether a refusal lists its errors by entity, too.
    pub flatten_errors: bool,
}

/// Why a text was refused.
#[derive(Debug, Clone, Default)]
pub struct Refused {
    /// For people, as Kong prints it.
    pub text: String,
    /// The error object of Kong's Admin API: `code`, `name`, `message`, `fields`, perhaps `flattened_errors`.
    pub error: Value,
}

impl Refused {
    /// An error that has no place among the entities.
    pub fn whole(text: String) -> Self {
        let fields = serde_json::json!({ "error": text });
        // as Kong prints a Lua table
        let printed = format!("{{error={}}}", fields["error"]);
        let error = serde_json::json!({
            "code": 14,
            "name": "invalid declarative configuration",
            "message": format!("declarative config is invalid: {printed}"),
            "fields": fields,
        });
        Self { text, error }
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::whole(error.to_string())
    }
}

/// MD5 of a configuration's text in hex: the hash it is known by.
pub fn hash(text: &str) -> String {
    let digest = Md5::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Lua memory that is worth a collection, in bytes.
const MUCH: usize = 96 << 20;

/// How far the garbage grows before it is collected, in percent of what lives. Little lives while a text is judged
/// item by item: to collect it as often as elsewhere would be a fifth of the work.
const PAUSE: &str = "collectgarbage('setpause', 250)";

/// Reads and judges a declarative text. `make` is given the snapshot, on the thread that made it.
///
/// # Errors
/// What is wrong with it, all of it at once, with the places.
pub fn load<T: Send + 'static>(
    vm: &Vm,
    text: &str,
    format: Format,
    options: &Options,
    make: impl FnOnce(Snapshot) -> T + Send + 'static,
) -> Result<T, Refused> {
    let reader = Reader::new(vm.lua()).map_err(|e| Refused::whole(plain(&e)))?;
    let text_of = reader.json_of(text, format)?;
    let pieces = RefCell::new(None);
    vm.guarded(|lua| lua.load(PAUSE).exec())
        .map_err(|e| Refused::whole(plain(&e)))?;
    let judged = vm.guarded(|lua| {
        lua.scope(|scope| {
            let whole = scope
                .create_function(|_, ()| reader.read(&text_of, format).map_err(mlua::Error::external))?;
            let source = source(lua, scope, &text_of, &pieces, &reader)?;
            judge(lua, (whole, source), &pieces, &reader, options, hash(text), make)
        })
    });
    let keeper = judged.map_err(|e| {
        let at = vm.guarded(|lua| {
            lua.load("return require('moongate.db.declarative').where()")
                .eval()
        });
        match at {
            Ok(Some::<String>(place)) => Refused::whole(format!("{place}: {}", plain(&e))),
            _ => Refused::whole(plain(&e)),
        }
    })??;
    let mut collected = Ok(());
    let made = keeper.finish(|| {
        // a document that was read as a whole left much; what follows may have that memory
        if vm.lua().used_memory() > MUCH {
            collected = vm.lua().gc_collect();
        }
    })?;
    collected.map_err(|e| Refused::whole(plain(&e)))?;
    Ok(made)
}

/// An mlua error as Lua's own message, without the wrapping and the traceback.
fn plain(e: &mlua::Error) -> String {
    match e {
        mlua::Error::CallbackError { cause, .. } => plain(cause),
        mlua::Error::RuntimeError(s) => s.split("\nstack traceback:").next().unwrap_or(s).to_string(),
        other => other.to_string(),
    }
}

/// How rows cross over: as JSON text, without what is null.
const SINK: &str = "local json = ...
    json.encode_number_precision(16)
    json.encode_sparse_array(true)
    json.encode_max_depth(100)
    json.encode_escape_forward_slash(false)
    local add = json.row
    return function(kind, row)
        local _, err = add(kind, row)
        if err then
            error(err:find('excessive depth', 1, true) and 'it nests too deep' or err, 0)
        end
    end";

/// What the judge's decoder and encoder are lent: the document's pieces, and where rows go.
struct Traffic<'p, 't, T> {
    pieces: &'p RefCell<Option<Pieces<'t>>>,
    keeper: Rc<RefCell<Option<Keeper<T>>>>,
    /// The text of the newest item.
    item: String,
}

impl<T: Send + 'static> Lent for Traffic<'_, '_, T> {
    fn item(&mut self, list: usize, at: usize) -> Option<&str> {
        let mut pieces = self.pieces.borrow_mut();
        self.item.clear();
        self.item.push_str(pieces.as_mut()?.item(list, at)?);
        Some(&self.item)
    }

    /// What does not fit is told at the end; until then the rest is judged for nothing.
    fn row(&mut self, kind: &str, text: &str) -> bool {
        let mut keeper = self.keeper.borrow_mut();
        keeper.as_mut().is_some_and(|keeper| keeper.add(kind, text))
    }
}

/// What Lua takes a document apart by: a function of the kinds of entities that answers nothing where the document is
/// not taken apart. An item's lists of entities are numbers there.
fn source<'s, 't: 's>(
    lua: &Lua,
    scope: &'s mlua::Scope<'s, '_>,
    text: &'t str,
    pieces: &'s RefCell<Option<Pieces<'t>>>,
    reader: &Reader,
) -> mlua::Result<Function> {
    let top = scope.create_function(move |_, kind: LuaString| {
        let pieces = pieces.borrow();
        Ok(pieces.as_ref().and_then(|p| p.top(&kind.to_str().ok()?)))
    })?;
    let count = scope
        .create_function(move |_, list: usize| Ok(pieces.borrow().as_ref().map_or(0, |p| p.len(list))))?;
    let done = scope.create_function(move |_, list: usize| {
        if let Some(p) = pieces.borrow_mut().as_mut() {
            p.done(list);
        }
        Ok(())
    })?;
    let methods = lua.create_table()?;
    methods.set("top", top)?;
    methods.set("count", count)?;
    methods.set("item", reader.instance.get::<Function>("item")?)?;
    methods.set("done", done)?;
    methods.set("decode", &reader.json)?;
    scope.create_function(move |_, (kinds, unless): (Kinds, Vec<String>)| {
        let Some(taken) = Pieces::new(text, kinds).filter(|p| !p.mentions(&unless)) else {
            return Ok(None);
        };
        methods.set("head", taken.head.as_str())?;
        pieces.replace(Some(taken));
        Ok(Some(methods.clone()))
    })
}

fn judge<T: Send + 'static>(
    lua: &Lua,
    (input, source): (Function, Function),
    pieces: &RefCell<Option<Pieces<'_>>>,
    reader: &Reader,
    options: &Options,
    hash: String,
    make: impl FnOnce(Snapshot) -> T + Send + 'static,
) -> mlua::Result<Result<Keeper<T>, Refused>> {
    let set = |names: &[String]| lua.create_table_from(names.iter().map(|name| (name.as_str(), true)));
    let converter = Rc::new(Converter::new(lua)?);
    let require: Function = lua.globals().get("require")?;
    let told = lua.create_table()?;
    told.set("plugins", set(&options.plugins)?)?;
    told.set("vaults", set(&options.vaults)?)?;
    told.set("flatten_errors", options.flatten_errors)?;
    let kinds = kinds_of(lua, &options.plugins)?;
    let keeper = Keeper::start(kinds, hash, make).map_err(|e| mlua::Error::RuntimeError(e.to_string()))?;
    let keeper = Rc::new(RefCell::new(Some(keeper)));
    told.set("source", source)?;
    told.set(
        "sink",
        lua.load(SINK)
            .set_name("=sink")
            .call::<Function>(&reader.instance)?,
    )?;
    let again = keeper.clone();
    told.set(
        "reset",
        lua.create_function(move |_, ()| {
            again.borrow_mut().as_mut().map(Keeper::reset);
            Ok(())
        })?,
    )?;
    type Loaded = (mlua::Value, mlua::Value, mlua::Value, Option<String>, mlua::Value);
    let load = function(&require, "moongate.db.declarative", "load")?;
    let mut traffic = Traffic {
        pieces,
        keeper: keeper.clone(),
        item: String::new(),
    };
    let (done, _, _, text, error): Loaded = lend(&mut traffic, || load.call((input, told)))?;
    if done.is_nil() {
        let text = text.unwrap_or_default();
        // what a schema's own function answered as its error may be anything, and still has its text
        return Ok(Err(match converter.value(&error) {
            Ok(error) => Refused { text, error },
            Err(_) => Refused::whole(text),
        }));
    }
    let keeper = keeper.borrow_mut().take();
    keeper
        .ok_or_else(|| mlua::Error::RuntimeError("no rows".to_owned()))
        .map(Ok)
}

fn function(require: &Function, module: &str, name: &str) -> mlua::Result<Function> {
    require.call::<Table>(module)?.get(name)
}

/// The kinds of entities there are with these plugins.
fn kinds_of(lua: &Lua, plugins: &[String]) -> mlua::Result<Vec<EntityKind>> {
    let require: Function = lua.globals().get("require")?;
    let plugins = lua.create_table_from(plugins.iter().map(|name| (name.as_str(), true)))?;
    let kinds = function(&require, "moongate.db.setup", "entities")?.call(plugins)?;
    let kinds = Converter::new(lua)?.value(&kinds)?;
    serde_json::from_value(lists(kinds)).map_err(mlua::Error::external)
}

/// Empty tables of a description are lists.
fn lists(value: Value) -> Value {
    match value {
        Value::Object(map) if map.is_empty() => Value::Array(Vec::new()),
        Value::Object(map) => Value::Object(map.into_iter().map(|(k, v)| (k, lists(v))).collect()),
        Value::Array(items) => Value::Array(items.into_iter().map(lists).collect()),
        other => other,
    }
}

/// The kinds of entities there are with these options, and no rows.
///
/// # Errors
/// When the schemas cannot be loaded.
pub fn empty(vm: &Vm, options: &Options) -> Result<Snapshot, String> {
    let kinds = vm
        .guarded(|lua| kinds_of(lua, &options.plugins))
        .map_err(|e| plain(&e))?;
    Ok(Builder::new(kinds).finish(crate::store::EMPTY_HASH.to_owned()))
}

/// Gives a worker's state `kong.db`, with the entities of these plugins; it is made when it is first asked for.
///
/// # Errors
/// When Lua is out of memory.
pub fn install_daos(vm: &Vm, plugins: &[String]) -> mlua::Result<()> {
    vm.guarded(|lua| {
        let require: Function = lua.globals().get("require")?;
        let plugins = lua.create_table_from(plugins.iter().map(|name| (name.as_str(), true)))?;
        function(&require, "moongate.db.setup", "lazily")?.call(plugins)
    })
}

/// Reads texts into Lua tables: null is `ngx.null`, lists are marked as arrays.
struct Reader {
    /// The decoder, and what it is of.
    json: Function,
    instance: Table,
}

impl Reader {
    fn new(lua: &Lua) -> mlua::Result<Self> {
        let instance = lent::open(lua)?;
        let json = lua.load(JSON).set_name("=reader");
        Ok(Self {
            json: json.call((&instance, syntax::MAX_DEPTH))?,
            instance,
        })
    }

    /// A text as JSON: YAML is made JSON, what may be JSON is left as it is.
    fn json_of<'t>(&self, text: &'t str, format: Format) -> Result<Cow<'t, str>, StoreError> {
        if text.len() > syntax::MAX_TEXT {
            return Err(StoreError::Limit("more than 64 MiB"));
        }
        let start = text.trim_start();
        if format == Format::Json || format == Format::Either && start.starts_with('{') {
            return Ok(Cow::Borrowed(text));
        }
        // a list or a scalar is refused in either format, but only one of them reads it
        if format == Format::Either
            && self
                .json
                .call::<Answer>(text)
                .is_ok_and(|(_, problem)| problem.is_none())
        {
            return Ok(Cow::Borrowed(text));
        }
        yaml_to_json(text).map(Cow::Owned)
    }

    /// The tables of a JSON text. JSON goes through the decoder that Lua has anyway, which is the fastest way into
    /// tables.
    fn read(&self, text: &str, format: Format) -> Result<mlua::Value, StoreError> {
        let decoded = |text: &str| {
            self.json
                .call::<Answer>(text)
                .map_err(|e| StoreError::Syntax(plain(&e)))
        };
        let (value, problem) = decoded(text)?;
        let Some(problem) = problem else {
            return Ok(value);
        };
        // what starts like JSON is told what is wrong with it as JSON
        let told = || StoreError::Syntax(placed(problem, text));
        if format == Format::Json {
            return Err(told());
        }
        let text = yaml_to_json(text).map_err(|_| told())?;
        decoded(&text).map(|(value, _)| value)
    }
}

type Answer = (mlua::Value, Option<String>);

/// What the decoder says, which is Kong's word for it, with line and column by another reader.
fn placed(problem: String, text: &str) -> String {
    match syntax::parse(text, Format::Json, &MakeNothing) {
        Err(StoreError::Syntax(place)) => format!("{problem} ({place})"),
        _ => problem,
    }
}

/// A decoder of its own: limits as for YAML, empty lists stay lists, no NaN.
const JSON: &str = "local cjson, max_depth = ...
    cjson.decode_array_with_array_mt(true)
    cjson.decode_invalid_numbers(false)
    cjson.decode_max_depth(max_depth)
    return cjson.decode";
