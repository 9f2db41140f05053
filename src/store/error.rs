//! Why a document is no configuration, in Kong's words.

use serde_json::Value;

/// Why a document is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The text is not JSON or YAML, or no object.
    #[error("failed parsing declarative configuration: {0}")]
    Syntax(String),
    /// The text, or what it expands to, is beyond the limits.
    #[error("failed parsing declarative configuration: {0}")]
    Limit(&'static str),
    /// The entities are wrong; a tree by list, entry and field.
    #[error("{}", tree_text(.0))]
    Invalid(Value),
}

impl StoreError {
    /// The errors as a tree: objects by field, arrays by entry with null for sound entries, texts at the leaves.
    pub fn tree(&self) -> Value {
        match self {
            Self::Invalid(tree) => tree.clone(),
            other => serde_json::json!({ "error": other.to_string() }),
        }
    }
}

/// The tree as Kong prints it (`pretty_print_error` in `kong/db/declarative/init.lua`).
fn tree_text(tree: &Value) -> String {
    let mut out = String::new();
    print(tree, "", 0, &mut out);
    out
}

fn print(tree: &Value, of: &str, indent: usize, out: &mut String) {
    let mut line = |label: String, inner: &str, value: &Value| {
        if !out.is_empty() {
            out.push('\n');
        }
        out.extend(std::iter::repeat_n(' ', indent));
        out.push_str(&label);
        match value {
            Value::Object(_) | Value::Array(_) => {
                out.push(':');
                print(value, inner, indent + 2, out);
            }
            Value::String(text) => {
                out.push_str(": ");
                out.push_str(text);
            }
            other => {
                out.push_str(": ");
                out.push_str(&other.to_string());
            }
        }
    };
    match tree {
        Value::Object(fields) => {
            for (name, value) in fields {
                let label = match name.parse::<usize>() {
                    Ok(number) => format!("- in entry {number} of '{of}'"),
                    Err(_) => format!("in '{name}'"),
                };
                line(label, name, value);
            }
        }
        Value::Array(entries) => {
            for (at, value) in entries.iter().enumerate().filter(|(_, value)| !value.is_null()) {
                line(
                    format!("- in entry {} of '{of}'", at + 1),
                    &(at + 1).to_string(),
                    value,
                );
            }
        }
        _ => {}
    }
}
