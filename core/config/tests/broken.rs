//! What people see for a broken file. Every file of `tests/broken` has a snapshot in `tests/snapshots`; its first line may
//! name the environment (`# env: NAME=value`), further arguments (`# set: key=value`) and the error's code is in its name.

#![allow(clippy::unwrap_used)] // an integration test: nothing but a test calls its helpers

mod parts;

use std::ffi::OsString;
use std::path::Path;

use streamgauge_config::{Diagnostics, Loader, Style, render};

/// Loads a file the way `validate` does: the service's errors and those of every section.
fn diagnostics(path: &Path) -> Diagnostics {
    let text = std::fs::read_to_string(path).unwrap();
    let directives = |name: &str| -> Vec<String> {
        let prefix = format!("# {name}: ");
        text.lines().filter_map(|l| l.strip_prefix(&prefix)).map(str::to_owned).collect()
    };
    let env: Vec<(String, String)> = directives("env")
        .iter()
        .map(|e| e.split_once('=').map(|(k, v)| (k.to_owned(), v.replace("\\n", "\n"))).unwrap())
        .collect();
    let lookup = |name: &str| env.iter().find(|(k, _)| k == name).map(|(_, v)| OsString::from(v));
    let mut loader =
        Loader::new().env(lookup).source(format!("tests/broken/{}", path.file_name().unwrap().display()));
    for extra in directives("config") {
        loader = loader.source(extra);
    }
    for set in directives("set") {
        loader = loader.set(set);
    }
    let loaded = loader.load(&parts::known());
    let mut found = loaded.diagnostics;
    for component in loaded.config.iter().flat_map(|c| c.components()) {
        found.extend(parts::check(component).into_iter().flatten());
    }
    if let Some(config) = &loaded.config {
        found.extend(config.service.telemetry.read::<parts::Telemetry>().err().into_iter().flatten());
    }
    found
}

fn files() -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir("tests/broken").unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn every_broken_file_is_refused_in_the_words_of_its_snapshot() {
    assert!(files().len() >= 40);
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for file in files() {
            let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
            let found = diagnostics(&file);
            assert!(!found.is_empty(), "{name} is not broken");
            insta::assert_snapshot!(name, render(&found, Style::Plain));
        }
    });
}

#[test]
fn every_error_of_a_file_has_a_place_and_no_secret_is_shown() {
    for file in files() {
        let found = diagnostics(&file);
        for d in &found {
            assert!(
                d.place.is_some() || ["SG0101", "SG0105", "SG0108"].contains(&d.code),
                "{}: {d}",
                file.display()
            );
        }
        let shown = format!("{}{}", render(&found, Style::Colour), found.to_json());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}
