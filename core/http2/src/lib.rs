//! Both sides of an HTTP/2 connection, made for many requests with small answers: a server ([`Connection`]) and a client for unary
//! calls ([`Client`]).
//!
//! A server's connection is one task: it reads what the socket has, serves every whole frame of it, lets the handlers run that can, and
//! writes all answers in one go. It knows streams, windows and heads, nothing of paths, methods or what is in a body. What it
//! takes from a client is bounded: heads, streams, windows, unread answers, and frames that cost us more than the client.

mod alive;
mod answer;
mod body;
mod budget;
mod client;
mod connection;
mod core;
mod fault;
mod frame;
pub mod fuzz;
mod head;
mod heads;
mod hpack;
mod input;
mod pings;
mod settings;
mod shared;
mod stream;

use std::sync::Arc;

use http::request::Parts;

pub use answer::{Answer, Content, Same};
pub use body::{Body, BrokenOff};
pub use client::{Call, CallError, Client, ClientSettings, Driver, Fields, Head, Response};
pub use connection::{Connection, Error};
pub use frame::{PREFACE, Reason};
pub use pings::PingPolicy;
pub use settings::Settings;

/// Takes the requests of a connection.
pub trait Service: Unpin {
    /// An answer in the making. It is dropped when the client takes its request back or goes away.
    type Future: Future<Output = Answer> + Send + Unpin + 'static;

    /// Takes a request. The same head may come again and again: clients repeat themselves.
    fn call(&self, head: Arc<Parts>, body: Body) -> Self::Future;
}
