//! The rules at work on a request.

use std::borrow::Cow;

use regex::Regex;
use streamgauge_component::Context;
use streamgauge_pdata::edit::{Headers, Record, ResourceHeader, Unread};
use streamgauge_pdata::view::Value;
use streamgauge_pdata::{Grouper, Malformed};

use super::config::{ProjectConfig, ProjectRule};

/// The rules, ready to be used.
#[derive(Debug)]
pub(super) struct Rules {
    list: Vec<Rule>,
    /// Some look at the resource.
    by_resource: bool,
    pub(super) default: String,
}

#[derive(Debug)]
struct Rule {
    place: Place,
    pattern: Option<Regex>,
}

#[derive(Debug)]
enum Place {
    Attribute(String),
    Resource(String),
    Header(String),
    Value(String),
}

impl Rules {
    pub(super) fn new(config: &ProjectConfig) -> Result<Rules, regex::Error> {
        let list: Vec<Rule> = config.rules.iter().filter_map(rule).collect::<Result<_, _>>()?;
        let by_resource = list.iter().any(|rule| matches!(rule.place, Place::Resource(_)));
        Ok(Rules { list, by_resource, default: config.default.clone() })
    }
}

fn rule(config: &ProjectRule) -> Option<Result<Rule, regex::Error>> {
    let place = match config {
        ProjectRule { attribute: Some(key), .. } => Place::Attribute(key.clone()),
        ProjectRule { resource: Some(key), .. } => Place::Resource(key.clone()),
        ProjectRule { header: Some(name), .. } => Place::Header(name.to_ascii_lowercase()),
        ProjectRule { value: Some(value), .. } => Place::Value(value.clone()),
        _ => return None,
    };
    let pattern = config.pattern.as_deref().map(Regex::new).transpose();
    Some(pattern.map(|pattern| Rule { place, pattern }))
}

impl Rule {
    /// The project in what was found, unless that is empty.
    fn project<'t>(&self, found: &'t str) -> Option<&'t str> {
        let project = match &self.pattern {
            None => Some(found),
            Some(pattern) => {
                let groups = pattern.captures(found)?;
                groups.get(usize::from(pattern.captures_len() > 1)).map(|group| group.as_str())
            }
        };
        project.filter(|project| !project.is_empty())
    }
}

/// Finds the project of each record of a request. Rules that do not look at the record are asked once a resource, or once for
/// all where none looks at that.
pub(super) struct Finder<'r> {
    rules: &'r Rules,
    context: &'r Context,
    /// The project by the first rule that matches without looking at the record, and that rule's number.
    fixed: (String, usize),
    /// Memory for the project of one record.
    project: String,
}

impl<'r> Finder<'r> {
    pub(super) fn new(rules: &'r Rules, context: &'r Context) -> Self {
        let mut finder = Finder { rules, context, fixed: (String::new(), 0), project: String::new() };
        finder.fix(None);
        finder
    }

    fn fix(&mut self, resource: Option<&ResourceHeader<'_>>) {
        let (project, number) = &mut self.fixed;
        project.clear();
        for (at, rule) in self.rules.list.iter().enumerate() {
            let found = match &rule.place {
                Place::Attribute(_) => None,
                Place::Resource(key) => resource.and_then(|resource| text(resource.attributes().get(key))),
                Place::Header(name) => self.context.header(name).map(Cow::Borrowed),
                Place::Value(value) => Some(Cow::Borrowed(value.as_str())),
            };
            if let Some(found) = found.as_deref().and_then(|found| rule.project(found)) {
                project.push_str(found);
                *number = at;
                return;
            }
        }
        project.push_str(&self.rules.default);
        *number = self.rules.list.len();
    }
}

impl Headers for Finder<'_> {
    fn resource(&mut self, resource: Unread<'_, ResourceHeader<'_>>) {
        if self.rules.by_resource {
            self.fix(resource.read().ok().as_ref());
        }
    }
}

impl Grouper for Finder<'_> {
    fn key(&mut self, record: &Record<'_>) -> &str {
        for rule in self.rules.list.iter().take(self.fixed.1) {
            let Place::Attribute(key) = &rule.place else { continue };
            let found = text(record.attributes().get(key));
            if let Some(found) = found.as_deref().and_then(|found| rule.project(found)) {
                self.project.clear();
                self.project.push_str(found);
                return &self.project;
            }
        }
        &self.fixed.0
    }

    /// Nothing passes without a project.
    fn is_strict(&self) -> bool {
        true
    }

    fn whole(&self) -> Option<&str> {
        let mut before = self.rules.list.iter().take(self.fixed.1);
        let by_record = before.any(|rule| matches!(rule.place, Place::Attribute(_)));
        (!by_record).then_some(&*self.fixed.0)
    }
}

/// A value as text; a value that cannot be read is none.
fn text<'v>(value: Result<Option<Value<'v>>, Malformed>) -> Option<Cow<'v, str>> {
    value.ok().flatten().and_then(|value| value.to_text().ok())
}
