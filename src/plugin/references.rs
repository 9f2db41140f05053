//! Vault references in configurations: which have some, and getting their secrets before they are needed.
//!
//! Must not: know a vault (that is `kong.vault`), or which fields may refer (that is the schema).

use std::rc::Rc;

use mlua::{Function, Table};
use serde_json::Value;

use super::chain::Plan;
use crate::exchange::Phase;
use crate::vm::{Flow, Scope, Vm};

/// Whether a text in `value` looks like a vault reference.
pub(super) fn is_in(value: &Value) -> bool {
    match value {
        Value::String(text) => text.starts_with("{vault://") && text.ends_with('}'),
        Value::Array(items) => items.iter().any(is_in),
        Value::Object(map) => map.values().any(is_in),
        _ => false,
    }
}

/// Makes the `conf` tables that have references, where vaults can be waited for.
///
/// # Errors
/// Lua's message, when the plugin loop is not there or out of memory; a reference without a secret is none.
pub async fn warm(vm: &Rc<Vm>, plan: &Plan) -> Result<(), String> {
    let scope = Scope::new(vm, Phase::Timer, None);
    let referring = plan
        .snapshot
        .plugins
        .iter()
        .enumerate()
        .filter(|(_, plugin)| plugin.enabled && is_in(&plugin.config))
        .filter_map(|(config, plugin)| {
            let id = plan.plugins.iter().position(|info| info.name == plugin.name)?;
            Some([id as f64, config as f64])
        });
    let list: Vec<f64> = referring.flatten().collect();
    let prepare = || {
        let run: Table = vm.lua().load("return require('moongate.plugin.run')").eval()?;
        vm.keep(run.get::<Function>("warm")?.bind(list)?)
    };
    let func = prepare().map_err(|e| e.to_string())?;
    match vm.run(&scope, func, &[]).await {
        Flow::Failed(fault) => Err(fault.message),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn b7_references_are_found_wherever_they_are() {
        assert!(is_in(&json!("{vault://env/x}")));
        assert!(is_in(
            &json!({"a": [1, null, {"b": "{vault://env/x/y?prefix=z#1}"}]})
        ));
        for other in [
            json!(null),
            json!("{vault://env/x"),
            json!("x{vault://env/x}"),
            json!({"{vault://env/x}": 1}),
            json!([true, "vault://env/x"]),
        ] {
            assert!(!is_in(&other), "{other}");
        }
    }
}
