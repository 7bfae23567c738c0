//! The listeners and their life.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use streamgauge_component::{
    Authenticator, Budget, ComponentError, Host, Optional, Outlets, Receiver, edge_name,
};
use streamgauge_transport::{
    ALPN, GRPC_MESSAGE_LIMIT, HTTP_BODY_LIMIT, Listener, Memory, Protocol, Server, ServerOptions, ServerTls,
    Sockets, Timeouts, TlsServer,
};

use super::config::{GrpcServer, HttpServer, OtlpConfig, Protocols, Transport};
use super::door::Door;

/// How long the last answers may take once everything behind the receiver has stopped.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Receiver `otlp`.
#[derive(Debug)]
pub(super) struct OtlpReceiver {
    config: Arc<OtlpConfig>,
    servers: Mutex<Vec<(Protocol, Arc<Server>)>>,
}

impl OtlpReceiver {
    pub fn new(config: Arc<OtlpConfig>) -> Self {
        Self { config, servers: Mutex::default() }
    }

    /// Where it listens for a protocol, once it is started.
    #[cfg(test)]
    pub fn address(&self, protocol: Protocol) -> Option<std::net::SocketAddr> {
        self.servers()
            .iter()
            .find(|(of, _)| *of == protocol)
            .and_then(|(_, server)| server.local_addr().tcp())
    }

    fn servers(&self) -> MutexGuard<'_, Vec<(Protocol, Arc<Server>)>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Receiver for OtlpReceiver {
    async fn start(&self, host: Host, outlets: Outlets) -> Result<(), ComponentError> {
        // All sockets are bound before the first is served: either the receiver is there or it is not.
        let mut ready = Vec::new();
        let Protocols { grpc, http } = &self.config.protocols;
        let (grpc, http, share) = (grpc.as_ref(), http.as_ref(), self.config.protocols.share());
        if let Some(grpc) = grpc {
            let listener = bind(&host, Protocol::Grpc, grpc.transport, &grpc.endpoint).await?;
            let auth = authenticator(&host, grpc.auth.as_ref().map(|auth| auth.authenticator.as_str()))?;
            let mut options = grpc.options()?;
            if let Some(http) = http.filter(|_| share) {
                let both = http.options()?;
                options.timeouts.idle = options.timeouts.idle.or(both.timeouts.idle);
                options = ServerOptions {
                    grpc: options.grpc,
                    max_concurrent_streams: options.max_concurrent_streams,
                    keepalive: options.keepalive,
                    enforcement: options.enforcement,
                    timeouts: Timeouts { idle: options.timeouts.idle, ..both.timeouts.clone() },
                    ..both
                };
            }
            let protocols = if share { &[Protocol::Grpc, Protocol::Http][..] } else { &[Protocol::Grpc] };
            ready.push((protocols, listener, options, grpc.include_metadata, auth));
        }
        if let Some(http) = http.filter(|_| !share) {
            let listener = bind(&host, Protocol::Http, http.transport, &http.endpoint).await?;
            let auth = authenticator(&host, http.auth.as_ref().map(|auth| auth.authenticator.as_str()))?;
            ready.push((&[Protocol::Http], listener, http.options()?, http.include_metadata, auth));
        }
        for (protocols, listener, mut options, include_metadata, authenticator) in ready {
            options.memory = Some(Arc::new(Charge(host.budget().clone())));
            for protocol in protocols {
                tracing::info!(receiver = %host.id(), protocol = protocol.as_str(), address = %listener.local_addr(), "listening");
            }
            let door = Arc::new(Door {
                host: host.clone(),
                outlets: outlets.clone(),
                wait_for: self.config.wait_for,
                include_metadata,
                authenticator,
                http: http.filter(|_| protocols.contains(&Protocol::Http)).cloned(),
            });
            let server = Arc::new(listener.serve(options, door));
            self.servers().extend(protocols.iter().map(|protocol| (*protocol, server.clone())));
        }
        Ok(())
    }

    async fn stop_intake(&self) {
        for (_, server) in self.servers().iter() {
            server.stop_intake();
        }
    }

