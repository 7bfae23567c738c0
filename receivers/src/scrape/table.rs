//! Metrics declared once.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a metric's value is, and since when it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A value of the moment.
    Gauge,
    /// A sum that rises and falls.
    UpDown,
    /// A sum that only grows, since the given event.
    Counter(Since),
    /// A histogram that only grows, since the given event.
    Histogram(Since),
    /// A histogram of the moment: each round's stands for itself, so each starts at its own round.
    Snapshot,
}

/// What a counter counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Since {
    /// The start of the server's process.
    Process,
    /// The same, or the last CONFIG RESETSTAT.
    Stats,
    /// Something of the series' own, known only by the value's fall.
    Series,
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) kind: Kind,
    /// Whether it is on without being asked for.
    pub(crate) enabled: bool,
    /// Keys of its points' attributes.
    pub(crate) attributes: &'static [&'static str],
    /// One sentence.
    pub(crate) about: &'static str,
}

/// A receiver's metrics, as a type so that settings can know them.
pub trait Table: 'static {
    /// All of them, in the order of the documents.
    #[doc(hidden)]
    #[allow(private_interfaces)]
    fn metrics() -> impl Iterator<Item = &'static Metric>;

    /// Their names.
    #[doc(hidden)]
    fn names() -> &'static [&'static str];
}

/// A metric that a configuration declares. Each declaration is kept once, for as long as the process lives: to load the same
/// again costs nothing.
pub(crate) fn declared<'a>(
    name: &str,
    unit: &str,
    kind: Kind,
    attributes: impl Iterator<Item = &'a String>,
    about: &str,
) -> &'static Metric {
    static ALL: Mutex<Vec<&'static Metric>> = Mutex::new(Vec::new());
    let attributes: Vec<_> = attributes.map(String::as_str).collect();
    let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    let is_the_same = |known: &&&Metric| {
        (known.name, known.unit, known.kind, known.about) == (name, unit, kind, about)
            && known.attributes == attributes
    };
    if let Some(known) = all.iter().find(is_the_same) {
        return known;
    }
    let lasting = |text: &str| -> &'static str { Box::leak(text.into()) };
    let attributes = attributes.into_iter().map(lasting).collect::<Vec<_>>().leak();
    let (name, unit, about) = (lasting(name), lasting(unit), lasting(about));
    let metric = Box::leak(Box::new(Metric { name, unit, kind, enabled: true, attributes, about }));
    all.push(metric);
    metric
}

/// `metrics`: switches by name.
pub struct Toggles<T>(BTreeMap<String, Toggle>, PhantomData<fn() -> T>);

/// The switch of one metric.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Toggle {
    /// Whether it is collected; without it the metric's default holds.
    enabled: Option<bool>,
}

impl<T> Default for Toggles<T> {
    fn default() -> Self {
        Toggles(BTreeMap::new(), PhantomData)
    }
}

impl<T> std::fmt::Debug for Toggles<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: Table> Toggles<T> {
    /// For each metric of the table whether it is on.
    pub(crate) fn enabled(&self) -> Vec<bool> {
        let on = |m: &Metric| self.0.get(m.name).and_then(|t| t.enabled).unwrap_or(m.enabled);
        T::metrics().map(on).collect()
    }
}

impl<T> Serialize for Toggles<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Read like a struct whose fields are the metrics, so that a wrong name is told like any unknown key.
impl<'de, T: Table> Deserialize<'de> for Toggles<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names<T>(PhantomData<T>);

        impl<'de, T: Table> Visitor<'de> for Names<T> {
            type Value = BTreeMap<String, Toggle>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("metrics by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut toggles = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    if !T::names().contains(&name.as_str()) {
                        return Err(A::Error::unknown_field(&name, T::names()));
                    }
                    toggles.insert(name, map.next_value()?);
                }
                Ok(toggles)
            }
        }

        let names = Names::<T>(PhantomData);
        deserializer.deserialize_struct("metrics", T::names(), names).map(|map| Toggles(map, PhantomData))
    }
}

impl<T: Table> JsonSchema for Toggles<T> {
    fn schema_name() -> Cow<'static, str> {
        "Metrics".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let toggle = generator.subschema_for::<Toggle>();
        json_schema!({
            "type": "object", "propertyNames": { "enum": T::names() }, "additionalProperties": toggle
        })
    }
}

/// The table as Markdown, for the README.
#[cfg(test)]
pub(crate) fn markdown<T: Table>() -> String {
    let mut text =
        String::from("| metric | kind | unit | attributes | default | |\n|---|---|---|---|---|---|\n");
    for metric in T::metrics() {
        let kind = match metric.kind {
            Kind::Gauge => "gauge",
            Kind::UpDown => "sum",
            Kind::Counter(_) => "counter",
            Kind::Histogram(_) => "histogram",
            Kind::Snapshot => "histogram of now",
        };
        let attributes: Vec<_> = metric.attributes.iter().map(|a| format!("`{a}`")).collect();
        let (attributes, on) = (attributes.join(", "), if metric.enabled { "on" } else { "off" });
        let Metric { name, unit, about, .. } = metric;
        text.push_str(&format!("| `{name}` | {kind} | {unit} | {attributes} | {on} | {about} |\n"));
    }
    text
}
