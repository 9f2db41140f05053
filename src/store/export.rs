//! A snapshot as text: the declarative format, and entities by kind and id.

use super::Snapshot;
use super::rows::{Foreign, Rows};
use serde_json::Value;

impl Snapshot {
    /// The declarative YAML of which this snapshot would be made again: flat, with references as ids.
    ///
    /// # Source
    /// `kong/db/declarative/export.lua`
    pub fn to_yaml(&self) -> String {
        let mut out = "_format_version: \"3.0\"\n_transform: false\n".to_owned();
        for rows in self.rows.iter().filter(|rows| !rows.is_empty()) {
            out.push_str(&rows.kind.name);
            out.push_str(":\n");
            for at in rows.all() {
                if let Some(row) = rows.value(*at)
                    && let Ok(text) = serde_norway::to_string(&[flat(rows, row)])
                {
                    out.push_str(&text);
                }
            }
        }
        out
    }

    /// All entities as JSON: `{ kind: { id: entity } }`.
    pub fn to_json(&self) -> String {
        let mut out = "{".to_owned();
        for rows in self.rows.iter().filter(|rows| !rows.is_empty()) {
            if out.len() > 1 {
                out.push(',');
            }
            out.push_str(&format!("{}:{{", Value::from(rows.kind.name.as_str())));
            for (n, (id, text)) in rows.by_ids().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(id).to_string());
                out.push(':');
                out.push_str(text);
            }
            out.push('}');
        }
        out.push('}');
        out
    }
}

fn flat(rows: &Rows, mut row: Value) -> Value {
    if let Some(fields) = row.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    for Foreign { field, .. } in &rows.kind.foreign {
        let id = row.get(field).and_then(|reference| reference.get("id")).cloned();
        if let (Some(id), Some(fields)) = (id, row.as_object_mut()) {
            fields.insert(field.clone(), id);
        }
    }
    row
}
