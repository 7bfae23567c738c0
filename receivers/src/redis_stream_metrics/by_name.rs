//! A few things by name, without room that nobody needs: there is one such list for every stream.

/// Sorted by name.
#[derive(Debug)]
pub(super) struct ByName<T>(Vec<(Box<[u8]>, T)>);

impl<T> Default for ByName<T> {
    fn default() -> Self {
        ByName(Vec::new())
    }
}

impl<T> ByName<T> {
    fn search(&self, name: &[u8]) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| (**known).cmp(name))
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<&T> {
        self.search(name).ok().map(|at| &self.0[at].1)
    }

    pub(super) fn get_mut(&mut self, name: &[u8]) -> Option<&mut T> {
        self.search(name).ok().map(|at| &mut self.0[at].1)
    }

    /// What has this name, taken out.
    pub(super) fn remove(&mut self, name: &[u8]) -> Option<T> {
        self.search(name).ok().map(|at| self.0.remove(at).1)
    }

    /// What has this name; made when it is not there.
    pub(super) fn of(&mut self, name: &[u8]) -> &mut T
    where
        T: Default,
    {
        let at = self.search(name).unwrap_or_else(|at| self.insert_at(at, name, T::default()));
        &mut self.0[at].1
    }

    /// Puts it in the place of what had this name.
    pub(super) fn insert(&mut self, name: &[u8], thing: T) {
        match self.search(name) {
            Ok(at) => self.0[at].1 = thing,
            Err(at) => drop(self.insert_at(at, name, thing)),
        }
    }

    fn insert_at(&mut self, at: usize, name: &[u8], thing: T) -> usize {
        if self.0.len() == self.0.capacity() {
            self.0.reserve_exact((self.0.len() / 2).max(2));
        }
        self.0.insert(at, (name.into(), thing));
        at
    }

    pub(super) fn retain(&mut self, keeps: impl Fn(&[u8], &T) -> bool) {
        self.0.retain(|(name, thing)| keeps(name, thing));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_one_thing_in_whatever_order_they_come() {
        let mut names = ByName::<u32>::default();
        for name in [b"c", b"a", b"b", b"a"] {
            *names.of(name) += 1;
        }
        names.insert(b"b", 7);
        assert_eq!([names.get(b"a"), names.get(b"b"), names.get(b"d")], [Some(&2), Some(&7), None]);
        names.retain(|name, _| name != b"c");
        assert_eq!((names.remove(b"c"), names.remove(b"a"), names.get(b"a")), (None, Some(2), None));
    }
}
