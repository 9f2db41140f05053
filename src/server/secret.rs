//! One secret, for the command line.
//!
//! Must not: start anything that outlives the answer.

use std::cell::RefCell;
use std::rc::Rc;

use super::{control, rooms};
use crate::exchange::Phase;
use crate::settings::Settings;
use crate::vm::{Flow, Scope};

/// What the reference stands for, or Kong's reason why there is nothing; a `name/resource` is taken for
/// `{vault://name/resource}`.
const LOOK_UP: &str = "
    local text, finish = ...
    return function()
      local vault = kong.vault
      if not vault.is_reference(text) then
        text = '{vault://' .. text .. '}'
      end
      local parsed, err = vault.parse_reference(text)
      local secret
      if parsed then
        secret, err = vault.get(text)
      end
      finish(secret, err)
    end";

type Answer = Option<Result<String, String>>;

/// Gets the secret that `reference` stands for, in a state of its own.
///
/// # Errors
/// Kong's reason why there is none.
pub fn vault_get(settings: &Settings, reference: &str) -> Result<String, String> {
    crate::pdk::configuration::set(
        &settings.configuration_json(),
        &settings.configuration_without_secrets(),
    );
    control::shared_dictionaries(settings);
    let vm = rooms::state(settings).map_err(|e| e.to_string())?;
    let answer: Rc<RefCell<Answer>> = Rc::default();
    let cell = answer.clone();
    let finish = move |_: &mlua::Lua, (secret, why): (Option<mlua::LuaString>, Option<String>)| {
        *cell.borrow_mut() = Some(match (secret, why) {
            (_, Some(why)) => Err(why),
            (Some(secret), None) => Ok(secret.to_string_lossy()),
            (None, None) => Ok("nil".to_owned()), // as Kong prints a secret it knows not to be there
        });
        Ok(())
    };
    let prepare = || {
        let finish = vm.lua().create_function(finish)?;
        let function = vm.lua().load(LOOK_UP).set_name("@moongate/server/secret.rs");
        vm.keep(function.call::<mlua::Function>((reference, finish))?)
    };
    let func = prepare().map_err(|e: mlua::Error| e.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    let local = tokio::task::LocalSet::new();
    let scope = Scope::new(&vm, Phase::Timer, None);
    if let Flow::Failed(fault) = local.block_on(&runtime, vm.run(&scope, func, &[])) {
        return Err(fault.message);
    }
    let answer = answer.borrow_mut().take();
    answer.unwrap_or_else(|| Err("stopped before there was an answer".to_owned()))
}
