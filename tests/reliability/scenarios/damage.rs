//! Bytes on the disk that are not what was written.
//!
//! Fifty requests wait on the disk, the collector is killed, something is overwritten or cut, and the collector starts
//! again with a peer that is well. What is damaged is set aside, counted, and everything else arrives.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use streamgauge_harness::{Reply, poll_until};

use crate::ledger::RECORDS;
use crate::rig::{ON_THE_WAY, Rig, Running, SOON};
use crate::row::Row;
use crate::scenarios::Run;

pub const ALL: &[(&str, Run)] = &[
    ("a byte of a record's payload is flipped", || damaged(|log| log.flip(log.frames[20] + HEADER + 500), 1)),
    ("a record's checksum is flipped", || damaged(|log| log.flip(log.frames[20]), 1)),
    ("a record's length is made huge", || damaged(|log| log.write(log.frames[20] + 12, &[0xff; 4]), 1)),
    ("4 KiB in the middle are overwritten, over two or three records", || {
        damaged(|log| log.write(log.frames[20] + 100, &[0xaa; 4096]), 3)
    }),
    ("the last record is damaged: it looks like an unfinished write", || {
        damaged(|log| log.flip(log.frames[49] + HEADER + 500), 1)
    }),
    ("the header of a segment is damaged: its copy is there", || damaged(|log| log.write(0, &[0xaa; 64]), 0)),
    ("the first page of a segment is damaged: its first record tells what was in it", || {
        damaged(|log| log.write(0, &[0xaa; 4096]), 0)
    }),
    ("the first page of a segment and its first record are damaged", || {
        damaged(|log| log.write(0, &[0xaa; PAGE as usize + 100]), 1)
    }),
    ("the first page of a segment was never written", || damaged(|log| log.write(0, &[0; 4096]), 0)),
    ("an unfinished write after the last sync: the file is cut in its middle", unfinished_write),
    ("the journal of what is settled is damaged: it comes again", || journal(|bytes| bytes[32..].fill(0xaa))),
    ("the journal of what is settled is cut to nothing: it comes again", || journal(Vec::clear)),
];

/// Bytes before a segment's frames, and of a frame's header: `core/storage`, `format`.
const PAGE: u64 = 4096;
const HEADER: u64 = 24;
const REQUESTS: usize = 50;

/// The only segment of the exporter's log.
struct Segment {
    file: File,
    /// Where its frames begin.
    frames: Vec<u64>,
    /// Where the last of them ends.
    end: u64,
}

impl Segment {
    fn open(path: &Path) -> Segment {
        let file = File::options().read(true).write(true).open(path).unwrap();
        let (mut frames, mut at) = (Vec::new(), PAGE);
        loop {
            let mut header = [0; HEADER as usize];
            file.read_exact_at(&mut header, at).unwrap();
            let len = u32::from_le_bytes(header[12..16].try_into().unwrap());
            if len == 0 {
                return Segment { file, frames, end: at };
            }
            frames.push(at);
            at += (HEADER + u64::from(len)).next_multiple_of(8);
        }
    }

    fn flip(&self, at: u64) {
        let mut byte = [0];
        self.file.read_exact_at(&mut byte, at).unwrap();
        self.write(at, &[!byte[0]]);
    }

    fn write(&self, at: u64, bytes: &[u8]) {
        self.file.write_all_at(bytes, at).unwrap();
    }
}

/// A rig whose peer was down, with that many requests on its disk.
fn filled(requests: usize) -> Rig {
    let rig = Rig::new();
    rig.sink.always(Reply::status(503));
    let running = rig.start();
    rig.send(&running, requests);
    running.kill();
    rig.sink.always(Reply::Ok);
    rig
}

fn segment(rig: &Rig) -> Segment {
    let used = |path: &std::path::PathBuf| {
        let mut byte = [0];
        File::open(path).unwrap().read_exact_at(&mut byte, PAGE).unwrap();
        byte[0] != 0 || Segment::open(path).frames.len() > 1
    };
    let segments: Vec<_> = rig.files("seg").into_iter().filter(used).collect();
    assert_eq!(segments.len(), 1, "{segments:?}");
    Segment::open(&segments[0])
}

fn damaged(damage: fn(&Segment), most_requests: usize) -> Option<Row> {
    let rig = filled(REQUESTS);
    let log = segment(&rig);
    assert_eq!(log.frames.len(), REQUESTS);
    damage(&log);
    let running = rig.start();
    let accounted = emptied(&rig, &running);
    assert!(accounted <= most_requests * RECORDS as usize, "{accounted} records");
    assert_eq!(accounted > 0, most_requests > 0);
    assert_eq!(quarantined(&rig) > 0, accounted > 0, "what is damaged is kept");
    running.terminate();
    Some(Row { most_duplicated: ON_THE_WAY, ..rig.ledger.row(&rig.sink, accounted) })
}

/// Until everything is at the peer but for what the collector says it could not read: records of that.
fn emptied(rig: &Rig, running: &Running) -> usize {
    let unreadable = || {
        let damaged = running.number("streamgauge_queue_disk_damaged", &[]);
        let torn = running.number("streamgauge_queue_disk_torn", &[]);
        (damaged + torn) * RECORDS as usize
    };
    poll_until("the queue is empty", SOON, || {
        let is_empty = running.number("streamgauge_queue_disk_requests", &[]) == 0
            && running.number("streamgauge_held_items", &[]) == 0;
        (is_empty && rig.ledger.missing(&rig.sink) <= unreadable()).then_some(())
    });
    unreadable()
}

fn quarantined(rig: &Rig) -> usize {
    let log = rig.files("settled").remove(0);
    std::fs::read_dir(log.with_file_name("quarantine")).map_or(0, Iterator::count)
}

/// A request was being written when the power went: nobody was told that it is safe.
fn unfinished_write() -> Option<Row> {
    let rig = Rig::new();
    rig.sink.always(Reply::status(503));
    let running = rig.start();
    rig.send(&running, REQUESTS);
    let _client = rig.ledger.send_unheard(&running.url);
    poll_until("it is on the disk", SOON, || {
        (running.number("streamgauge_queue_disk_requests", &[]) == REQUESTS + 1).then_some(())
    });
    running.kill();
    rig.sink.always(Reply::Ok);
    let log = segment(&rig);
    log.file.set_len((log.frames[REQUESTS] + log.end) / 2).unwrap();
    let running = rig.start();
    let accounted = emptied(&rig, &running);
    assert_eq!(accounted, RECORDS as usize);
    running.terminate();
    rig.arrives(0);
    Some(Row { most_duplicated: ON_THE_WAY, ..rig.ledger.row(&rig.sink, accounted) })
}

/// Half of the requests are delivered, then it is forgotten which.
fn journal(damage: fn(&mut Vec<u8>)) -> Option<Row> {
    let rig = Rig::new();
    let running = rig.start();
    rig.send(&running, REQUESTS);
    rig.arrives(0);
    rig.sink.always(Reply::status(503));
    rig.send(&running, REQUESTS);
    running.kill();
    let path = rig.files("settled").remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    damage(&mut bytes);
    std::fs::write(&path, bytes).unwrap();
    rig.sink.always(Reply::Ok);
    let running = rig.start();
    rig.arrives(0);
    running.terminate();
    let again = REQUESTS * RECORDS as usize;
    Some(Row { most_duplicated: again + ON_THE_WAY, ..rig.ledger.row(&rig.sink, 0) })
}
