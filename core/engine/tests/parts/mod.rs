//! Small components for whole graphs: a receiver that is handed its data, an exporter that records, three processors.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::SystemTime;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use streamgauge_component::{
    Accepted, Ack, Batch, BoxFuture, Clock, ComponentConfig, ComponentError, ConfigType, ConnectorFactory,
    Context, DeadLetterSettings, DeliverySettings, Description, ExportError, Exporter, ExporterFactory,
    ExporterParts, Fallback, FallbackSettings, Held, Host, Optional, Out, Outcome, Outlets, Part, Processor,
    ProcessorFactory, Receiver, ReceiverFactory, Request, RetrySettings, Route, Signal, Stability,
};
use streamgauge_config::{Diagnostics, Loader};
use streamgauge_engine::{Distribution, Plan, Running};
use tokio::sync::{oneshot, watch};

pub static DISTRIBUTION: Distribution = Distribution {
    receivers: &[&GIVEN],
    processors: &[&PASS, &HOLD, &BURST],
    connectors: &[&TWICE, &CHOOSE],
    exporters: &[&RECORD],
    extensions: &[],
};

pub fn plan(yaml: &str) -> Result<Plan, Diagnostics> {
    let loaded = Loader::new().source(format!("yaml:{yaml}")).load(&DISTRIBUTION.known());
    let (config, _, _) = loaded.into_result()?;
    Plan::read(&config, &DISTRIBUTION)
}

pub fn good_plan(yaml: &str) -> Plan {
    match plan(yaml) {
        Ok(plan) => plan,
        Err(found) => panic!("{}", streamgauge_config::render(&found, streamgauge_config::Style::Plain)),
    }
}

pub fn host() -> Host {
    Host::new(Clock::system(), Arc::default(), Arc::default())
}

pub async fn start(yaml: &str) -> Running {
    Running::start(&good_plan(yaml), host()).await.unwrap()
}

const fn description(name: &'static str) -> Description {
    Description {
        name,
        aliases: &[],
        summary: "for tests",
        signals: &[Signal::Logs],
        stability: Stability::Stable,
        readme: "",
    }
}

#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

impl ComponentConfig for Nothing {}

// ---- the receiver that is handed its data

static GIVEN: ReceiverFactory = ReceiverFactory {
    description: description("given"),
    config: ConfigType::of::<GivenConfig>(),
    create: |create| {
        let config = create.config::<GivenConfig>()?;
        match config.broken {
            Broken::Create => Err("it was told to".into()),
            broken => Ok(Arc::new(GivenReceiver { broken: broken == Broken::Start })),
        }
    },
};

#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GivenConfig {
    /// Makes another configuration.
    version: u32,
    broken: Broken,
}

#[derive(Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Broken {
    #[default]
    No,
    Create,
    Start,
}

impl ComponentConfig for GivenConfig {}

/// The outlets of the receiver that was started last.
static STARTED: LazyLock<Mutex<HashMap<String, Outlets>>> = LazyLock::new(Mutex::default);

struct GivenReceiver {
    broken: bool,
}

#[async_trait]
impl Receiver for GivenReceiver {
    async fn start(&self, host: Host, outlets: Outlets) -> Result<(), ComponentError> {
        if self.broken {
            return Err("it was told not to".into());
        }
        STARTED.lock().unwrap().insert(host.id().to_string(), outlets);
        Ok(())
    }
    async fn stop_intake(&self) {}
    async fn shutdown(&self) {}
}

pub struct Given(Outlets);

pub fn given(id: &str) -> Given {
    Given(STARTED.lock().unwrap()[id].clone())
}

impl Given {
    /// Sends and waits for the outcome.
    pub async fn send(&self, bytes: &[u8]) -> Outcome {
        self.offer(bytes).await.await
    }

    /// Sends; the outcome comes later.
    pub async fn offer(&self, bytes: &[u8]) -> impl Future<Output = Outcome> + use<> {
        let (tell, hear) = oneshot::channel();
        let ack = Ack::new(move |outcome| drop(tell.send(outcome)));
        let part = Part { bytes: bytes.to_vec().into(), items: bytes.len(), ack };
        let context = Arc::new(Context::new("given", SystemTime::UNIX_EPOCH));
        self.0.get(Signal::Logs).unwrap().consume(Batch::of(Signal::Logs, context, part)).await;
        for _ in 0..10 {
            tokio::task::yield_now().await; // the queue's workers take what they can
        }
        async move { hear.await.unwrap() }
    }
}

// ---- the exporter that records

static RECORD: ExporterFactory = ExporterFactory {
    description: description("record"),
    config: ConfigType::of::<RecordConfig>(),
    create: |create| {
        let config = create.config::<RecordConfig>()?;
        let recorder = Arc::new(Recorder { refuse: config.refuse, ..Recorder::default() });
        recorder.open.send_replace(!config.stall);
        RECORDERS.lock().unwrap().insert(create.host.id().to_string(), recorder.clone());
        let mut delivery = DeliverySettings {
            timeout: std::time::Duration::ZERO,
            retry: RetrySettings { enabled: false, ..RetrySettings::default() },
            ..DeliverySettings::default()
        };
        delivery.queue.enabled = config.queue_size > 0;
        delivery.queue.num_consumers = 1;
        delivery.queue.queue_size = config.queue_size.max(1);
        delivery.queue.block_on_overflow = config.block;
        delivery.dead_letter = config.dead_letter.clone();
        let share = config.share;
        delivery.fallback = config.fallback.as_ref().map(|s| Fallback { settings: s.clone(), share });
        Ok(ExporterParts { exporter: recorder, delivery })
    },
};

