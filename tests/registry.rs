//! What every component of this binary owes its users, whatever it is.

use serde_json::Value;
use streamgauge::catalogue::{Entry, entries, find};
use streamgauge_config::{Described, Diagnostics, Kind, Node, Section, codes};

fn name(entry: &Entry) -> String {
    format!("{} {}", entry.kind, entry.about.name)
}

fn section(yaml: &str) -> Section {
    Section::from_yaml("section", yaml).unwrap_or_else(|e| panic!("{e}\n{yaml}"))
}

/// The ```yaml blocks of a README.
fn examples(readme: &str) -> Vec<String> {
    let blocks = readme.split("```yaml\n").skip(1);
    blocks.map(|b| b.split("```").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn every_component_that_has_a_folder_is_in_the_binary() {
    for kind in Kind::ALL {
        let folder = format!("{}/{}/src", env!("CARGO_MANIFEST_DIR"), kind.section());
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let Ok(code) = std::fs::read_to_string(path.join("mod.rs")) else { continue };
            let name = path.file_name().unwrap().to_str().unwrap();
            let registered = |kind, mark| !code.contains(mark) || find(kind, name).is_some();
            assert!(registered(kind, "pub static FACTORY"), "{kind} {name} is not in the distribution");
            assert!(
                registered(Kind::Connector, "pub static CONNECTOR"),
                "connector {name} is not in the distribution"
            );
        }
    }
}

#[test]
fn every_component_refuses_a_key_it_does_not_know() {
    for entry in entries() {
        let found = (entry.config.read)(&section("no_such_setting: 1")).err().unwrap_or_default();
        let told =
            found.iter().any(|d| d.code == codes::UNKNOWN_KEY && d.message.contains("no_such_setting"));
        assert!(told, "{} takes an unknown key", name(&entry));
    }
}

#[test]
fn every_components_defaults_read_back_as_themselves() {
    for entry in entries() {
        let Some(defaults) = (entry.config.defaults)() else { continue };
        let yaml = serde_json::to_string(&written(&defaults)).unwrap();
        // What the defaults lack, such as an endpoint, is a problem of its own; here only types and keys count.
        let read = (entry.config.read)(&section(&yaml));
        match read {
            Ok(read) => assert_eq!((entry.config.effective)(&read), Some(defaults), "{}", name(&entry)),
            Err(found) => {
                let checks = found.iter().all(|d| d.code == codes::COMPONENT_CHECK);
                assert!(checks, "{}: {found}", name(&entry));
            }
        }
    }
}

/// As somebody would write it: what is off is left out, for to name it would turn it on.
fn written(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            map.iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.clone(), written(v))).collect()
        }
        Value::Array(list) => list.iter().map(written).collect(),
        other => other.clone(),
    }
}

#[test]
fn every_setting_says_what_it_does() {
    for entry in entries() {
        let defaults = (entry.config.defaults)().unwrap_or(Value::Null);
        for setting in (Described { schema: (entry.config.schema)(), defaults }).settings() {
            assert!(!setting.about.is_empty(), "{}: `{}` has no words", name(&entry), setting.key);
        }
    }
}

/// The sections in an example, with their kind and type. It may be a configuration, components by id, or one section.
fn sections(entry: &Entry, text: &str) -> Vec<(Kind, String, Section)> {
    let root = section(text);
    let map = root.node().as_map().unwrap_or_else(|| panic!("{}: no map:\n{text}", name(entry)));
    let of = |kind: Kind, id: &str, node: &Node| {
        let type_name = id.split('/').next().unwrap_or_default().trim().to_owned();
        // References stand for text here and are not expanded.
        (kind, type_name, section(&node.to_json().to_string()))
    };
    let by_kind = Kind::ALL.into_iter().filter_map(|kind| Some((kind, map.get(kind.section())?.as_map()?)));
    let found: Vec<_> =
        by_kind.flat_map(|(kind, m)| m.entries.iter().map(move |e| of(kind, &e.key, &e.value))).collect();
    let own = |id: &str| {
        id.split('/').next().is_some_and(|t| t == entry.about.name || entry.about.aliases.contains(&t))
    };
    match (found.is_empty(), map.entries.iter().all(|e| own(&e.key))) {
        (false, _) => found,
        (true, true) => map.entries.iter().map(|e| of(entry.kind, &e.key, &e.value)).collect(),
        (true, false) => vec![of(entry.kind, entry.about.name, root.node())],
    }
}

#[test]
fn every_readme_has_examples_and_all_of_them_load() {
    for entry in entries() {
        let mut shown = false;
        for text in examples(entry.about.readme) {
            for (kind, type_name, section) in sections(&entry, &text) {
                let other = find(kind, &type_name);
                let other = other.unwrap_or_else(|| {
                    panic!("{}: its README has an unknown {kind} {type_name}", name(&entry))
                });
                shown |= other.about.readme == entry.about.readme;
                let read: Result<_, Diagnostics> = (other.config.read)(&section);
                if let Err(found) = read {
                    panic!("{}: an example of its README does not load: {found}\n{text}", name(&entry));
                }
            }
        }
        assert!(shown, "{}: no example of its README shows it", name(&entry));
    }
}
