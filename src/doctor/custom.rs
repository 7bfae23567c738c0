//! What the configuration itself declares: custom metrics that can be read, and checks that hold.

use streamgauge_receivers::redis::custom::{Examined, Severity, Verdict};
use streamgauge_redis::{Info, Unreachable};

use super::finding::Chart;
use super::redis::Patient;

/// What is declared, as this server is asked for it.
pub(super) fn declared<'a>(patient: &'a Patient<'_>, info: &Info<'_>) -> Examined<'a> {
    let is_sentinel = info.mode() == Some("sentinel");
    let (metrics, checks) = (&patient.server.metrics, &patient.server.checks);
    Examined::new(metrics, checks, !is_sentinel && patient.serves, !is_sentinel)
}

/// Asks for what is declared and tells how it came out.
pub(super) async fn examine(
    patient: &Patient<'_>,
    info: &Info<'_>,
    chart: &mut Chart,
) -> Result<(), Unreachable> {
    let declared = declared(patient, info);
    let commands: Vec<_> = declared.commands().into_iter().map(|(command, _)| command).collect();
    let answers = if commands.is_empty() { Vec::new() } else { patient.ask(&commands).await? };
    let (unread, checks) = declared.judge(info, &answers);
    for (metric, why) in unread {
        let what = format!("custom metric {} cannot be read: {why}", metric.name);
        chart.note("custom", what, "correct its `field` or `command`, if this server should tell it");
    }
    for (check, verdict) in checks {
        let name = &check.name;
        match (verdict, check.severity) {
            (Verdict::Holds(is), _) => chart.ok("check", format!("{name}: {} (it is {is})", check.wanted())),
            (Verdict::Unknown(why), _) => {
                let todo = "correct its `field` or `command`, if this server should tell it";
                chart.note("check", format!("{name}: {} cannot be seen: {why}", check.wanted()), todo);
            }
            (Verdict::Fails(is), severity) => {
                let what = format!("{name}: {} does not hold (it is {is})", check.wanted());
                let todo = check.message.clone().unwrap_or_default();
                match severity {
                    Severity::Warning => chart.warn("check", what, todo),
                    Severity::Critical => chart.fail("check", what, todo),
                }
            }
        }
    }
    Ok(())
}
