//! A snapshot as text: the declarative format, and entities by kind and id.

use super::Snapshot;
use super::rows::{Foreign, Rows};
use super::yaml_out;
use serde_json::Value;

/// There is one workspace, which is not shown.
const WORKSPACES: &str = "workspaces";
const WORKSPACE: &str = "ws_id";

impl Snapshot {
    /// The kinds that are shown, with their rows.
    fn shown(&self) -> impl Iterator<Item = &Rows> {
        let shown = |rows: &&Rows| !rows.is_empty() && rows.kind.name != WORKSPACES;
        self.rows.iter().filter(shown)
    }

    /// The declarative YAML of which this snapshot would be made again: flat, with references as ids.
    ///
    /// # Source
    /// `kong/db/declarative/export.lua`
    pub fn to_yaml(&self) -> String {
        let mut out = "_format_version: \"3.0\"\n_transform: false\n".to_owned();
        for rows in self.shown() {
            out.push_str(&rows.kind.name);
            out.push_str(":\n");
            for at in rows.all() {
                if let Some(row) = whole(rows, *at) {
                    yaml_out::item(&mut out, &flat(rows, row));
                }
            }
        }
        out
    }

    /// All entities as JSON: `{ kind: { id: entity } }`.
    pub fn to_json(&self) -> String {
        let mut out = "{".to_owned();
        for rows in self.shown() {
            if out.len() > 1 {
                out.push(',');
            }
            out.push_str(&format!("{}:{{", Value::from(rows.kind.name.as_str())));
            for (n, (id, at)) in rows.by_ids().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(id).to_string());
                out.push(':');
                out.push_str(&whole(rows, at).unwrap_or_default().to_string());
            }
            out.push('}');
        }
        out.push('}');
        out
    }
}

/// A row with all fields of its kind, but for the workspace.
fn whole(rows: &Rows, at: u32) -> Option<Value> {
    let mut row = rows.value(at)?;
    if let Some(fields) = row.as_object_mut() {
        for name in &rows.kind.fields {
            if !fields.contains_key(name) {
                fields.insert(name.clone(), Value::Null);
            }
        }
        fields.remove(WORKSPACE);
    }
    Some(row)
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
