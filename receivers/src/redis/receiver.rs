//! The receiver as the engine sees it: a half for each signal, each with rounds of its own over the same connections.

use std::sync::Arc;

use async_trait::async_trait;
use streamgauge_component::{ComponentError, Host, Outlets, Receiver, Signal};

use super::config::RedisConfig;
use super::logs::Logs;
use super::scrape::RedisScrape;
use crate::scrape::poll::Polled;
use crate::scrape::redis::fleet;

pub(super) struct Halves {
    metrics: Arc<Polled>,
    logs: Logs,
}

impl Halves {
    pub(super) fn new(config: Arc<RedisConfig>) -> Self {
        let logs = Logs::new(config.clone());
        let metrics = Polled::new(config.rhythm(), move |host| {
            let fleet = fleet(&config.keys(), config.limits(), host, config.rhythm())?;
            Ok(Box::new(RedisScrape::new(config.clone(), fleet)))
        });
        Halves { metrics, logs }
    }
}

#[async_trait]
impl Receiver for Halves {
    async fn start(&self, host: Host, outlets: Outlets) -> Result<(), ComponentError> {
        if let Some(outlet) = outlets.get(Signal::Logs) {
            self.logs.start(&host, outlet.clone(), outlets.get(Signal::Metrics).is_none())?;
        }
        self.metrics.start(host, outlets).await
    }

    async fn stop_intake(&self) {
        self.logs.stop_intake();
        self.metrics.stop_intake().await;
    }

    async fn shutdown(&self) {
        self.metrics.shutdown().await;
        self.logs.shutdown().await;
    }
}
