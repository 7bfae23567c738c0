//! A request becomes XADD commands, by stream, in pieces.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use streamgauge_component::Signal;
use streamgauge_pdata::{Limit, split};
use streamgauge_redis::StreamId;
use streamgauge_streams::Request;
use streamgauge_streams::encoding::{Encoding, Fields, Format, Message};

use super::lines::Abilities;
use super::name::Namer;
use super::progress::Part;
use super::sort::{Share, sort};

/// How much is sent before the answers are read.
const CHUNK_COMMANDS: usize = 1000;
const CHUNK_BYTES: usize = 512 << 10;
/// How many ids Redis remembers of each producer, where nobody has set anything else.
const IDS: usize = 100;

/// What XADD trims as it adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    None,
    /// To so many entries.
    Length(u64),
    /// To entries that are not older.
    Age(Duration),
}

/// How entries are written.
#[derive(Debug)]
pub(super) struct Writing {
    pub format: Format,
    pub namer: Namer,
    pub bound: Bound,
    /// Whether the bound is kept to the entry, which costs more.
    pub exact: bool,
    /// Whether only what every group has acknowledged is trimmed.
    pub safe: bool,
    /// Who this process is to Redis, when entries that are sent twice are to be added once.
    pub producer: Option<String>,
    /// An OTLP request above it is cut.
    pub max_entry_bytes: usize,
}

/// Commands, in the order of the streams they are for.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub streams: Vec<Stream>,
    places: HashMap<Vec<u8>, usize>,
    /// Items that no entry can hold.
    pub broken: u64,
}

/// The commands for one stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub key: Vec<u8>,
    pub chunks: Vec<Chunk>,
}

/// Commands that are sent in one piece, and what each is about.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    pub request: Request,
    /// The number of the part, and of the entry in it.
    pub entries: Vec<(usize, usize)>,
    /// Whether ASKING stands before each command.
    pub asking: bool,
}

impl Writing {
    /// The commands for the entries that are not in Redis yet. `asking` tells for a stream whether its node must be asked
    /// so.
    pub fn plan(
        &self,
        signal: Signal,
        parts: &[Bytes],
        known: &[Part],
        now_ms: u64,
        abilities: Abilities,
        asking: &dyn Fn(&[u8]) -> bool,
    ) -> Plan {
        let mut plan = Plan::default();
        for (index, (bytes, part)) in parts.iter().zip(known).enumerate() {
            let broken = self.entries(signal, bytes, part.serial, &mut |entry, key, message| {
                if !part.is_done(entry) {
                    let chunk = plan.chunk(key, asking);
                    chunk.entries.push((index, entry));
                    self.command(chunk, key, &message, part, entry, now_ms, abilities);
                }
            });
            plan.broken += broken as u64;
        }
        plan
    }

    /// Every entry of a part with its number and its stream, always in the same order. Returns the items that are in none.
    pub fn entries(
        &self,
        signal: Signal,
        part: &Bytes,
        serial: u64,
        each: &mut dyn FnMut(usize, &[u8], Message<'_>),
    ) -> usize {
        let (mut entry, mut broken, mut fields) = (0, 0, Fields::default());
        for Share { name, bytes } in self.pieces(signal, part) {
            broken += self.format.encode(signal, &bytes, &mut fields, &mut |message| {
                let turn = serial.wrapping_add(entry as u64);
                let key = match &name {
                    Some((name, shard)) => {
                        let mut key = name.clone();
                        self.namer.shard(&mut key, *shard, turn);
                        key
                    }
                    None => self.namer.key(signal, &|name| message.attributes.get(name), turn),
                };
                each(entry, &key, message);
                entry += 1;
            });
        }
        broken
    }

    /// The requests that a part is written as: itself where its records become entries; with OTLP one for each entry.
    pub fn pieces(&self, signal: Signal, part: &Bytes) -> Vec<Share> {
        let whole = || vec![Share { name: None, bytes: part.clone() }];
        if !matches!(self.format.encoding, Encoding::OtlpProto | Encoding::OtlpJson) {
            return whole();
        }
        let shares = match self.namer.reads_data() {
            true => sort(&self.namer, signal, part).unwrap_or_else(|_| whole()),
            false => whole(),
        };
        let limit = Limit::Bytes(self.max_entry_bytes);
        let cut = |Share { name, bytes }: Share| match split(signal, &bytes, limit) {
            Ok(pieces) => {
                pieces.into_iter().map(|piece| Share { name: name.clone(), bytes: piece.bytes }).collect()
            }
            Err(_) => vec![Share { name, bytes }],
        };
        shares.into_iter().flat_map(cut).collect()
    }

    #[allow(clippy::too_many_arguments, reason = "one command, and all that its words depend on")]
    fn command(
        &self,
        chunk: &mut Chunk,
        key: &[u8],
        message: &Message<'_>,
        part: &Part,
        entry: usize,
        now_ms: u64,
        abilities: Abilities,
    ) {
        let producer = self.producer.as_ref().filter(|_| abilities.idempotent);
        let acked = self.safe && abilities.acked;
        // Where the server cannot tell what is acknowledged, another task trims.
        let bound = if self.safe && !acked { Bound::None } else { self.bound };
        let trimming = if bound == Bound::None { 0 } else { 3 + usize::from(acked) };
        let words = 3 + trimming + if producer.is_some() { 3 } else { 0 } + 2 * message.fields.len();
        let request = &mut chunk.request;
        if chunk.asking {
            request.command(&[b"ASKING"]);
        }
        request.begin(words).word(b"XADD").word(key);
        if let Some(producer) = producer {
            // A producer of Redis has so many ids: further entries of the part have another one.
            let producer = format!("{producer}-{}-{}", part.slot, entry / IDS);
            let id = format!("{}-{entry}", part.serial);
            request.word(b"IDMP").word(producer.as_bytes()).word(id.as_bytes());
        }
        let sign: &[u8] = if self.exact { b"=" } else { b"~" };
        match bound {
            Bound::None => {}
            Bound::Length(most) => {
                request.word(b"MAXLEN").word(sign).number(most);
            }
            Bound::Age(age) => {
                let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
                request.word(b"MINID").word(sign).id(StreamId { ms: now_ms.saturating_sub(age), seq: 0 });
            }
        }
        if trimming > 0 && acked {
            request.word(b"ACKED");
        }
        request.word(b"*");
        for (name, value) in message.fields.iter() {
            request.word(name).word(value);
        }
    }
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Where the next command for a stream goes.
    fn chunk(&mut self, key: &[u8], asking: &dyn Fn(&[u8]) -> bool) -> &mut Chunk {
        let place = match self.places.get(key) {
            Some(place) => *place,
            None => {
                self.places.insert(key.to_vec(), self.streams.len());
                self.streams.push(Stream { key: key.to_vec(), chunks: Vec::new() });
                self.streams.len() - 1
            }
        };
        let chunks = &mut self.streams[place].chunks;
        let is_full = |chunk: &Chunk| {
            chunk.entries.len() >= CHUNK_COMMANDS || chunk.request.bytes().len() >= CHUNK_BYTES
        };
        if chunks.last().is_none_or(is_full) {
            chunks.push(Chunk { asking: asking(key), ..Chunk::default() });
        }
        let last = chunks.len() - 1;
        &mut chunks[last]
    }
}
