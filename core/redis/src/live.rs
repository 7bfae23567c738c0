//! An open connection: commands go out in one piece, and their answers are waited for.

use std::borrow::Borrow;
use std::sync::Arc;

use redis::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::command::ReadCommand;
use crate::connect::Identity;
use crate::wire::{self, Scan};

/// TCP, TLS or unix.
pub trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// The room that is kept for answers and commands.
const ROOM: usize = 64 << 10;
/// The room for answers that is made at once, at least.
const STEP: usize = 16 << 10;

/// An open connection. If a request is dropped half-way, so must the connection be.
pub(crate) struct Live {
    socket: Box<dyn Socket>,
    sent: Vec<u8>,
    read: Vec<u8>,
    /// The database that is selected.
    pub(crate) db: u32,
    /// Who answers.
    pub(crate) identity: Arc<Identity>,
}

/// Why a request has no answers.
pub(crate) enum Broken {
    /// More bytes came than were allowed.
    TooLarge,
    /// The connection is gone.
    Lost(String),
}

impl Live {
    pub(crate) fn new(socket: Box<dyn Socket>) -> Self {
        Live { socket, sent: Vec::new(), read: Vec::new(), db: 0, identity: Arc::default() }
    }

    /// Sends commands in one piece and waits for all answers, which may hold `cap` bytes together. Errors of single
    /// commands are among the answers.
    pub(crate) async fn send<C: Borrow<ReadCommand>>(
        &mut self,
        commands: &[C],
        cap: usize,
    ) -> Result<Vec<Value>, Broken> {
        self.sent.clear();
        for command in commands {
            wire::put_command(&mut self.sent, command.borrow().wire());
        }
        self.exchange(commands.len(), cap).await
    }

    /// Sends one command, given by its words, before anybody is logged in.
    pub(crate) async fn say(&mut self, words: &[&[u8]], cap: usize) -> Result<Value, Broken> {
        self.sent.clear();
        wire::put_command(&mut self.sent, words.iter().copied());
        let answers = self.exchange(1, cap).await;
        // It may have been a password.
        self.sent = Vec::new();
        Ok(answers?.pop().unwrap_or(Value::Nil))
    }

    async fn exchange(&mut self, commands: usize, cap: usize) -> Result<Vec<Value>, Broken> {
        let lost = |error: std::io::Error| Broken::Lost(error.to_string());
        self.socket.write_all(&self.sent).await.map_err(lost)?;
        self.socket.flush().await.map_err(lost)?;
        self.read.clear();
        let (mut scan, mut left) = (Scan::default(), commands);
        loop {
            scan.replies(&self.read, &mut left).map_err(|malformed| Broken::Lost(malformed.to_string()))?;
            if left == 0 {
                break;
            }
            if self.read.len() >= cap {
                return Err(Broken::TooLarge);
            }
            if self.read.capacity() - self.read.len() < STEP {
                self.read.reserve(STEP);
            }
            if self.socket.read_buf(&mut self.read).await.map_err(lost)? == 0 {
                return Err(Broken::Lost("the server has closed the connection".to_owned()));
            }
        }
        let mut at = 0;
        let answers = (0..commands).map(|_| wire::value(&self.read, &mut at)).collect::<Result<_, _>>();
        self.read.shrink_to(ROOM);
        if self.sent.capacity() > ROOM {
            self.sent = Vec::new();
        }
        answers.map_err(|malformed| Broken::Lost(malformed.to_string()))
    }
}
