//! Whose data it is, as far as a queue has to know.

use std::hash::{BuildHasher, RandomState};

use streamgauge_component::Context;

/// The header that names a project, where the receiver keeps headers.
const PROJECT: &str = "x-project-id";

/// Tells sources apart: by who the sender proved to be, else by its project, else by its address and the receiver.
/// The keys are hashes, so that telling apart allocates nothing; should two ever be equal, two sources share a lane.
#[derive(Default)]
pub(crate) struct Sources(RandomState);

impl Sources {
    pub(crate) fn key(&self, context: &Context) -> u64 {
        if let Some(identity) = &context.identity {
            return self.0.hash_one(("identity", &**identity));
        }
        if let Some(project) = context.header(PROJECT) {
            return self.0.hash_one(("project", project));
        }
        let host = context.peer.as_deref().map(host);
        self.0.hash_one((&*context.receiver, host))
    }
}

/// An address without its port: a client is one source, however many connections it has.
fn host(peer: &str) -> &str {
    match peer.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => peer,
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn a_source_is_an_identity_else_a_project_else_an_address_at_a_receiver() {
        let sources = Sources::default();
        let key = |identity: Option<&str>, project: Option<&str>, peer: &str, receiver: &str| {
            let mut context = Context::new(receiver, SystemTime::UNIX_EPOCH);
            context.identity = identity.map(Into::into);
            context.headers = project.map(|p| (PROJECT.into(), p.into())).into_iter().collect();
            context.peer = Some(peer.into());
            sources.key(&context)
        };
        let same = |a: u64, b: u64| assert_eq!(a, b);
        let other = |a: u64, b: u64| assert_ne!(a, b);
        same(key(Some("a"), None, "10.0.0.1:1", "otlp"), key(Some("a"), Some("p"), "10.0.0.2:1", "otlp/2"));
        same(key(None, Some("p"), "10.0.0.1:1", "otlp"), key(None, Some("p"), "10.0.0.2:1", "otlp"));
        same(key(None, None, "10.0.0.1:1", "otlp"), key(None, None, "10.0.0.1:65000", "otlp"));
        same(key(None, None, "[::1]:1", "otlp"), key(None, None, "[::1]:2", "otlp"));
        other(key(Some("a"), None, "10.0.0.1:1", "otlp"), key(Some("b"), None, "10.0.0.1:1", "otlp"));
        other(key(None, Some("p"), "10.0.0.1:1", "otlp"), key(None, Some("q"), "10.0.0.1:1", "otlp"));
        other(key(None, None, "10.0.0.1:1", "otlp"), key(None, None, "10.0.0.2:1", "otlp"));
        other(key(None, None, "10.0.0.1:1", "otlp"), key(None, None, "10.0.0.1:1", "otlp/2"));
        other(key(Some("a"), None, "", ""), key(None, Some("a"), "", ""));
    }
}
