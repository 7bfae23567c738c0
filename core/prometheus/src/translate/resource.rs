//! What a resource and a scope give to every series below them.

use streamgauge_pdata::Malformed;
use streamgauge_pdata::view::{Attributes, MetricView, ScopeView, Value};

use super::{Target, Translated, Translator};
use crate::labels::{Labels, Rank};

/// Which resource attributes become labels of every series. Patterns may hold `*` (any text) and `?` (one
/// character). Nothing is chosen by default: attributes are in `target_info`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourceLabels {
    /// Keys that are chosen; empty means all, when something is excluded.
    pub included: Vec<String>,
    /// Keys that are not, though included.
    pub excluded: Vec<String>,
}

impl ResourceLabels {
    /// Every attribute.
    #[must_use]
    pub fn all() -> Self {
        Self { included: vec!["*".to_owned()], excluded: Vec::new() }
    }

    /// Whether an attribute is chosen.
    #[must_use]
    pub fn chooses(&self, key: &str) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|p| matches(p.as_bytes(), key.as_bytes()));
        let included = if self.included.is_empty() { !self.excluded.is_empty() } else { any(&self.included) };
        included && !any(&self.excluded)
    }
}

/// Whether a pattern with `*` and `?` covers a text, in time proportional to both lengths.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match &mut star {
                // The last star takes one character more.
                Some((at, taken)) => {
                    *taken += 1;
                    (p, t) = (*at + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

/// Labels that every series of a resource starts from.
pub(super) struct ResourceTarget {
    pub labels: Labels,
    /// The server that the resource is about, `host:port` or a socket's path.
    pub server: String,
    job: String,
    instance: String,
}

impl Translator {
    pub(super) fn target(&self, attributes: Attributes<'_>) -> Result<ResourceTarget, Malformed> {
        let text = |key| -> Result<String, Malformed> {
            let value = attributes.get(key)?.unwrap_or(Value::Empty);
            Ok(value.to_text()?.into_owned())
        };
        let (name, namespace) = (text("service.name")?, text("service.namespace")?);
        let job = if name.is_empty() || namespace.is_empty() { name } else { format!("{namespace}/{name}") };
        let instance = text("service.instance.id")?;
        let mut labels = Labels::default();
        self.target_labels(&job, &instance, &mut labels);
        let mut chosen = Vec::new();
        for attribute in attributes {
            let (key, value) = attribute?;
            if self.settings.resource_labels.chooses(key) {
                chosen.push((key, value));
            }
        }
        chosen.sort_by_key(|(key, _)| *key);
        for (key, value) in chosen {
            self.label("", key, &value, &mut labels)?;
        }
        let (address, port) = (text("server.address")?, text("server.port")?);
        let server = if port.is_empty() { address } else { format!("{address}:{port}") };
        // A preset's names have no other label that tells servers apart.
        if instance.is_empty() && !self.presets.presets().is_empty() {
            labels.push(Rank::Target, "instance", &server);
        }
        Ok(ResourceTarget { labels, server, job, instance })
    }

    fn target_labels(&self, job: &str, instance: &str, labels: &mut Labels) {
        labels.push(Rank::Target, "job", job);
        labels.push(Rank::Target, "instance", instance);
        for (name, value) in &self.settings.external_labels {
            labels.push(Rank::External, name, value);
        }
    }

    pub(super) fn scope_labels<'a>(
        &self,
        scope: &ScopeView<'a, MetricView<'a>>,
        labels: &mut Labels,
    ) -> Result<(), Malformed> {
        labels.push(Rank::Target, "otel_scope_name", scope.name);
        labels.push(Rank::Target, "otel_scope_version", scope.version);
        labels.push(Rank::Target, "otel_scope_schema_url", scope.schema_url);
        let mut attributes = scope.attributes().collect::<Result<Vec<_>, _>>()?;
        attributes.sort_by_key(|(key, _)| *key);
        self.label_all("otel_scope_", &attributes, labels)
    }

    /// Remembers a target's facts; of several in one batch the latest stays, for a target has one `target_info`.
    pub(super) fn target_info<S>(
        &self,
        attributes: Attributes<'_>,
        target: &ResourceTarget,
        timestamp_ms: i64,
        out: &mut Translated<S>,
    ) -> Result<(), Malformed> {
        if target.job.is_empty() && target.instance.is_empty() {
            return Ok(());
        }
        let mut facts = Vec::new();
        for attribute in attributes {
            let (key, value) = attribute?;
            if !matches!(key, "service.name" | "service.namespace" | "service.instance.id") {
                facts.push((key, value));
            }
        }
        if facts.is_empty() {
            return Ok(());
        }
        let mut labels = Labels::default();
        self.target_labels(&target.job, &target.instance, &mut labels);
        facts.sort_by_key(|(key, _)| *key);
        for (key, value) in facts {
            self.label("", key, &value, &mut labels)?;
        }
        let key = (target.job.clone(), target.instance.clone());
        let slot =
            out.targets.entry(key).or_insert_with(|| Target { labels: Labels::default(), timestamp_ms });
        if timestamp_ms >= slot.timestamp_ms {
            *slot = Target { labels, timestamp_ms };
        }
        Ok(())
    }

    pub(super) fn target_info_name(&self) -> String {
        let name = self.settings.namer.metric("target_info", "", crate::name::Kind::UpDownCounter);
        name.unwrap_or_else(|| "target_info".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::{ResourceLabels, matches};

    #[test]
    fn wildcards_cover_any_text_and_single_characters() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("service.*", "service.name", true),
            ("service.*", "serviceXname", false),
            ("*.name", "a.b.name", true),
            ("a*b*c", "a__b_b__c", true),
            ("a*b*c", "a__c__b", false),
            ("h?st", "host", true),
            ("h?st", "hst", false),
            ("host", "host", true),
            ("host", "hosts", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn exclusion_alone_means_everything_else_and_nothing_means_nothing() {
        let pick = |included: &[&str], excluded: &[&str], key: &str| {
            let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
            ResourceLabels { included: owned(included), excluded: owned(excluded) }.chooses(key)
        };
        assert!(!pick(&[], &[], "a"));
        assert!(pick(&[], &["b*"], "a"));
        assert!(!pick(&[], &["b*"], "bb"));
        assert!(pick(&["a", "b*"], &["bx"], "by"));
        assert!(!pick(&["a", "b*"], &["bx"], "bx"));
        assert!(ResourceLabels::all().chooses("x.y"));
    }
}
