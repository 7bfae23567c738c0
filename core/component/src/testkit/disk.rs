//! A storage extension that has nothing to do but to be there.

use std::sync::Mutex;

use async_trait::async_trait;

use crate::storage::Storage;
use crate::{ComponentError, Extension, Host};

/// Hands out one storage.
#[derive(Default)]
pub struct Disk(Mutex<Option<Storage>>);

impl Disk {
    /// An extension with this storage; without it (`default`) none is there until it is [set](Disk::set).
    pub fn new(storage: Storage) -> Self {
        Disk(Mutex::new(Some(storage)))
    }

    /// The storage is there from now on.
    pub fn set(&self, storage: Storage) {
        *self.0.lock().unwrap() = Some(storage);
    }
}

#[async_trait]
impl Extension for Disk {
    async fn start(&self, _: Host) -> Result<(), ComponentError> {
        Ok(())
    }

    async fn shutdown(&self) {}

    fn storage(&self) -> Option<Storage> {
        self.0.lock().unwrap().clone()
    }
}
