//! A README names every setting.

use std::collections::BTreeSet;

use serde_json::Value;
use streamgauge::catalogue::{Entry, entries};
use streamgauge_config::Described;

/// Groups that many components have in common. A README names the group; what is in it is in `docs/components.md`.
const SHARED: &[&str] =
    &["sending_queue", "retry_on_failure", "tls", "keepalive", "metrics", "resource_attributes"];

/// Words in code, apart: `a.b`, `.c` gives a, b and c.
fn words_in_code(readme: &str) -> BTreeSet<String> {
    let outside_blocks: String = readme.split("```").step_by(2).collect();
    let code = outside_blocks.split('`').skip(1).step_by(2);
    let word = |c: char| !(c.is_alphanumeric() || c == '_');
    code.flat_map(|span| span.split(word).map(str::to_owned).collect::<Vec<_>>()).collect()
}

fn missing(entry: &Entry) -> Vec<String> {
    let named = words_in_code(entry.about.readme);
    let defaults = (entry.config.defaults)().unwrap_or(Value::Null);
    let settings = Described { schema: (entry.config.schema)(), defaults }.settings();
    let is_named = |key: &str| {
        let mut parts = key.split('.').map(|part| part.trim_end_matches("[]")).filter(|part| *part != "*");
        // `{traces,metrics,logs}_url_path` names three keys by their common end.
        let said = |part: &str| {
            named.contains(part) || named.iter().any(|n| n.starts_with('_') && part.ends_with(n.as_str()))
        };
        // "`group.*`" speaks for all that is in a group.
        let spoken_for = |end: usize| entry.about.readme.contains(&format!("`{}.*`", &key[..end]));
        key.match_indices('.').any(|(end, _)| spoken_for(end))
            || parts.all(said)
            || key.split('.').any(|part| SHARED.contains(&part) && said(part))
    };
    settings.into_iter().map(|s| s.key).filter(|key| !is_named(key)).collect()
}

#[test]
fn every_readme_names_every_setting() {
    let found: Vec<String> = entries()
        .iter()
        .map(|entry| (entry, missing(entry)))
        .filter(|(_, missing)| !missing.is_empty())
        .map(|(entry, missing)| format!("{} {}: {}", entry.kind, entry.about.name, missing.join(", ")))
        .collect();
    assert!(found.is_empty(), "settings that a README does not name:\n{}", found.join("\n"));
}

#[test]
fn a_setting_that_no_readme_names_is_found() {
    let words = words_in_code("`a.b`, `.c` and d\n```yaml\ne: 1\n```\n`f[].g`");
    assert_eq!(words.into_iter().filter(|w| !w.is_empty()).collect::<Vec<_>>(), ["a", "b", "c", "f", "g"]);
}