    async fn shutdown(&self) {
        let servers = std::mem::take(&mut *self.servers());
        join_all(servers.iter().map(|(_, server)| server.shutdown(LAST_ANSWERS))).await;
    }
}

/// The process's memory budget as the server asks it.
#[derive(Debug)]
struct Charge(Arc<Budget>);

impl Memory for Charge {
    fn take(&self, bytes: usize) -> bool {
        self.0.take(bytes as u64)
    }

    fn give_back(&self, bytes: usize) {
        self.0.give_back(bytes as u64);
    }

    fn pressure(&self) -> Option<String> {
        self.0.pressure().map(|pressure| pressure.to_string())
    }

    fn limit(&self) -> usize {
        usize::try_from(self.0.limit()).unwrap_or(usize::MAX)
    }
}

impl GrpcServer {
    fn options(&self) -> Result<ServerOptions, ComponentError> {
        let limit = match self.max_recv_msg_size_mib {
            0 => GRPC_MESSAGE_LIMIT,
            mib => (mib as usize) << 20,
        };
        Ok(ServerOptions {
            grpc: Some(limit),
            http: None,
            tls: load(&self.tls)?,
            max_concurrent_streams: Some(self.max_concurrent_streams).filter(|streams| *streams > 0),
            timeouts: Timeouts {
                idle: self.keepalive.server_parameters.max_connection_idle.filter(|time| !time.is_zero()),
                ..Timeouts::default()
            },
            keepalive: self.keepalive.server_parameters.clone(),
            enforcement: self.keepalive.enforcement_policy.clone(),
            ..ServerOptions::default()
        })
    }
}

impl HttpServer {
    fn options(&self) -> Result<ServerOptions, ComponentError> {
        let limit = match self.max_request_body_size {
            0 => HTTP_BODY_LIMIT,
            bytes => bytes as usize,
        };
        Ok(ServerOptions {
            grpc: None,
            http: Some(limit),
            tls: load(&self.tls)?,
            timeouts: self.timeouts(),
            cors: self.cors.as_ref().filter(|cors| !cors.allowed_origins.is_empty()).cloned(),
            codings: self.codings(),
            keep_alive: self.keep_alives_enabled && self.keepalive.enabled,
            response_headers: self.header_map()?,
            ..ServerOptions::default()
        })
    }
}

impl HttpServer {
    /// The codings that are taken, as requests name them.
    fn codings(&self) -> Option<Vec<String>> {
        let names = self.compression_algorithms.as_ref()?;
        Some(names.iter().map(|name| name.trim().to_ascii_lowercase()).collect())
    }

    /// As Go has them: a head and the next request have the time of a whole request when they have none of their own.
    fn timeouts(&self) -> Timeouts {
        let set = |time: Duration| (!time.is_zero()).then_some(time);
        let read = set(self.read_timeout);
        Timeouts {
            read_header: set(self.read_header_timeout).or(read),
            read,
            write: set(self.write_timeout),
            idle: set(self.keepalive.idle_timeout.unwrap_or(self.idle_timeout)).or(read),
        }
    }
}

/// A socket, taken over from the instance before when there is one.
async fn bind(
    host: &Host,
    protocol: Protocol,
    transport: Transport,
    endpoint: &str,
) -> Result<Listener, ComponentError> {
    let sockets = host.shared("", Sockets::default);
    let owner = format!("{}/{}", edge_name(host.kind(), host.id()), protocol.as_str());
    let bound = match transport.family() {
        Some(family) => sockets.bind_family(&owner, endpoint, family).await,
        None => sockets.bind_unix(&owner, endpoint),
    };
    bound.map_err(ComponentError::new)
}

fn authenticator(host: &Host, id: Option<&str>) -> Result<Option<Arc<dyn Authenticator>>, ComponentError> {
    id.map(|id| host.authenticator(id)).transpose()
}

fn load(tls: &Optional<TlsServer>) -> Result<Option<Arc<ServerTls>>, ComponentError> {
    tls.as_ref().map(|tls| tls.load(&ALPN)).transpose().map_err(ComponentError::new)
}
