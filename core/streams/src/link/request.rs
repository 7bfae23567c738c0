//! Commands as bytes on the wire.

use streamgauge_redis::StreamId;

/// Commands that are sent in one piece. What was written once can be sent again, on any link.
#[derive(Clone, Debug, Default)]
pub struct Request {
    bytes: Vec<u8>,
    commands: usize,
    /// Words that the command that was begun still wants.
    wants: usize,
}

impl Request {
    /// Without a command.
    pub fn new() -> Self {
        Request::default()
    }

    /// One command, given by its words.
    pub fn of(words: &[&[u8]]) -> Self {
        let mut request = Request::new();
        request.command(words);
        request
    }

    /// Adds a command, given by its words.
    pub fn command(&mut self, words: &[&[u8]]) -> &mut Self {
        self.begin(words.len());
        for word in words {
            self.word(word);
        }
        self
    }

    /// Begins a command of so many words, of which the first is its name; [`Request::word`] and the like add them.
    pub fn begin(&mut self, words: usize) -> &mut Self {
        debug_assert_eq!(self.wants, 0, "the command before wants more words");
        (self.commands, self.wants) = (self.commands + 1, words);
        self.header(b'*', words);
        self
    }

    /// Adds a word.
    pub fn word(&mut self, bytes: &[u8]) -> &mut Self {
        debug_assert!(self.wants > 0, "more words than the command was begun with");
        self.wants = self.wants.saturating_sub(1);
        self.header(b'$', bytes.len());
        self.bytes.extend_from_slice(bytes);
        self.bytes.extend_from_slice(b"\r\n");
        self
    }

    /// Adds a number as a word.
    pub fn number(&mut self, number: u64) -> &mut Self {
        let mut text = [0; DIGITS];
        let from = digits(number, &mut text);
        self.word(&text[from..])
    }

    /// Adds an entry's id as a word.
    pub fn id(&mut self, id: StreamId) -> &mut Self {
        let mut text = [0; 2 * DIGITS + 1];
        let mut seq = [0; DIGITS];
        let from = digits(id.seq, &mut seq);
        let seq = &seq[from..];
        let end = text.len();
        text[end - seq.len()..].copy_from_slice(seq);
        let dash = end - seq.len() - 1;
        text[dash] = b'-';
        let mut ms = [0; DIGITS];
        let from = digits(id.ms, &mut ms);
        let ms = &ms[from..];
        let begin = dash - ms.len();
        text[begin..dash].copy_from_slice(ms);
        self.word(&text[begin..])
    }

    /// How many commands there are.
    pub fn commands(&self) -> usize {
        self.commands
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.commands == 0
    }

    /// Bytes on the wire.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets the commands and keeps the room.
    pub fn clear(&mut self) {
        self.bytes.clear();
        (self.commands, self.wants) = (0, 0);
    }

    fn header(&mut self, kind: u8, number: usize) {
        let mut text = [0; DIGITS];
        let from = digits(number as u64, &mut text);
        self.bytes.push(kind);
        self.bytes.extend_from_slice(&text[from..]);
        self.bytes.extend_from_slice(b"\r\n");
    }
}

/// Digits of the largest number.
const DIGITS: usize = 20;

/// Writes a number to the end of `text` and tells where it begins.
fn digits(mut number: u64, text: &mut [u8; DIGITS]) -> usize {
    let mut at = DIGITS;
    loop {
        at -= 1;
        text[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return at;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn commands_are_arrays_of_counted_words() {
        let mut request = Request::of(&[b"GET", b"k\r\n"]);
        request.begin(3).word(b"X").number(0).id(StreamId { ms: 12, seq: 0 });
        let wire = b"*2\r\n$3\r\nGET\r\n$3\r\nk\r\n\r\n*3\r\n$1\r\nX\r\n$1\r\n0\r\n$4\r\n12-0\r\n";
        assert_eq!((request.bytes(), request.commands()), (&wire[..], 2));
        request.clear();
        assert!(request.is_empty() && request.bytes().is_empty());
    }

    proptest! {
        #[test]
        fn every_id_is_written_as_it_is_shown(ms: u64, seq: u64) {
            let id = StreamId { ms, seq };
            let (mut a, mut b) = (Request::new(), Request::new());
            a.begin(1).id(id);
            b.begin(1).word(id.to_string().as_bytes());
            prop_assert_eq!(a.bytes(), b.bytes());
        }
    }
}
