//! `streamgauge export`: what a configuration makes, for other programs' files.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use streamgauge_config::{Config, Diagnostics};
use streamgauge_exporters::prometheus::PrometheusConfig;

use crate::cli::{ConfigArgs, Failure, print};
use crate::configuration;
use crate::run::built_in;

#[derive(Debug, Clone, Args)]
pub(crate) struct ExportArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Clone, Subcommand)]
enum What {
    /// `scrape_configs` for prometheus.yml: one job for each exporter `prometheus` that a pipeline feeds.
    ScrapeConfig(ScrapeArgs),
}

#[derive(Debug, Clone, Args)]
struct ScrapeArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The time between scrapes.
    #[arg(long, value_name = "TIME", default_value = "15s")]
    interval: String,
    /// The host by which Prometheus reaches the collector, where that listens on all addresses.
    #[arg(long, value_name = "HOST", default_value = "localhost")]
    host: String,
}

/// Prints it.
pub(crate) fn export(args: &ExportArgs) -> Result<(), Failure> {
    let What::ScrapeConfig(args) = &args.what;
    let read = |found| configuration::failure(&found);
    let loaded = configuration::load(&args.config, Some(&built_in())).map_err(read)?;
    let text = scrape_config(&loaded.config, args).map_err(read)?;
    match text {
        Some(text) => print(&text),
        None => Err(Failure::runtime(
            "no pipeline has an exporter `prometheus`, so there is nothing to scrape; prometheus_remote_write needs no scrape",
        )),
    }
}

fn scrape_config(config: &Config, args: &ScrapeArgs) -> Result<Option<String>, Diagnostics> {
    let is_fed = |id| config.service.pipelines.iter().any(|pipeline| pipeline.exporters.contains(id));
    let pages = config.exporters.iter().filter(|e| e.type_name == "prometheus" && is_fed(&e.id));
    let mut out = String::new();
    for exporter in pages {
        let page: PrometheusConfig = exporter.section.read()?;
        if out.is_empty() {
            out.push_str("scrape_configs:\n");
        }
        let job = if exporter.id.name().is_empty() { "redis" } else { exporter.id.name() };
        let _ = writeln!(out, "  - job_name: {}", quoted(job));
        let _ = writeln!(out, "    scrape_interval: {}", args.interval);
        out.push_str(
            "    # job and instance are what the series say, where they say it.\n    honor_labels: true\n",
        );
        if page.path != "/metrics" {
            let _ = writeln!(out, "    metrics_path: {}", quoted(&page.path));
        }
        if page.tls.as_ref().is_some() {
            out.push_str("    scheme: https\n");
        }
        if page.auth.as_ref().is_some() {
            out.push_str("    # The page asks who scrapes: add basic_auth, or authorization, with what the exporter's `auth` names.\n");
        }
        let target = target(&page.endpoint, &args.host);
        let _ = writeln!(out, "    static_configs:\n      - targets: [{}]", quoted(&target));
    }
    Ok((!out.is_empty()).then_some(out))
}

/// Where a page that listens there is reached.
fn target(listens: &str, host: &str) -> String {
    match listens.rsplit_once(':') {
        Some(("0.0.0.0" | "[::]" | "", port)) => format!("{host}:{port}"),
        _ => listens.to_owned(),
    }
}

/// A text that YAML reads back as it is.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::target;

    #[test]
    fn a_page_on_all_addresses_is_reached_by_the_hosts_name() {
        for (listens, expected) in [
            ("0.0.0.0:9121", "gauge:9121"),
            ("[::]:9121", "gauge:9121"),
            (":1", "gauge:1"),
            ("10.0.0.1:2", "10.0.0.1:2"),
        ] {
            assert_eq!(target(listens, "gauge"), expected);
        }
    }
}
