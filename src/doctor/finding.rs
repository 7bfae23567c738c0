//! What was found, about whom, and what to do about it.

use serde_json::{Value, json};

use crate::human;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// Good to know.
    Note,
    /// It works, and something will be missing or may go wrong.
    Warn,
    /// It does not work.
    Fail,
}

impl Level {
    const ALL: [Level; 4] = [Level::Ok, Level::Note, Level::Warn, Level::Fail];

    fn as_str(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Note => "note",
            Level::Warn => "warn",
            Level::Fail => "fail",
        }
    }

    fn colour(self) -> &'static str {
        match self {
            Level::Ok => "32",
            Level::Note => "36",
            Level::Warn => "33",
            Level::Fail => "1;31",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    level: Level,
    /// What was looked at: a word for programs.
    check: &'static str,
    component: String,
    target: String,
    what: String,
    todo: String,
}

/// The findings about one target.
#[derive(Debug)]
pub(super) struct Chart {
    component: String,
    target: String,
    findings: Vec<Finding>,
}

impl Chart {
    pub(super) fn new(component: impl Into<String>, target: impl Into<String>) -> Self {
        Chart { component: component.into(), target: target.into(), findings: Vec::new() }
    }

    /// The same chart about another target of the component.
    pub(super) fn about(&mut self, target: impl Into<String>) {
        self.target = target.into();
    }

    fn add(&mut self, level: Level, check: &'static str, what: impl Into<String>, todo: impl Into<String>) {
        let (component, target) = (self.component.clone(), self.target.clone());
        let (what, todo) = (what.into(), todo.into());
        self.findings.push(Finding { level, check, component, target, what, todo });
    }

    pub(super) fn ok(&mut self, check: &'static str, what: impl Into<String>) {
        self.add(Level::Ok, check, what, "");
    }

    pub(super) fn note(&mut self, check: &'static str, what: impl Into<String>, todo: impl Into<String>) {
        self.add(Level::Note, check, what, todo);
    }

    pub(super) fn warn(&mut self, check: &'static str, what: impl Into<String>, todo: impl Into<String>) {
        self.add(Level::Warn, check, what, todo);
    }

    pub(super) fn fail(&mut self, check: &'static str, what: impl Into<String>, todo: impl Into<String>) {
        self.add(Level::Fail, check, what, todo);
    }

    pub(super) fn findings(self) -> Vec<Finding> {
        self.findings
    }
}

/// Whether something does not work.
pub(super) fn failed(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.level == Level::Fail)
}

fn counts(findings: &[Finding]) -> [(Level, usize); 4] {
    Level::ALL.map(|level| (level, findings.iter().filter(|finding| finding.level == level).count()))
}

/// For programs.
pub(super) fn machine(findings: &[Finding]) -> Value {
    let each = findings.iter().map(|finding| {
        let todo = Some(&finding.todo).filter(|todo| !todo.is_empty());
        json!({
            "level": finding.level.as_str(),
            "check": finding.check,
            "component": finding.component,
            "target": finding.target,
            "what": finding.what,
            "do": todo,
        })
    });
    let summary: serde_json::Map<String, Value> =
        counts(findings).into_iter().map(|(level, many)| (level.as_str().to_owned(), many.into())).collect();
    json!({"findings": each.collect::<Value>(), "summary": summary})
}

/// For people: aligned columns, what to do below its finding, the sum at the end.
pub(super) fn text(findings: &[Finding]) -> String {
    text_in(findings, human::coloured())
}

fn text_in(findings: &[Finding], coloured: bool) -> String {
    let width = |cell: fn(&Finding) -> &str| findings.iter().map(|f| cell(f).chars().count()).max();
    let component = width(|finding| &finding.component).unwrap_or(0);
    let target = width(|finding| &finding.target).unwrap_or(0);
    let paint = |code: &str, text: String| {
        if coloured { format!("\x1b[{code}m{text}\x1b[0m") } else { text }
    };
    let mut out = String::new();
    for finding in findings {
        let level = paint(finding.level.colour(), format!("{:4}", finding.level.as_str()));
        let (who, whom) = (&finding.component, &finding.target);
        out.push_str(&format!("{level}  {who:component$}  {whom:target$}  {}\n", finding.what));
        if !finding.todo.is_empty() {
            let todo = paint("1", format!("-> {}", finding.todo));
            out.push_str(&format!("{:1$}{todo}\n", "", 4 + 2 + component + 2 + target + 2));
        }
    }
    let counts = counts(findings).map(|(level, many)| format!("{many} {}", level.as_str()));
    out.push_str(&counts.join(", "));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Vec<Finding> {
        let mut chart = Chart::new("redis", "a:6379");
        chart.ok("reach", "connected");
        chart.about("much-longer:6379");
        chart.fail("auth", "wrong password", "correct it");
        chart.findings()
    }

    #[test]
    fn columns_are_aligned_and_what_to_do_stands_below_its_finding() {
        assert_eq!(
            text_in(&findings(), false),
            "ok    redis  a:6379            connected\n\
             fail  redis  much-longer:6379  wrong password\n                               -> correct it\n\
             1 ok, 0 note, 0 warn, 1 fail"
        );
        assert!(text_in(&findings(), true).starts_with("\x1b[32mok  \x1b[0m  redis"));
    }

    #[test]
    fn programs_get_every_finding_and_the_sums() {
        let all = machine(&findings());
        assert_eq!(all["summary"], json!({"ok": 1, "note": 0, "warn": 0, "fail": 1}));
        assert_eq!(all["findings"][0]["do"], Value::Null);
        assert_eq!(all["findings"][1]["do"], "correct it");
        assert!(failed(&findings()) && !failed(&findings()[..1]));
    }
}
