//! A connection of one's own, over which any command goes.
//!
//! core/redis shares one connection a node among all who watch, and sends nothing that writes. A job blocks, writes and
//! reads megabytes: it has links of its own, made from the same target, TLS and login.

mod asking;
mod refusal;
mod reply;
mod request;

use std::collections::VecDeque;

use bytes::{Buf as _, BytesMut};
use streamgauge_redis::{Monitor, Socket, Unreachable};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout_at};

pub use refusal::{Kind, Refusal};
pub(crate) use reply::skip;
pub use reply::{List, Replies, Reply};
pub use request::Request;
pub use streamgauge_redis::wire::Malformed;
pub(crate) use streamgauge_redis::wire::{Token, token};

use streamgauge_redis::wire::Scan;

/// The room for replies that a link begins with: most have nothing to read for most of the time.
const ROOM: usize = 4 << 10;
/// The most room that is made at once.
const MOST_ROOM: usize = 1 << 20;
/// The most bytes that the replies to one request may have: what Redis takes for one string (`proto-max-bulk-len`), and more
/// than a read of the default size with entries of 64 KiB.
const CAP: usize = 512 << 20;

/// A connection to one node. Requests are answered in their order; several may be under way.
pub struct Link {
    socket: Box<dyn Socket>,
    place: String,
    read: BytesMut,
    scan: Scan,
    /// Requests that are under way, and how many commands of the first one are not answered.
    owed: VecDeque<Owed>,
    left: usize,
    /// Half a request was sent, or nonsense came.
    is_broken: bool,
    /// ASKING goes before every command.
    asking: bool,
}

/// The commands of a request, and which of them are ASKING.
struct Owed {
    commands: usize,
    asking: Vec<bool>,
}

impl Link {
    /// Connects to the node of a monitor, as the same user, and says who we are: `name` stands in CLIENT LIST.
    ///
    /// # Errors
    /// The server cannot be reached or does not let us in, or the deadline passed.
    pub async fn open(node: &Monitor, name: &str, deadline: Instant) -> Result<Link, Unreachable> {
        let target = node.target();
        let place = target.address.to_string();
        let connecting = async {
            let socket = node.dial().await?;
            let read = BytesMut::with_capacity(ROOM);
            let mut link = Link {
                socket,
                place: place.clone(),
                read,
                scan: Scan::default(),
                owed: VecDeque::new(),
                left: 0,
                is_broken: false,
                asking: false,
            };
            link.greet(node, name, deadline).await?;
            Ok(link)
        };
        match timeout_at(deadline, connecting).await {
            Ok(link) => link,
            Err(_) => Err(Unreachable::new("timeout", format!("{place} has not let us in in time"))),
        }
    }

    async fn greet(&mut self, node: &Monitor, name: &str, deadline: Instant) -> Result<(), Unreachable> {
        let target = node.target();
        let mut request = Request::new();
        let password = node.password().await?;
        if let Some(password) = &password {
            match &target.username {
                Some(user) => request.command(&[b"AUTH", user.as_bytes(), password.as_bytes()]),
                None => request.command(&[b"AUTH", password.as_bytes()]),
            };
        }
        if target.db != 0 {
            request.begin(2).word(b"SELECT").number(u64::from(target.db));
        }
        // A user who may not name itself may work all the same.
        request.command(&[b"CLIENT", b"SETNAME", name.as_bytes()]);
        let replies = self.call(&request, deadline).await?;
        let mut replies = replies.iter();
        if password.is_some()
            && let Some(Reply::Error(refusal)) = replies.next()
        {
            let text = format!("{} as user {}: {refusal}", self.place, target.user());
            return Err(Unreachable::new("auth", text));
        }
        for refusal in replies.filter_map(|reply| reply.ok().err()) {
            if refusal.kind == Kind::NoAuth {
                let text = format!("{} asks for a password: set password ({refusal})", self.place);
                return Err(Unreachable::new("auth", text));
            }
            if refusal.kind != Kind::NoPermission && refusal.kind != Kind::Unknown {
                return Err(Unreachable::new("connect", format!("{}: {refusal}", self.place)));
            }
        }
        Ok(())
    }

