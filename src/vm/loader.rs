//! Where Lua modules come from: embedded sources, `lua_package_path`, the drop-in folder. For libraries that are not
//! Kong's own a user's file comes before the embedded one, as on Kong.
//!
//! Must not: run plugin code by itself.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use mlua::{Lua, Value};

/// Lua text compiled in, and where it stands in the tree.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    /// The text at the time of the build.
    pub text: &'static str,
    /// The Rust file that embeds it, from the root of the tree.
    pub beside: &'static str,
    /// The Lua file, from the folder of that Rust file.
    pub file: &'static str,
}

impl Source {
    /// The text to load: in debug builds as it stands on disk now, so that a change of embedded Lua needs no build.
    pub fn text(&self) -> Cow<'static, str> {
        if cfg!(debug_assertions)
            && let Some(folder) = Path::new(self.beside).parent()
        {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(self.file);
            if let Ok(text) = std::fs::read_to_string(path) {
                return Cow::Owned(text);
            }
        }
        Cow::Borrowed(self.text)
    }
}

/// The [`Source`] of a Lua file, given from the folder of the Rust file that names it.
#[macro_export]
macro_rules! embed {
    ($file:literal) => {
        $crate::vm::loader::Source {
            text: include_str!($file),
            beside: file!(),
            file: $file,
        }
    };
}

/// Registers an embedded module; it is compiled when first required.
///
/// # Errors
/// When Lua is out of memory.
pub fn preload(lua: &Lua, name: &str, source: Source) -> mlua::Result<()> {
    let chunk_name = format!(
        "@moongate/{}.lua",
        name.trim_start_matches("moongate.").replace('.', "/")
    );
    let loader = lua.create_function(move |lua, name: Value| -> mlua::Result<Value> {
        lua.load(source.text().as_ref())
            .set_name(chunk_name.clone())
            .call(name)
    })?;
    let package: mlua::Table = lua.globals().get("package")?;
    package.get::<mlua::Table>("preload")?.set(name, loader)
}

/// Sets the search paths: the user's `lua_package_path` first, then the drop-in folder's layouts.
///
/// # Errors
/// When Lua is out of memory.
pub fn search_paths(lua: &Lua, path: &str, cpath: &str, dir: &Path) -> mlua::Result<()> {
    let package: mlua::Table = lua.globals().get("package")?;
    let users = |mine: &str, env: &str| {
        let env = std::env::var(env).unwrap_or_default();
        let mut all = String::new();
        for part in [mine, &env] {
            let part = part.trim_matches(';');
            if !part.is_empty() {
                all.push_str(part);
                all.push(';');
            }
        }
        all
    };
    let user_path = users(path, "LUA_PATH");
    package.set("path", user_path.clone() + &package.get::<String>("path")?)?;
    package.set(
        "cpath",
        users(cpath, "LUA_CPATH") + &package.get::<String>("cpath")?,
    )?;
    let root = dir.to_path_buf();
    let rockspecs = lua.create_function(move |lua, ()| lua.create_sequence_from(rockspecs(&root)))?;
    let root = dir.to_path_buf();
    let clones = lua.create_function(move |lua, ()| lua.create_sequence_from(clones(&root)))?;
    let readable = lua.create_function(|_, file: String| Ok(Path::new(&file).is_file()))?;
    lua.load(include_str!("loader.lua"))
        .set_name("@moongate/vm/loader.lua")
        .call((
            dir.to_string_lossy().into_owned(),
            clones,
            rockspecs,
            readable,
            user_path,
        ))
}

/// The rockspecs of the repositories under `root`: they say which file is which module.
fn rockspecs(root: &Path) -> Vec<String> {
    let entries = |dir: &Path| std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut found: Vec<String> = entries(root)
        .flat_map(|e| entries(&e.path()))
        .map(|e| e.path())
        .filter(|p| p.extension().is_some_and(|e| e == "rockspec"))
        .map(|p| p.to_string_lossy().into_owned())
        .collect();
    // The highest version last in the name's order: its word counts first.
    found.sort_by(|a, b| b.cmp(a));
    found
}

/// Folders under `root` that hold a whole plugin repository: they have `kong/plugins`.
pub fn clones(root: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(root) else {
        return Vec::new();
    };
    let mut found: Vec<String> = entries
        .flatten()
        .map(|e| e.path())
        .filter(|p| p.join("kong/plugins").is_dir())
        .map(|p| p.to_string_lossy().into_owned())
        .collect();
    found.sort();
    found
}

/// Names of the plugins that lie under `root` in any of the drop-in layouts, with the folder of each.
pub fn dropped_in(root: &Path) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    let mut look = |dir: PathBuf| {
        for e in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = e.path();
            if path.join("handler.lua").is_file()
                && let Some(name) = path.file_name().and_then(|n| n.to_str())
            {
                found.push((name.to_string(), path.clone()));
            }
        }
    };
    look(root.join("kong/plugins"));
    look(root.to_path_buf());
    for clone in clones(root) {
        look(Path::new(&clone).join("kong/plugins"));
    }
    found.sort();
    found.dedup_by(|a, b| a.0 == b.0);
    found
}
