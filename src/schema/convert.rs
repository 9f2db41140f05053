//! Lua values as JSON.
//!
//! Must not: judge; lists are told from records by their metatable, which the Lua side sets.

use mlua::{Lua, Table};
use serde_json::{Map, Number, Value};

/// How deep a configuration may nest.
const MAX_DEPTH: usize = 100;

/// The last index a list without a mark may have.
const MAX_SPARSE: usize = 1 << 15;

/// The metatable that marks arrays (`cjson.array_mt`).
fn array_mt(lua: &Lua) -> mlua::Result<Table> {
    let require: mlua::Function = lua.globals().get("require")?;
    require.call::<Table>("cjson")?.get("array_mt")
}

/// Turns Lua values into JSON.
#[derive(Debug)]
pub struct Converter {
    array: Table,
}

impl Converter {
    /// For the values of one state.
    ///
    /// # Errors
    /// When `cjson` cannot be loaded.
    pub fn new(lua: &Lua) -> mlua::Result<Self> {
        Ok(Self {
            array: array_mt(lua)?,
        })
    }

    /// A Lua value as JSON: tables marked as arrays, and those with only whole keys, are lists; fields are sorted
    /// by name.
    ///
    /// # Errors
    /// When the value has no JSON (functions, cycles).
    pub fn value(&self, value: &mlua::Value) -> mlua::Result<Value> {
        pull(value, &self.array, 0)
    }
}

fn pull(value: &mlua::Value, mt: &Table, depth: usize) -> mlua::Result<Value> {
    if depth > MAX_DEPTH {
        return Err(mlua::Error::runtime("configuration nests too deep"));
    }
    Ok(match value {
        mlua::Value::Nil => Value::Null,
        v if v.is_null() => Value::Null,
        mlua::Value::Boolean(b) => Value::Bool(*b),
        mlua::Value::Integer(i) => Value::from(*i),
        mlua::Value::Number(n) => number(*n),
        mlua::Value::String(s) => Value::String(s.to_string_lossy()),
        mlua::Value::Table(t) => {
            let marked = t.metatable().is_some_and(|m| m.to_pointer() == mt.to_pointer());
            if marked {
                (1..=t.raw_len())
                    .map(|i| pull(&t.raw_get(i)?, mt, depth + 1))
                    .collect::<mlua::Result<_>>()?
            } else {
                table(t, mt, depth)?
            }
        }
        other => {
            let text = format!("a {} has no place in a configuration", other.type_name());
            return Err(mlua::Error::runtime(text));
        }
    })
}

/// A table without a mark: a list (with nulls in its gaps) if all its keys are small whole numbers.
fn table(t: &Table, mt: &Table, depth: usize) -> mlua::Result<Value> {
    let mut items = Vec::new();
    let mut fields = Vec::new();
    for pair in t.pairs::<mlua::Value, mlua::Value>() {
        let (k, v) = pair?;
        let v = pull(&v, mt, depth + 1)?;
        match k.as_usize() {
            Some(i @ 1..=MAX_SPARSE) => items.push((i, v)),
            _ => fields.push((k.to_string()?, v)),
        }
    }
    if fields.is_empty() && !items.is_empty() {
        let len = items.iter().map(|(i, _)| *i).max().unwrap_or(0);
        let mut list = vec![Value::Null; len];
        for (i, v) in items {
            list[i - 1] = v;
        }
        return Ok(Value::Array(list));
    }
    fields.extend(items.into_iter().map(|(i, v)| (i.to_string(), v)));
    fields.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Value::Object(fields.into_iter().collect::<Map<_, _>>()))
}

fn number(n: f64) -> Value {
    if n == n.trunc() && n.abs() < 9_007_199_254_740_992.0 {
        Value::from(n as i64)
    } else {
        Number::from_f64(n).map_or(Value::Null, Value::Number)
    }
}
