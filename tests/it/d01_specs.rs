//! Every function of the contract (`tests/names/names.lua`) is called by a spec, and every other name stands in one.
//!
//! What is called is watched while the specs run (`tests/names/called.lua`), so that no comment and no list of names
//! can pretend to be a spec.

use std::path::Path;
use std::process::Command;

use crate::support::TempDir;

/// The folders whose specs are about the contract.
const FOLDERS: [&str; 4] = ["spec/ngx", "spec/pdk", "spec/libs", "spec/cache"];

/// What the run reports, a line each.
fn watched(root: &Path) -> Vec<String> {
    let dir = TempDir::new();
    let report = dir.path().join("uncalled");
    let out = Command::new(env!("CARGO_BIN_EXE_moongate"))
        .args(["spec", "--helper=tests/names/called.lua"])
        .args(FOLDERS)
        .env("MOONGATE_UNCALLED", &report)
        .current_dir(root)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success(), "{text}");
    let report = std::fs::read_to_string(&report).unwrap();
    report.lines().map(str::to_owned).collect()
}

/// The text of the specs, without their comments.
fn specs(root: &Path) -> Vec<String> {
    let files = FOLDERS
        .iter()
        .flat_map(|folder| std::fs::read_dir(root.join(folder)).unwrap());
    let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
    let code = |line: &str| line.split("--").next().unwrap_or_default().to_owned() + "\n";
    texts.map(|text| text.lines().map(code).collect()).collect()
}

/// Whether `word` stands in `text`, no letter, digit or `_` before or behind it.
fn has_word(text: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word)
        .any(|(at, _)| !part(text[..at].chars().next_back()) && !part(text[at + word.len()..].chars().next()))
}

/// Whether a value is spoken of: by its whole name; a constant, and a module's field, by its own.
fn stands_in(text: &str, name: &str) -> bool {
    if let Some((module, field)) = name.split_once('#') {
        return text.contains(&format!("\"{module}\"")) && has_word(text, field)
            || has_word(text, module.rsplit('.').next().unwrap_or_default()) && has_word(text, field);
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    let constant = last.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    has_word(text, name) || constant && has_word(text, last)
}

#[test]
fn d01_every_function_is_called_by_a_spec() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let report = watched(root);
    let (values, wrong): (Vec<_>, Vec<_>) = report.iter().partition(|line| line.starts_with("= "));
    assert!(wrong.is_empty(), "no spec calls {wrong:#?}");
    assert!(values.len() > 80, "{values:?}");
    let specs = specs(root);
    let missing: Vec<_> = values
        .iter()
        .map(|line| &line[2..])
        .filter(|name| !specs.iter().any(|text| stands_in(text, name)))
        .collect();
    assert!(missing.is_empty(), "no spec speaks of {missing:#?}");
}
