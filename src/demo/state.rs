//! What the demo has heard from the collector: the last value of every series, and the alerts' transitions.

use std::collections::{BTreeMap, VecDeque};

use streamgauge_pdata::Malformed;
use streamgauge_pdata::view::{
    Attributes, Data, LogsView, MetricView, MetricsView, NumberPoint, Points, Value,
};

/// How many transitions are kept.
const TRANSITIONS: usize = 8;

/// A series' attributes, as text.
pub type Labels = BTreeMap<String, String>;

/// A change of an alert's state.
#[derive(Debug, Clone, PartialEq)]
pub struct Transition {
    /// When, in ns since 1970.
    pub at: u64,
    /// The rule's name.
    pub alert: String,
    /// `warning` or `critical`.
    pub severity: String,
    /// The new state.
    pub state: String,
    /// What the alert says about itself.
    pub text: String,
}

/// Everything that is shown.
#[derive(Debug, Default)]
pub struct State {
    values: BTreeMap<String, BTreeMap<Labels, f64>>,
    transitions: VecDeque<Transition>,
    /// Transitions that came after the last [`State::take_new`].
    unseen: Vec<Transition>,
}

impl State {
    /// Takes in a metrics request.
    pub fn metrics(&mut self, request: &[u8]) -> Result<(), Malformed> {
        for resource in MetricsView::new(request).resources() {
            for scope in resource?.scopes() {
                for metric in scope?.records() {
                    self.metric(&metric?)?;
                }
            }
        }
        Ok(())
    }

    fn metric(&mut self, metric: &MetricView<'_>) -> Result<(), Malformed> {
        match metric.data {
            Data::Gauge(points) | Data::Sum { points, .. } => self.points(metric.name, points),
            _ => Ok(()),
        }
    }

    fn points<'a>(&mut self, name: &str, points: Points<'a, NumberPoint<'a>>) -> Result<(), Malformed> {
        for point in points {
            let point = point?;
            let labels = labels(point.attributes())?;
            let series = self.values.entry(name.to_owned()).or_default();
            match point.value.filter(|_| !point.no_recorded_value()) {
                Some(value) => series.insert(labels, value.as_f64()),
                None => series.remove(&labels),
            };
        }
        Ok(())
    }

    /// Takes in a logs request: the records that are transitions.
    pub fn logs(&mut self, request: &[u8]) -> Result<(), Malformed> {
        for resource in LogsView::new(request).resources() {
            for scope in resource?.scopes() {
                for record in scope?.records() {
                    let record = record?;
                    if record.event_name == "alert.transition" {
                        let of = labels(record.attributes())?;
                        self.transition(record.time, &of, text(&record.body));
                    }
                }
            }
        }
        Ok(())
    }

    fn transition(&mut self, at: u64, of: &Labels, text: String) {
        let get = |key: &str| of.get(key).cloned().unwrap_or_default();
        let (alert, state) = (get("alert.name"), get("alert.state"));
        // The screen has name and state in columns of their own.
        let text = text.strip_prefix(&format!("{alert} {state}: ")).map(str::to_owned).unwrap_or(text);
        let transition = Transition { at, alert, severity: get("alert.severity"), state, text };
        self.unseen.push(transition.clone());
        self.transitions.push_back(transition);
        if self.transitions.len() > TRANSITIONS {
            self.transitions.pop_front();
        }
    }

    /// The series of a metric with their last values.
    pub fn series(&self, metric: &str) -> impl Iterator<Item = (&Labels, f64)> {
        self.values.get(metric).into_iter().flatten().map(|(labels, value)| (labels, *value))
    }

    /// The value of the one series that has these attributes among its own.
    pub fn value(&self, metric: &str, wanted: &[(&str, &str)]) -> Option<f64> {
        let has =
            |labels: &Labels| wanted.iter().all(|(k, v)| labels.get(*k).is_some_and(|found| found == v));
        self.series(metric).find(|(labels, _)| has(labels)).map(|(_, value)| value)
    }

    /// The last transitions, oldest first.
    pub fn transitions(&self) -> impl Iterator<Item = &Transition> {
        self.transitions.iter()
    }

    /// Transitions since the last call.
    pub fn take_new(&mut self) -> Vec<Transition> {
        std::mem::take(&mut self.unseen)
    }
}

fn labels(attributes: Attributes<'_>) -> Result<Labels, Malformed> {
    attributes.map(|pair| pair.map(|(key, value)| (key.to_owned(), text(&value)))).collect()
}

fn text(value: &Value<'_>) -> String {
    match value {
        Value::Str(text) => (*text).to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        _ => String::new(),
    }
}
