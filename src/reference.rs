//! The component reference, `docs/components.md`, from the components' own types.

use std::fmt::Write as _;

use streamgauge_config::{Described, Kind};

use crate::catalogue::{Entry, entries};

const HEAD: &str = "# Components

Every component of this binary with every setting. This page is generated from the code: `UPDATE=1 cargo test --test reference`
writes it, and a test fails when it is out of date. Each component's README, behind its name, explains and shows examples.

Durations are written as in Go (`1m30s`, `500ms`). A setting that is left out, or null, has its default. A group marked *off* is
turned on by being named.
";

/// The whole page.
pub fn markdown() -> String {
    let entries = entries();
    let mut page = HEAD.to_owned();
    // Writing to a string does not fail.
    for kind in Kind::ALL {
        let of_kind: Vec<&Entry> = entries.iter().filter(|e| e.kind == kind).collect();
        if of_kind.is_empty() {
            continue;
        }
        let mut title = kind.section().to_owned();
        title[..1].make_ascii_uppercase();
        let _ = writeln!(page, "\n## {title}");
        for entry in of_kind {
            // What is useful on two sides is described where it lives, with the first of the two.
            let home = entries.iter().find(|e| e.about.readme == entry.about.readme).unwrap_or(entry);
            component(&mut page, entry, home);
        }
    }
    page
}

fn component(page: &mut String, entry: &Entry, home: &Entry) {
    let about = entry.about;
    let readme = format!("../{}/src/{}/README.md", home.kind.section(), home.about.name);
    let _ = writeln!(page, "\n### [`{}`]({readme})\n\n{}\n", about.name, about.summary);
    let mut facts = Vec::new();
    if !entry.signals.is_empty() {
        facts.push(format!("Signals: {}", entry.signals.join(", ")));
    }
    facts.push(format!("Stability: {}", about.stability.as_str().to_lowercase()));
    if !about.aliases.is_empty() {
        let names: Vec<String> = about.aliases.iter().map(|a| format!("`{a}`")).collect();
        facts.push(format!("Old name, still accepted: {}", names.join(", ")));
    }
    let _ = writeln!(page, "{}.", facts.join(". "));
    if home.kind != entry.kind && (home.config.schema)() == (entry.config.schema)() {
        let _ = writeln!(page, "\nIts settings are those of the {} `{}`.", home.kind, home.about.name);
        return;
    }
    let defaults = (entry.config.defaults)().unwrap_or(serde_json::Value::Null);
    let settings = Described { schema: (entry.config.schema)(), defaults }.settings();
    if settings.is_empty() {
        let _ = writeln!(page, "\nIt has no settings.");
        return;
    }
    let _ = writeln!(page, "\n| Setting | Type | Default | What it does |\n|---|---|---|---|");
    for s in settings {
        let default = match s.default.as_deref() {
            None => String::new(),
            Some("off") => "*off*".to_owned(),
            Some(value) => format!("`{}`", value.replace('|', "\\|")),
        };
        let _ = writeln!(page, "| `{}` | {} | {default} | {} |", s.key, s.kind, s.about.replace('|', "\\|"));
    }
}
