//! What points are about: each name kept once, below the name that it belongs to.

use std::ops::{Index, IndexMut};

/// A path of attribute values, such as database, stream, group. It holds for the round in which it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place(u32);

/// The place of what has no attributes.
pub(super) const ROOT: Place = Place(0);
/// The parent of what is no more.
const NOWHERE: Place = Place(u32::MAX);

/// A tree of names, with something known of each place.
pub(super) struct Names<T> {
    nodes: Nodes<T>,
    free: Vec<u32>,
}

/// Nodes in blocks: one list of many would be moved whenever it grows, and be there twice meanwhile.
struct Nodes<T>(Vec<Vec<Node<T>>>);

/// Nodes of a block.
const BLOCK: usize = 512;

impl<T> Nodes<T> {
    fn len(&self) -> usize {
        self.0.len().saturating_sub(1) * BLOCK + self.0.last().map_or(0, Vec::len)
    }

    fn push(&mut self, node: Node<T>) {
        match self.0.last_mut().filter(|block| block.len() < BLOCK) {
            Some(block) => {
                make_room(block);
                block.push(node);
            }
            None => {
                // The first grows with what there is, the others are full soon.
                let room = if self.0.is_empty() { 1 } else { BLOCK };
                let mut block = Vec::with_capacity(room);
                block.push(node);
                self.0.push(block);
            }
        }
    }
}

impl<T> Index<Place> for Nodes<T> {
    type Output = Node<T>;

    fn index(&self, Place(at): Place) -> &Node<T> {
        &self.0[at as usize / BLOCK][at as usize % BLOCK]
    }
}

impl<T> IndexMut<Place> for Nodes<T> {
    fn index_mut(&mut self, Place(at): Place) -> &mut Node<T> {
        &mut self.0[at as usize / BLOCK][at as usize % BLOCK]
    }
}

struct Node<T> {
    parent: Place,
    name: Box<str>,
    /// In the order of their names.
    children: Vec<Place>,
    /// The child that is likely to be asked for next: they are in the same order in every round.
    next: u32,
    known: T,
}

impl<T: Default> Default for Names<T> {
    fn default() -> Self {
        let root = Node { parent: ROOT, name: "".into(), children: Vec::new(), next: 0, known: T::default() };
        let mut nodes = Nodes(Vec::new());
        nodes.push(root);
        Names { nodes, free: Vec::new() }
    }
}

impl<T: Default> Names<T> {
    /// The place of a name below another; made when it is not there.
    pub(super) fn below(&mut self, parent: Place, name: &str) -> Place {
        let Node { children, next, .. } = &self.nodes[parent];
        let at = match children.get(*next as usize) {
            Some(likely) if *self.nodes[*likely].name == *name => *next as usize,
            _ => self.search(parent, name).unwrap_or_else(|at| {
                let place = self.make(parent, name);
                let children = &mut self.nodes[parent].children;
                make_room(children);
                children.insert(at, place);
                at
            }),
        };
        let node = &mut self.nodes[parent];
        node.next = at as u32 + 1;
        node.children[at]
    }

    /// The same, where it is there.
    pub(super) fn find(&self, parent: Place, name: &str) -> Option<Place> {
        self.search(parent, name).ok().map(|at| self.nodes[parent].children[at])
    }

    /// Where a name stands among the children, or would.
    fn search(&self, parent: Place, name: &str) -> Result<usize, usize> {
        let children = &self.nodes[parent].children;
        children.binary_search_by(|child| (*self.nodes[*child].name).cmp(name))
    }

    fn make(&mut self, parent: Place, name: &str) -> Place {
        let node = Node { parent, name: name.into(), children: Vec::new(), next: 0, known: T::default() };
        if let Some(free) = self.free.pop() {
            self.nodes[Place(free)] = node;
            return Place(free);
        }
        self.nodes.push(node);
        Place((self.nodes.len() - 1) as u32)
    }

    pub(super) fn known(&self, place: Place) -> &T {
        &self.nodes[place].known
    }

    pub(super) fn known_mut(&mut self, place: Place) -> &mut T {
        &mut self.nodes[place].known
    }

    /// The names on the way to a place.
    pub(super) fn path(&self, place: Place) -> Vec<&str> {
        let mut path = Vec::new();
        let mut at = place;
        while at != ROOT && at != NOWHERE {
            let node = &self.nodes[at];
            path.push(&*node.name);
            at = node.parent;
        }
        path.reverse();
        path
    }

    /// All places, those that are no more among them, of which nothing is known.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> + use<T> {
        (0..self.nodes.len() as u32).map(Place)
    }

    /// Forgets a place of which nothing is known and that has nothing below it, and then those above it likewise.
    pub(super) fn prune(&mut self, place: Place, is_nothing: impl Fn(&T) -> bool) {
        let mut place = place;
        while place != ROOT {
            let node = &mut self.nodes[place];
            if node.parent == NOWHERE || !node.children.is_empty() || !is_nothing(&node.known) {
                return;
            }
            let parent = std::mem::replace(&mut node.parent, NOWHERE);
            (node.name, node.children) = ("".into(), Vec::new());
            self.nodes[parent].children.retain(|child| *child != place);
            self.free.push(place.0);
            place = parent;
        }
    }
}

/// Room for an eighth more: a doubled list of many would stand half empty for ever.
pub(super) fn make_room<T>(list: &mut Vec<T>) {
    if list.len() == list.capacity() {
        list.reserve_exact((list.len() / 8).max(4));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_again_and_forgotten_with_what_stood_above_it_for_its_sake_alone() {
        let mut names = Names::<bool>::default();
        let stream = names.below(ROOT, "s");
        let (a, b) = (names.below(stream, "b"), names.below(stream, "a"));
        assert_eq!(
            (names.below(stream, "b"), names.find(stream, "a"), names.find(ROOT, "a")),
            (a, Some(b), None)
        );
        assert_eq!(names.path(b), ["s", "a"]);
        names.prune(a, |known| !known);
        assert_eq!((names.find(stream, "b"), names.find(ROOT, "s")), (None, Some(stream)));
        *names.known_mut(stream) = true;
        names.prune(b, |known| !known);
        assert_eq!(names.find(ROOT, "s"), Some(stream), "something is known of it");
        *names.known_mut(stream) = false;
        names.prune(stream, |known| !known);
        assert_eq!(names.find(ROOT, "s"), None);
        assert_eq!(names.places().count(), 4, "places are used again");
        let again = names.below(ROOT, "t");
        assert!(names.places().count() == 4 && names.path(again) == ["t"]);
    }
}
