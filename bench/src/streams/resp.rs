//! Commands as bytes, and replies of which most is passed over.

use std::io::{Read, Write};
use std::net::TcpStream;

/// Appends a command.
pub fn push<'a>(out: &mut Vec<u8>, words: impl ExactSizeIterator<Item = &'a [u8]>) {
    let _ = write!(out, "*{}\r\n", words.len());
    for word in words {
        let _ = write!(out, "${}\r\n", word.len());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

/// A connection that reads RESP2.
pub struct Connection {
    pub stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Connection {
    pub fn open(address: &str) -> Connection {
        let stream = TcpStream::connect(address).expect("connect to the server");
        stream.set_nodelay(true).expect("set TCP_NODELAY");
        Connection { stream, buffer: vec![0; 1 << 18], start: 0, end: 0 }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("send to the server");
    }

    /// Passes over one reply of any kind; panics on an error, which no command here may have.
    pub fn skip_reply(&mut self) {
        let (kind, number) = self.head();
        match kind {
            b'$' if number >= 0 => self.skip(number as usize + 2),
            b'*' => (0..number.max(0)).for_each(|_| self.skip_reply()),
            _ => {}
        }
    }

    /// A reply to XREADGROUP of one stream: gives the ids and passes over the rest; 0 when there was nothing.
    pub fn entries(&mut self, mut id: impl FnMut(&[u8])) -> u64 {
        let (_, streams) = self.head();
        if streams < 1 {
            return 0;
        }
        self.head();
        self.skip_reply();
        let (_, entries) = self.head();
        for _ in 0..entries {
            self.head();
            let (_, length) = self.head();
            let length = length as usize;
            self.need(length + 2);
            id(&self.buffer[self.start..self.start + length]);
            self.start += length + 2;
            self.skip_reply();
        }
        entries as u64
    }

    /// The first line of a value: its kind and number.
    fn head(&mut self) -> (u8, i64) {
        let mut searched = 0;
        let length = loop {
            match memchr::memchr(b'\n', &self.buffer[self.start + searched..self.end]) {
                Some(at) => break searched + at,
                None => {
                    searched = self.end - self.start;
                    self.need(searched + 1);
                }
            }
        };
        let line = &self.buffer[self.start..self.start + length - 1];
        assert!(line[0] != b'-', "{}", String::from_utf8_lossy(line));
        let number = std::str::from_utf8(&line[1..]).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        let kind = line[0];
        self.start += length + 1;
        (kind, number)
    }

    fn skip(&mut self, mut count: usize) {
        while count > self.end - self.start {
            count -= self.end - self.start;
            self.start = self.end;
            self.need(1);
        }
        self.start += count;
    }

    /// Reads until this many bytes are there.
    fn need(&mut self, count: usize) {
        while self.end - self.start < count {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            if self.end == self.buffer.len() {
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
            let read = self.stream.read(&mut self.buffer[self.end..]).expect("read from the server");
            assert!(read > 0, "the server closed the connection");
            self.end += read;
        }
    }
}
