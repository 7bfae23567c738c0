//! The table of what was lost and kept.

use serde_json::Value;

use super::rig::{RATE, RECORDS, Settings};
use crate::otlp::{Account, Subject};

/// What a scenario came to for one subject.
pub struct Line {
    pub title: &'static str,
    pub settings: Settings,
    pub loses: bool,
    pub subject: Subject,
    /// It did not start again.
    pub stays_down: bool,
    /// In requests.
    pub account: Account,
}

impl Line {
    fn queue(&self) -> &'static str {
        if self.settings.disk { "disk" } else { "memory" }
    }

    fn numbers(&self) -> [u64; 5] {
        let Account { sent, acked, delivered, duplicated, lost } = self.account;
        [sent, acked, delivered, duplicated, lost].map(|requests| requests * RECORDS)
    }

    pub fn text(&self) -> String {
        let [sent, acked, delivered, duplicated, lost] = self.numbers();
        format!(
            "{} ({} queue), {}: sent {sent}, acknowledged {acked}, delivered {delivered}, duplicated {duplicated}, lost {lost}{}",
            self.title,
            self.queue(),
            self.subject.name(),
            if self.stays_down { ", does not start again" } else { "" },
        )
    }

    /// Of the others nothing is promised.
    pub fn holds(&self) -> bool {
        let kept = self.account.acked > 0 && !self.stays_down && (self.loses || self.account.lost == 0);
        self.subject != Subject::Ours || kept
    }
}

/// The document.
pub fn document(lines: &[Line], about: &Value) -> String {
    let of = |key: &str| about[key].as_str().unwrap_or("not there").to_owned();
    let mut table = String::new();
    for line in lines {
        let [sent, acked, delivered, duplicated, lost] = line.numbers();
        let (title, queue, name) = (line.title, line.queue(), line.subject.name());
        let lost = match (lost, line.stays_down) {
            (0, _) => "0".to_owned(),
            (lost, false) => format!("**{lost}**"),
            (lost, true) => format!("**{lost}**, does not start again"),
        };
        table += &format!(
            "| {title} | {queue} | {name} | {sent} | {acked} | {delivered} | {duplicated} | {lost} |\n"
        );
    }
    format!(
        "# What the Go Collector loses and keeps\n\n\
         The scenarios of [reliability](reliability.md) that can be asked of both, run against both with the same file. Written \
         by `make chaos-peers` on {date}.\n\n\
         - Streamgauge: {ours}\n- Go Collector: {go}\n\n\
         Requests of {RECORDS} numbered log records come by OTLP/gRPC at {RATE} records a second, eight under way at once; none is \
         sent again. `queue_size` has room for everything. `disk`: `sending_queue.storage`; \
         `fsync` is the Go Collector's setting of that name, ours always syncs. Acknowledged: the sender was told that it is \
         safe. Delivered: at the sink at least once. Duplicated: records that came once more. Lost: acknowledged, and not at the \
         sink 12 s after the last that came.\n\n\
         | scenario | queue | who | sent | acknowledged | delivered | duplicated | lost |\n|---|---|---|---:|---:|---:|---:|---:|\n\
         {table}\n\
         What ours loses it has counted with its reason, in the ledger, and a dead letter keeps it where one is configured: a \
         memory queue has no source to give back to, RESOURCE_EXHAUSTED without a delay is final by the specification of OTLP, and \
         the requests of a damaged page are set aside in a file. A kill leaves the page cache as it \
         is, so this table shows no difference that `fsync` makes: that is a power cut's.\n",
        date = of("date"),
        ours = of("streamgauge"),
        go = of("go collector"),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_page_has_a_line_a_run_and_only_ours_is_held_to_lose_nothing() {
        let line = |subject, lost, loses| Line {
            title: "kill",
            settings: Settings { disk: true, ..Settings::default() },
            stays_down: false,
            loses,
            subject,
            account: Account { sent: 9, acked: 8, delivered: 8 - lost, duplicated: 1, lost },
        };
        let lines = [line(Subject::Ours, 0, false), line(Subject::Go, 3, false)];
        let page = document(&lines, &json!({"date": "today"}));
        assert!(page.contains("| kill | disk | streamgauge | 90 | 80 | 80 | 10 | 0 |"), "{page}");
        assert!(page.contains("| kill | disk | go collector | 90 | 80 | 50 | 10 | **30** |"), "{page}");
        assert!(lines.iter().all(Line::holds) && line(Subject::Ours, 1, true).holds());
        assert!(!line(Subject::Ours, 1, false).holds());
    }
}
