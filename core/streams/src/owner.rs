//! Which node has a key now.

use std::sync::Arc;
use std::time::Duration;

use streamgauge_redis::{Deployment, Monitor, Unreachable, View};
use tokio::time::Instant;

use crate::link::Refusal;

/// How old a view of the deployment may be while nothing happens.
const AGE: Duration = Duration::from_secs(10);

/// Where keys live: one server, the master that the sentinels name, or the nodes of a cluster.
#[derive(Clone, Debug)]
pub struct Owners {
    deployment: Arc<Deployment>,
}

impl Owners {
    /// Of a deployment.
    pub fn new(deployment: Arc<Deployment>) -> Self {
        Owners { deployment }
    }

    /// The node that has a key, as far as it is known.
    ///
    /// # Errors
    /// Nobody has it, or nobody tells.
    pub async fn of(&self, key: &[u8], deadline: Instant) -> Result<Arc<Monitor>, Unreachable> {
        let (view, problem) = self.deployment.view(AGE, deadline).await;
        let mut having = view.nodes.iter().filter(|node| node.serves && node.has(key));
        match (having.next(), having.next()) {
            (Some(node), None) => Ok(node.monitor.clone()),
            (Some(_), Some(_)) => {
                let seed = &self.deployment.seed().target().address;
                let text = format!("{seed} watches several masters: name one in sentinel.masters");
                Err(Unreachable::new("connect", text))
            }
            (None, _) => {
                self.deployment.suspect();
                Err(problem.unwrap_or_else(|| {
                    let text = format!("no node has the key {} now", String::from_utf8_lossy(key));
                    Unreachable::new("call", text)
                }))
            }
        }
    }

    /// All nodes that have keys.
    ///
    /// # Errors
    /// Nobody tells.
    pub async fn all(&self, deadline: Instant) -> Result<Vec<Arc<Monitor>>, Unreachable> {
        let (view, problem) = self.deployment.view(AGE, deadline).await;
        let all: Vec<_> =
            view.nodes.iter().filter(|node| node.serves).map(|node| node.monitor.clone()).collect();
        match (all.is_empty(), problem) {
            (true, problem) => {
                Err(problem.unwrap_or_else(|| Unreachable::new("call", "no node serves keys now")))
            }
            (false, _) => Ok(all),
        }
    }

    /// Whether keys are spread over slots, so that a command may name only keys of one.
    ///
    /// # Errors
    /// Nobody tells.
    pub async fn has_slots(&self, deadline: Instant) -> Result<bool, Unreachable> {
        let (view, problem) = self.deployment.view(AGE, deadline).await;
        let has = view.nodes.iter().any(|node| node.slots.is_some());
        problem.filter(|_| !has).map_or(Ok(has), Err)
    }

    /// A link was lost: the next answer is asked for anew.
    pub fn suspect(&self) {
        self.deployment.suspect();
    }

    /// What a refusal says about owners: the node that MOVED or ASK names, and whether ASKING must go before the command.
    /// The view is asked for anew for any refusal that is about the node.
    pub async fn redirected(&self, refusal: &Refusal, deadline: Instant) -> Option<(Arc<Monitor>, bool)> {
        let (address, asking) = match refusal.redirect() {
            Some(found) => found,
            None => {
                if refusal.kind.is_about_the_node() {
                    self.suspect();
                }
                return None;
            }
        };
        let find = |view: &View| {
            let node = view.nodes.iter().find(|node| node.answers_to(&address));
            node.map(|node| (node.monitor.clone(), asking))
        };
        if !asking {
            self.suspect();
        }
        let (view, _) = self.deployment.view(AGE, deadline).await;
        find(&view)
    }
}
