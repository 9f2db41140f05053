//! JSON values on their way to Lua.

use serde_json::Value;

use super::Out;

/// Pushes a JSON value as Lua sees entities and configurations: null fields are absent.
pub fn push(out: &mut Out, value: &Value) {
    match value {
        Value::Null => out.nil(),
        Value::Bool(b) => out.bool(*b),
        Value::Number(n) => out.num(n.as_f64().unwrap_or_default()),
        Value::String(s) => out.str(s),
        Value::Array(items) => out.table(items.len(), 0, |t| {
            for (i, item) in items.iter().enumerate() {
                push(t, item);
                t.seti(i + 1);
            }
        }),
        Value::Object(map) => out.table(0, map.len(), |t| fields(t, map)),
    };
}

/// Sets an object's fields in the table being made.
pub fn fields(out: &mut Out, map: &serde_json::Map<String, Value>) {
    for (key, value) in map.iter().filter(|(_, value)| !value.is_null()) {
        out.str(key);
        push(out, value);
        out.set();
    }
}
