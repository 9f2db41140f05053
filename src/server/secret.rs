//! Secrets before there is a gateway: for settings, and for the command line.
//!
//! Must not: start anything that outlives the answer.

use std::cell::RefCell;
use std::rc::Rc;

use super::deep::deep;
use super::{control, rooms};
use crate::exchange::Phase;
use crate::settings::{self, Loaded, Settings, Sources, Unresolved};
use crate::vm::{Flow, Scope};

/// Gives `finish` what each reference stands for, or Kong's reason why there is nothing. Settings come before
/// entities, so for them a vault goes by its name alone; a command's `name/resource` is short for
/// `{vault://name/resource}`.
const LOOK_UP: &str = "
    local references, for_settings, finish = ...
    return function()
      local vault, enabled = kong.vault, kong.configuration.loaded_vaults
      if not for_settings and not kong.db then
        kong.db = assert(require('kong.db').new(kong.configuration))
        assert(kong.db.vaults:load_vault_schemas(enabled))
      end
      for _, reference in ipairs(references) do
        if not vault.is_reference(reference) then
          reference = '{vault://' .. reference .. '}'
        end
        finish(vault.get(reference))
      end
    end";

type Answer = Result<String, String>;

/// Gets the secret that `reference` stands for, in a state of its own.
///
/// # Errors
/// Kong's reason why there is none.
pub fn vault_get(settings: &Settings, reference: &str) -> Answer {
    let answers = look_up(settings, &[reference.to_owned()], false)?;
    let unanswered = || Err("stopped before there was an answer".to_owned());
    answers.into_iter().next().unwrap_or_else(unanswered)
}

/// Loads settings, with vaults written in Lua asked for what refers to them.
///
/// # Errors
/// As [`Settings::load`]; the vaults' reasons.
pub fn load_settings(sources: &Sources) -> Result<Loaded, settings::Error> {
    match Settings::load(sources) {
        Err(settings::Error::InLua(_)) => {}
        done => return done,
    }
    // enough of the settings to find the vaults and their configuration
    let some = Settings::load(&Sources {
        look_only: true,
        unresolved: Unresolved::Unset,
        ..sources.clone()
    })?;
    let references = some.settings.references();
    let answers = look_up(&some.settings, &references, true);
    let looked_up = match answers {
        Ok(answers) => references.into_iter().zip(answers).collect(),
        Err(why) => references.into_iter().map(|r| (r, Err(why.clone()))).collect(),
    };
    Settings::load(&Sources {
        looked_up,
        ..sources.clone()
    })
}

/// On a thread of its own: the caller may be a runtime, and has a configuration that is not this one.
fn look_up(settings: &Settings, references: &[String], for_settings: bool) -> Result<Vec<Answer>, String> {
    if crate::shared::dict::all().is_empty() {
        control::shared_dictionaries(settings);
    }
    deep("vault", || ask(settings, references, for_settings))?
}

fn ask(settings: &Settings, references: &[String], for_settings: bool) -> Result<Vec<Answer>, String> {
    crate::pdk::configuration::set(
        &settings.configuration_json(),
        &settings.configuration_without_secrets(),
    );
    let vm = rooms::state(settings).map_err(|e| e.to_string())?;
    let answers: Rc<RefCell<Vec<Answer>>> = Rc::default();
    let found = answers.clone();
    let finish = move |_: &mlua::Lua, (secret, why): (Option<mlua::LuaString>, Option<String>)| {
        found.borrow_mut().push(match (secret, why) {
            (_, Some(why)) => Err(why),
            (Some(secret), None) => Ok(secret.to_string_lossy()),
            (None, None) => Ok("nil".to_owned()), // as Kong prints a secret it knows not to be there
        });
        Ok(())
    };
    let prepare = || {
        let finish = vm.lua().create_function(finish)?;
        let function = vm.lua().load(LOOK_UP).set_name("@moongate/server/secret.rs");
        vm.keep(function.call::<mlua::Function>((references, for_settings, finish))?)
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
    Ok(answers.take())
}