static RECORDERS: LazyLock<Mutex<HashMap<String, Arc<Recorder>>>> = LazyLock::new(Mutex::default);

#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RecordConfig {
    stall: bool,
    queue_size: usize,
    block: bool,
    refuse: bool,
    dead_letter: Optional<DeadLetterSettings>,
    fallback: Optional<FallbackSettings>,
    share: f64,
    version: u32,
}

impl ComponentConfig for RecordConfig {}

#[derive(Default)]
pub struct Recorder {
    records: Mutex<Vec<Recorded>>,
    open: watch::Sender<bool>,
    refuse: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    pub bytes: Vec<u8>,
    pub items: usize,
}

/// The one that was made last.
pub fn exporter(id: &str) -> Arc<Recorder> {
    RECORDERS.lock().unwrap()[id].clone()
}

impl Recorder {
    pub fn records(&self) -> Vec<Recorded> {
        self.records.lock().unwrap().clone()
    }

    /// A standing exporter takes everything from now on.
    pub fn release(&self) {
        self.open.send_replace(true);
    }
}

#[async_trait]
impl Exporter for Recorder {
    async fn start(&self, _: Host) -> Result<(), ComponentError> {
        Ok(())
    }

    fn export<'a>(&'a self, request: &'a Request) -> BoxFuture<'a, Result<Accepted, ExportError>> {
        Box::pin(async move {
            self.open.subscribe().wait_for(|open| *open).await.unwrap();
            if self.refuse {
                return Err(ExportError::content("it was told to"));
            }
            self.records
                .lock()
                .unwrap()
                .push(Recorded { bytes: request.parts.concat(), items: request.items });
            Ok(Accepted::default())
        })
    }
}

// ---- processors: one passes on, one holds until the stop; a connector sends everything twice

static PASS: ProcessorFactory = ProcessorFactory {
    description: description("pass"),
    config: ConfigType::of::<Nothing>(),
    create: |_| Ok(Arc::new(Pass)),
};

struct Pass;

impl Processor for Pass {
    fn process(&self, batch: Batch, out: &mut Out) {
        out.send(batch);
    }
}

static HOLD: ProcessorFactory = ProcessorFactory {
    description: description("hold"),
    config: ConfigType::of::<GivenConfig>(),
    create: |_| Ok(Arc::new(Hold::default())),
};

#[derive(Default)]
struct Hold(Mutex<Vec<Batch>>);

impl Processor for Hold {
    fn process(&self, batch: Batch, _: &mut Out) {
        self.0.lock().unwrap().push(batch);
    }

    fn flush(&self, out: &mut Out) {
        self.0.lock().unwrap().drain(..).for_each(|batch| out.send(batch));
    }

    fn held(&self) -> Held {
        let held = self.0.lock().unwrap();
        Held {
            items: held.iter().map(|b| b.items() as u64).sum(),
            bytes: held.iter().map(|b| b.bytes() as u64).sum(),
        }
    }
}

static BURST: ProcessorFactory = ProcessorFactory {
    description: description("burst"),
    config: ConfigType::of::<Nothing>(),
    create: |_| Ok(Arc::new(Burst)),
};

/// Panics on a part that begins with 13.
struct Burst;

impl Processor for Burst {
    fn process(&self, batch: Batch, out: &mut Out) {
        assert!(batch.parts[0].bytes[0] != 13, "unlucky");
        out.send(batch);
    }
}

static TWICE: ConnectorFactory = ConnectorFactory {
    description: description("twice"),
    signals: &[(Signal::Logs, Signal::Logs)],
    config: ConfigType::of::<Nothing>(),
    create: |_| Ok(Arc::new(Twice)),
};

struct Twice;

impl Processor for Twice {
    fn process(&self, batch: Batch, out: &mut Out) {
        let part = &batch.parts[0];
        let copy = Batch::of(
            batch.signal,
            batch.context.clone(),
            Part::created(part.bytes.whole().clone(), part.items),
        );
        out.create(copy);
        out.send(batch);
    }
}

static CHOOSE: ConnectorFactory = ConnectorFactory {
    description: description("choose"),
    signals: &[(Signal::Logs, Signal::Logs)],
    config: ConfigType::of::<ChooseConfig>(),
    create: |_| Ok(Arc::new(Choose)),
};

#[derive(Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct ChooseConfig {
    routes: Vec<Vec<String>>,
}

impl ComponentConfig for ChooseConfig {
    fn routes(&self) -> Vec<Route> {
        let route = |(at, pipelines): (usize, &Vec<String>)| Route {
            path: format!("routes::{at}"),
            pipelines: pipelines.clone(),
        };
        self.routes.iter().enumerate().map(route).collect()
    }
}

/// Sends to both of its routes; a part that begins with 1 to the second only.
struct Choose;

impl Processor for Choose {
    fn process(&self, batch: Batch, out: &mut Out) {
        if batch.parts[0].bytes[0] == 1 {
            return out.send_by(1, batch);
        }
        out.created(batch.signal, batch.items() as u64);
        for (route, batch) in batch.share(2).into_iter().enumerate() {
            out.send_by(route, batch);
        }
    }
}
