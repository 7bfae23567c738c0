//! `/proc/self/smaps`.

/// A mapping, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub start: usize,
    pub end: usize,
    flags: String,
    offset: u64,
    /// Device and inode; `None` for memory that is of no file.
    file: Option<String>,
    /// Bytes in memory.
    pub resident: u64,
    /// Bytes that are not the file's, in memory or swapped out; `None` if the kernel does not say both.
    own: Option<u64>,
    swapped: Option<u64>,
}

impl Mapping {
    /// Whether all of it is as the file has it, for good: code, or what stands before the code. What stands behind it may
    /// be constants that the loader has written addresses into.
    fn is_as_in_the_file(&self) -> bool {
        let is_code = self.flags == "r-xp" || (self.flags == "r--p" && self.offset == 0);
        is_code && self.own == Some(0) && self.swapped == Some(0)
    }

    pub(crate) fn holds(&self, address: usize) -> bool {
        (self.start..self.end).contains(&address)
    }
}

/// Of the file that holds the code at this address: the mappings that are as the file has them.
pub(crate) fn of_the_file_at(text: &str, address: usize) -> Vec<Mapping> {
    let file = read(text).find(|mapping| mapping.holds(address)).and_then(|mapping| mapping.file);
    let is_of_it = |mapping: &Mapping| file.is_some() && mapping.file == file && mapping.is_as_in_the_file();
    read(text).filter(is_of_it).collect()
}

/// The mappings in the text of an smaps file.
pub(crate) fn read(text: &str) -> impl Iterator<Item = Mapping> {
    let mut lines = text.lines().peekable();
    std::iter::from_fn(move || {
        let mut mapping = loop {
            if let Some(mapping) = head(lines.next()?) {
                break mapping;
            }
        };
        while let Some(line) = lines.next_if(|line| head(line).is_none()) {
            match line.split_once(':') {
                Some(("Rss", size)) => mapping.resident = bytes(size).unwrap_or(0),
                Some(("Anonymous", size)) => mapping.own = bytes(size),
                Some(("Swap", size)) => mapping.swapped = bytes(size),
                _ => {}
            }
        }
        Some(mapping)
    })
}

/// `55d0c2a00000-55d0c2b00000 r-xp 00100000 fe:00 1234 /usr/local/bin/streamgauge`
fn head(line: &str) -> Option<Mapping> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let hexadecimal = |text: &str| u64::from_str_radix(text, 16).ok();
    let (start, end) = (hexadecimal(start)? as usize, hexadecimal(end)? as usize);
    let (flags, offset) = (words.next()?.to_owned(), hexadecimal(words.next()?)?);
    let (device, inode) = (words.next()?, words.next()?);
    let file = (inode != "0").then(|| format!("{device} {inode}"));
    Some(Mapping { start, end, flags, offset, file, ..Mapping::default() })
}

/// `     123 kB`
fn bytes(size: &str) -> Option<u64> {
    size.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(head: &str, anonymous: u64, swap: u64) -> String {
        format!(
            "{head}\nSize: 64 kB\nRss: 12 kB\nAnonymous: {anonymous} kB\nSwap: {swap} kB\nVmFlags: rd ex mr\n"
        )
    }

    #[test]
    fn only_code_and_what_stands_before_it_is_given_back_and_only_where_nothing_was_changed() {
        for (head, anonymous, swap, expected) in [
            ("1000-3000 r-xp 00100000 fe:00 7 /usr/bin/x", 0, 0, true),
            ("1000-3000 r--p 00000000 fe:00 7 /usr/bin/x", 0, 0, true),
            ("1000-3000 r--p 00200000 fe:00 7 /usr/bin/x", 0, 0, false), // what the loader has written
            ("1000-3000 r--p 00000000 fe:00 7 /usr/bin/x", 4, 0, false),
            ("1000-3000 r-xp 00100000 fe:00 7 /usr/bin/x", 0, 4, false),
            ("1000-3000 rw-p 00000000 fe:00 7 /usr/bin/x", 0, 0, false),
            ("1000-3000 r--s 00000000 fe:00 7 /usr/bin/x", 0, 0, false),
            ("1000-3000 r-xp 00100000 fe:00 8 /usr/lib/libc.so.6", 0, 0, false),
            ("1000-3000 r-xp 00100000 fe:01 7 /usr/bin/y", 0, 0, false),
            ("1000-3000 r-xp 00000000 00:00 0 [vdso]", 0, 0, false),
        ] {
            let own = mapping("8000-9000 r-xp 00300000 fe:00 7 /usr/bin/x", 0, 0);
            let found = of_the_file_at(&[mapping(head, anonymous, swap), own].concat(), 0x8010);
            let ranges: Vec<_> = found.iter().map(|m| (m.start, m.end, m.resident)).collect();
            let both = [(0x1000, 0x3000, 12 << 10), (0x8000, 0x9000, 12 << 10)];
            assert_eq!(ranges, both[usize::from(!expected)..], "{head} {anonymous} {swap}");
        }
    }

    #[test]
    fn what_the_kernel_does_not_say_is_not_taken_for_nothing() {
        let head = "1000-3000 r-xp 00100000 fe:00 7 /usr/bin/x";
        let silent = mapping(head, 0, 0).replace("Swap: 0 kB\n", "");
        assert!(of_the_file_at(&silent, 0x1000).is_empty());
        assert_eq!(of_the_file_at(&mapping(head, 0, 0), 0x1000).len(), 1);
        assert!(of_the_file_at(&mapping(head, 0, 0), 0x3000).is_empty(), "no file is known there");
        assert_eq!(read("nonsense\n: :\n").count(), 0);
    }
}
