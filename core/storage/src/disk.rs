//! Calls to the file system, each with its error sorted. Tests make them fail here.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::FallocateFlags;

use crate::error::StorageError;

/// Slices of one `pwritev`: the kernel takes no more (`IOV_MAX`).
const MOST_SLICES: usize = 1024;

/// How durable, and in tests how faulty.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    /// Whether `sync` does anything.
    pub(crate) fsync: bool,
    #[cfg(test)]
    pub(crate) faults: Faults,
}

/// What is about to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Allocate,
    Write,
    Sync,
}

impl Call {
    fn doing(self) -> &'static str {
        match self {
            Call::Allocate => "allocate space",
            Call::Write => "write",
            Call::Sync => "sync",
        }
    }
}

impl Disk {
    pub(crate) fn new(fsync: bool) -> Self {
        Disk {
            fsync,
            #[cfg(test)]
            faults: Faults::default(),
        }
    }

    /// A file that only this user reads: telemetry is nobody else's business.
    pub(crate) fn open(&self, path: &Path, create_new: bool) -> Result<File, StorageError> {
        let mut options = File::options();
        options.read(true).write(true).create_new(create_new).mode(0o600);
        options.open(path).map_err(|e| StorageError::from_io("open it", path, &e))
    }

    /// Takes `len` bytes of disk for the file, so that later writes change no metadata and cannot run out of space.
    pub(crate) fn allocate(&self, path: &Path, file: &File, len: u64) -> Result<(), StorageError> {
        self.call(Call::Allocate, path, || {
            match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, len) {
                // Such a file system has no preallocation: slower, and space can run out later.
                Err(rustix::io::Errno::OPNOTSUPP) => file.set_len(len),
                other => other.map_err(io::Error::from),
            }
        })
    }

    /// Writes all slices in a row.
    pub(crate) fn write(
        &self,
        path: &Path,
        file: &File,
        slices: &mut [IoSlice<'_>],
        mut at: u64,
    ) -> Result<(), StorageError> {
        self.call(Call::Write, path, || {
            let mut left = slices;
            while !left.is_empty() {
                let most = left.len().min(MOST_SLICES);
                match rustix::io::pwritev(file, left.get(..most).unwrap_or_default(), at) {
                    Ok(0) if left.iter().all(|slice| slice.is_empty()) => break,
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(written) => {
                        at += written as u64;
                        IoSlice::advance_slices(&mut left, written);
                    }
                    Err(rustix::io::Errno::INTR) => {}
                    Err(errno) => return Err(errno.into()),
                }
            }
            Ok(())
        })
    }

    /// Returns when the file's data are on the disk.
    pub(crate) fn sync(&self, path: &Path, file: &File) -> Result<(), StorageError> {
        if !self.fsync {
            return Ok(());
        }
        self.call(Call::Sync, path, || file.sync_data())
    }

    /// Makes the names in a directory durable.
    pub(crate) fn sync_directory(&self, path: &Path) -> Result<(), StorageError> {
        if !self.fsync {
            return Ok(());
        }
        self.call(Call::Sync, path, || File::open(path)?.sync_all())
    }

    fn call<T>(
        &self,
        call: Call,
        path: &Path,
        run: impl FnOnce() -> io::Result<T>,
    ) -> Result<T, StorageError> {
        #[cfg(test)]
        if let Some(errno) = self.faults.due(call) {
            return Err(StorageError::from_io(call.doing(), path, &errno.into()));
        }
        run().map_err(|error| StorageError::from_io(call.doing(), path, &error))
    }
}

/// Reads what it can: a page that the disk does not give back reads as zeros, which no checksum takes for data.
/// Returns the bytes read, less than asked for at the end of the file.
pub(crate) fn read(path: &Path, file: &File, buffer: &mut [u8], at: u64) -> Result<usize, StorageError> {
    const PAGE: usize = 4096;
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, at + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
                let page = PAGE - (at as usize + done) % PAGE;
                let page = rest.len().min(page);
                if file.read_at(&mut rest[..page], at + done as u64).is_err() {
                    rest[..page].fill(0);
                }
                done += page;
            }
            Err(error) => return Err(StorageError::from_io("read", path, &error)),
        }
    }
    Ok(done)
}

/// Faults that a test asked for.
#[cfg(test)]
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults(std::sync::Arc<std::sync::Mutex<Option<(Call, rustix::io::Errno)>>>);

#[cfg(test)]
impl Faults {
    /// Every such call fails from now on.
    pub(crate) fn set(&self, fault: Option<(Call, rustix::io::Errno)>) {
        *self.0.lock().unwrap() = fault;
    }

    fn due(&self, call: Call) -> Option<rustix::io::Errno> {
        self.0.lock().unwrap().filter(|(kind, _)| *kind == call).map(|(_, errno)| errno)
    }
}
