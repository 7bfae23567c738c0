//! Comparing secrets.

use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq as _;

/// A secret to compare with: its digest. Digests have one length, so that comparing them tells neither where two
/// secrets differ nor how long the right one is.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub fn of(secret: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, secret).as_ref());
        Fingerprint(bytes)
    }

    /// Whether both are of the same secret, in a time that does not depend on it.
    pub fn same(&self, other: &Fingerprint) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}