    /// Sends a request and waits for its replies, which are all there or none is. A refusal of one command is its reply.
    ///
    /// # Errors
    /// The connection is lost or the deadline passed: what became of the commands is not known, and the link is of no use any
    /// more.
    pub async fn call(&mut self, request: &Request, deadline: Instant) -> Result<Replies, Unreachable> {
        self.send(request, deadline).await?;
        debug_assert_eq!(self.owed.len(), 1, "replies to an earlier request are not received");
        let replies = self.receive(deadline).await;
        // Whoever comes next would read what was meant for this one.
        self.is_broken |= replies.is_err();
        replies
    }

    /// Sends a request whose replies [`Link::receive`] gives when it is its turn.
    ///
    /// # Errors
    /// The connection is lost, or the deadline passed.
    pub async fn send(&mut self, request: &Request, deadline: Instant) -> Result<(), Unreachable> {
        if self.is_broken {
            return Err(self.lost(&"it was given up before"));
        }
        // Also when this future is dropped half-way.
        self.is_broken = true;
        let asked = self.asking.then(|| asking::request(request));
        let (bytes, owed) = match &asked {
            Some((bytes, asking)) => (&bytes[..], Owed { commands: asking.len(), asking: asking.clone() }),
            None => (request.bytes(), Owed { commands: request.commands(), asking: Vec::new() }),
        };
        match timeout_at(deadline, self.socket.write_all(bytes)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(self.lost(&error)),
            Err(_) => return Err(self.late()),
        }
        match timeout_at(deadline, self.socket.flush()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(self.lost(&error)),
            Err(_) => return Err(self.late()),
        }
        self.is_broken = false;
        if self.owed.is_empty() {
            self.left = owed.commands;
        }
        self.owed.push_back(owed);
        Ok(())
    }

    /// The replies to the first request that has had none. May be dropped and called again: nothing is lost by that. A
    /// passed deadline leaves the link as it is, too.
    ///
    /// # Errors
    /// The connection is lost, what comes is no reply, or the deadline passed.
    pub async fn receive(&mut self, deadline: Instant) -> Result<Replies, Unreachable> {
        loop {
            if let Some(replies) = self.whole()? {
                return Ok(replies);
            }
            if self.read.capacity() == self.read.len() {
                self.read.reserve(self.read.len().clamp(ROOM, MOST_ROOM));
            }
            match timeout_at(deadline, self.socket.read_buf(&mut self.read)).await {
                Ok(Ok(0)) => return Err(self.broken(&"the server has closed it")),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(self.broken(&error)),
                Err(_) => return Err(self.late()),
            }
        }
    }

    /// From now on ASKING goes before every command, or not any more: the node is about to get the keys, and has some already.
    /// Nobody hears of its answers.
    pub fn ask(&mut self, asking: bool) {
        self.asking = asking;
    }

    /// Requests whose replies were not received yet.
    pub fn under_way(&self) -> usize {
        self.owed.len()
    }

    /// Where it leads.
    pub fn place(&self) -> &str {
        &self.place
    }

    fn whole(&mut self) -> Result<Option<Replies>, Unreachable> {
        if self.owed.is_empty() {
            return Err(self.lost(&"no reply is due"));
        }
        let scanned = self.scan.replies(&self.read, &mut self.left);
        if let Err(malformed) = scanned {
            return Err(self.broken(&malformed));
        }
        if self.left > 0 {
            return match self.read.len() {
                ..CAP => Ok(None),
                _ => Err(self.broken(&format!("the reply has more than {CAP} bytes"))),
            };
        }
        let end = std::mem::take(&mut self.scan.at);
        let bytes = self.read.split_to(end).freeze();
        let Some(Owed { commands, asking }) = self.owed.pop_front() else {
            return Err(self.lost(&"no reply is due"));
        };
        self.left = self.owed.front().map_or(0, |next| next.commands);
        if self.owed.is_empty() && self.read.has_remaining() {
            return Err(self.broken(&"more came than was asked for"));
        }
        match asking.is_empty() {
            true => Ok(Some(Replies::new(bytes, commands))),
            false => asking::replies(&bytes, &asking).map(Some).map_err(|malformed| self.broken(&malformed)),
        }
    }

    fn broken(&mut self, why: &dyn std::fmt::Display) -> Unreachable {
        self.is_broken = true;
        self.lost(why)
    }

    fn lost(&self, why: &dyn std::fmt::Display) -> Unreachable {
        Unreachable::new("call", format!("the connection to {} is lost: {why}", self.place))
    }

    fn late(&self) -> Unreachable {
        Unreachable::new("timeout", format!("{} has not answered in time", self.place))
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Link({}, {} under way)", self.place, self.owed.len())
    }
}
