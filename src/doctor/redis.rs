//! One Redis server from the connection to the last consumer, and all that belong together with it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use streamgauge_redis::{
    Budget, CallResult, Connect, Deployment, Info, Monitor, ReadCommand, Unreachable, Value,
};
use tokio::time::Instant;

use super::features::Version;
use super::finding::{Chart, Finding};
use super::reach::{reach, unreachable};
use super::servers::Server;
use super::{Limits, custom, features, rights, state, streams};

/// A connected server under examination.
pub(super) struct Patient<'a> {
    pub(super) server: &'a Server,
    pub(super) monitor: Arc<Monitor>,
    pub(super) limits: Limits,
    pub(super) deadline: Instant,
    /// Whether keys are asked for here, and not at another node.
    pub(super) serves: bool,
}

impl Patient<'_> {
    /// Sends commands to the database of the target.
    pub(super) async fn ask(&self, commands: &[ReadCommand]) -> Result<Vec<CallResult>, Unreachable> {
        self.ask_db(self.monitor.target().db, commands).await
    }

    /// Sends commands.
    pub(super) async fn ask_db(
        &self,
        db: u32,
        commands: &[ReadCommand],
    ) -> Result<Vec<CallResult>, Unreachable> {
        self.monitor.call(db, commands, self.deadline).await
    }

    /// Where it is.
    pub(super) fn address(&self) -> String {
        self.monitor.target().address.to_string()
    }
}

/// Everything about a server and those that belong together with it, each within the limit.
pub(super) async fn examine(server: Server, limits: Limits) -> Vec<Finding> {
    let deadline = Instant::now() + limits.timeout;
    let mut chart = Chart::new(&server.components, server.target.address.to_string());
    let tls = match server.target.tls.then(|| server.tls.load(&[])).transpose() {
        Ok(tls) => tls.map(|tls| tls.get()),
        Err(error) => {
            chart.fail("tls", error.message.clone(), format!("correct `tls: {}`", error.key));
            return chart.findings();
        }
    };
    let name = server.tls.server_name_override.clone();
    let connect: Connect = Arc::new(move |target| {
        let monitor = Monitor::new(target, tls.clone(), name.clone());
        // A person waits, once: only what would hold the server is left out.
        monitor.allow(Budget {
            max_server_time: f64::INFINITY,
            max_command_time: Duration::from_millis(1),
            interval: Duration::from_secs(10),
        });
        Arc::new(monitor)
    });
    let seed = connect(server.sentinel.login.clone().unwrap_or_else(|| server.target.clone()));
    let Some(round_trip) = reach(&server, &seed, deadline, &mut chart).await else { return chart.findings() };
    let (target, options) = (server.target.clone(), server.sentinel.clone());
    let deployment = Deployment::new(seed.clone(), target, options, server.follow, connect);
    let (view, problem) = deployment.view(Duration::ZERO, deadline).await;
    if let Some(problem) = problem {
        chart.warn("topology", problem.message, "the other servers of the deployment are not watched");
    } else if view.nodes.len() > 1 {
        chart.ok("topology", format!("{} servers belong together", view.nodes.len()));
    }
    let address = &seed.target().address;
    let others = view.nodes.iter().filter(|node| !node.answers_to(address));
    let others = join_all(others.map(|node| other(&server, &node.monitor, node.serves, limits)));
    let serves = view.nodes.iter().find(|node| node.answers_to(address)).is_none_or(|node| node.serves);
    let patient = Patient { server: &server, monitor: seed, limits, deadline, serves };
    let ((), others) = futures_util::join!(whole(&patient, round_trip, &mut chart), others);
    chart.findings().into_iter().chain(others.into_iter().flatten()).collect()
}

/// A server that the first one, or a sentinel, has named.
async fn other(server: &Server, monitor: &Arc<Monitor>, serves: bool, limits: Limits) -> Vec<Finding> {
    let deadline = Instant::now() + limits.timeout;
    let mut chart = Chart::new(&server.components, monitor.target().address.to_string());
    if let Some(round_trip) = reach(server, monitor, deadline, &mut chart).await {
        let patient = Patient { server, monitor: monitor.clone(), limits, deadline, serves };
        whole(&patient, round_trip, &mut chart).await;
    }
    chart.findings()
}

async fn whole(patient: &Patient<'_>, round_trip: Duration, chart: &mut Chart) {
    if let Err(error) = go_on(patient, round_trip, chart).await {
        chart.about(patient.address());
        unreachable(&error, patient.server, &patient.monitor, chart);
    }
}

async fn go_on(patient: &Patient<'_>, round_trip: Duration, chart: &mut Chart) -> Result<(), Unreachable> {
    let before = now_ms();
    let is_sentinel = patient.monitor.identity().is_some_and(|identity| identity.mode == "sentinel");
    let ask = patient.monitor.identity().map_or(ReadCommand::info_everything(), |who| who.whole_info());
    let answer = patient.ask(&[ask]).await?;
    let middle = before + (now_ms() - before) / 2.0;
    let text = answer.into_iter().next().and_then(Result::ok).map(|answer| text(&answer));
    let text = text.unwrap_or_default();
    let info = Info::parse(&text);
    let version = Version::of(&info);
    if !info.is_empty() {
        features::examine(&version, &info, chart);
    }
    let may = rights::examine(patient, &version, &info, chart).await?;
    if !info.is_empty() {
        state::examine(&info, !patient.server.streams.is_empty(), chart);
        state::clock(&info, middle, round_trip, chart);
    }
    custom::examine(patient, &info, chart).await?;
    if !is_sentinel {
        state::settings(patient, may.config, &info, chart).await?;
        if may.streams && patient.serves {
            streams::examine(patient, chart).await?;
        }
    }
    Ok(())
}

/// This machine's clock, milliseconds since 1970.
fn now_ms() -> f64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs_f64() * 1000.0)
}

/// A reply's text, in either protocol.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => text.clone(),
        Value::Okay => "OK".to_owned(),
        _ => String::new(),
    }
}
