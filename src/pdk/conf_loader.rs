//! `kong.conf_loader`: settings as a table, loaded as the gateway loads its own, to be looked at.
//!
//! Must not: change the settings the gateway runs with.

use std::path::PathBuf;

use serde_json::Value;

use crate::settings::{self, Settings, Sources, Unresolved};
use crate::vm::json;
use crate::vm::loader::Source;
use crate::vm::{Args, Registrar, Ret, op};

const MODULES: &[(&str, Source)] = &[
    ("kong.conf_loader", crate::embed!("conf_loader.lua")),
    ("kong.global", crate::embed!("global.lua")),
    ("kong.cmd.utils.log", crate::embed!("cmd_log.lua")),
];

/// # Errors
/// When Lua is out of memory.
pub(super) fn install(r: &Registrar) -> mlua::Result<()> {
    r.op("kong.conf_loader", "load", op::raw(load))?;
    r.op("kong.conf_loader", "file", op::raw(file))?;
    r.op("kong.conf_loader", "sensitive", op::raw(sensitive))?;
    for (name, source) in MODULES {
        r.module(name, *source)?;
    }
    Ok(())
}

fn path(a: &Args, i: usize) -> Option<PathBuf> {
    Some(PathBuf::from(String::from_utf8_lossy(a.str(i)?).into_owned()))
}

/// `load(path, overrides, unresolved)`: the configuration and warnings; or nil, a complaint and, of values, all of them.
/// `overrides` is a JSON object, `unresolved` is "refuse", "unset" or nil.
fn load(a: &Args, r: &mut Ret) {
    let mut sources = Sources {
        conf_file: path(a, 1),
        look_only: true,
        unresolved: match a.str(3) {
            Some(b"refuse") => Unresolved::Refuse,
            Some(b"unset") => Unresolved::Unset,
            _ => Unresolved::Keep,
        },
        ..Sources::of_process()
    };
    if let Some(overrides) = a.str(2) {
        match serde_json::from_slice(overrides) {
            Ok(values) => sources.override_with(&values),
            Err(why) => {
                r.fail(why.to_string());
                return;
            }
        }
    }
    match Settings::load(&sources) {
        Ok(loaded) => {
            json::push(r, &loaded.settings.configuration_json());
            json::push(r, &Value::from(loaded.warnings));
        }
        Err(error) => {
            r.fail(error.to_string());
            if matches!(error, settings::Error::Invalid { .. }) {
                json::push(r, &Value::from(error.all()));
            }
        }
    }
}

/// `file(path)`: the keys of one `kong.conf`, or nil and the system's word.
fn file(a: &Args, r: &mut Ret) {
    let Some(path) = path(a, 1) else {
        r.fail("no path");
        return;
    };
    match settings::conf_file_keys(&path) {
        Ok(keys) => r.table(0, keys.len(), |t| {
            for (key, text) in keys {
                t.str(key).str(text).set();
            }
        }),
        Err(why) => {
            let why = why.to_string();
            let why = why.split(" (os error").next().unwrap_or_default();
            r.fail(format!("{}: {why}", path.display()))
        }
    };
}

/// `sensitive()`: the keys whose values must not be shown.
fn sensitive(_: &Args, r: &mut Ret) {
    r.table(settings::SENSITIVE.len(), 0, |t| {
        for (i, key) in settings::SENSITIVE.iter().enumerate() {
            t.str(key).seti(i + 1);
        }
    });
}
