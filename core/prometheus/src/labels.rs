//! A series' labels while they are being put together: sorted, unique, none empty.

use std::ops::Range;

/// Who says a label's value when several do: the lowest rank wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// What makes the series: `__name__`, `le`, `quantile`.
    Series,
    /// `job` and `instance`.
    Target,
    /// Attributes of the point, the scope or the resource. Values of colliding names are joined with `;`.
    Attribute,
    /// Labels the configuration adds to everything.
    External,
}

#[derive(Debug, Clone)]
struct Entry {
    name: Range<usize>,
    value: Range<usize>,
    rank: Rank,
}

/// Labels in one text buffer that is reused from point to point. Push, then [`Labels::finish`], then read.
#[derive(Debug, Default)]
pub struct Labels {
    text: String,
    entries: Vec<Entry>,
}

impl Clone for Labels {
    fn clone(&self) -> Self {
        Self { text: self.text.clone(), entries: self.entries.clone() }
    }

    // What a derive would not do: a series' labels are made from their point's in the memory of the last.
    fn clone_from(&mut self, source: &Self) {
        self.text.clone_from(&source.text);
        self.entries.clone_from(&source.entries);
    }
}

impl Labels {
    /// Forgets everything, keeps the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.entries.clear();
    }

    /// Adds a label. An empty value is no label.
    pub fn push(&mut self, rank: Rank, name: &str, value: &str) {
        self.push_with(
            rank,
            |out| {
                out.push_str(name);
                true
            },
            |out| out.push_str(value),
        );
    }

    /// Adds a label whose name and value are written in place; a name writer that returns `false` adds nothing.
    pub fn push_with(
        &mut self,
        rank: Rank,
        name: impl FnOnce(&mut String) -> bool,
        value: impl FnOnce(&mut String),
    ) {
        let start = self.text.len();
        let named = name(&mut self.text);
        let middle = self.text.len();
        if named {
            value(&mut self.text);
        }
        let end = self.text.len();
        if middle == start || end == middle {
            self.text.truncate(start);
        } else {
            self.entries.push(Entry { name: start..middle, value: middle..end, rank });
        }
    }

    /// Sorts by name and settles collisions.
    pub fn finish(&mut self) {
        let text = &self.text;
        // Stable: attributes of one name stay in the order they were pushed, which is that of their keys.
        self.entries
            .sort_by(|a, b| text[a.name.clone()].cmp(&text[b.name.clone()]).then(a.rank.cmp(&b.rank)));
        let mut kept: usize = 0;
        for at in 0..self.entries.len() {
            let next = self.entries[at].clone();
            let twin = kept
                .checked_sub(1)
                .filter(|&k| self.text[self.entries[k].name.clone()] == self.text[next.name.clone()]);
            match twin {
                None => {
                    self.entries[kept] = next;
                    kept += 1;
                }
                Some(k) if self.entries[k].rank == Rank::Attribute && next.rank == Rank::Attribute => {
                    let joined =
                        format!("{};{}", &self.text[self.entries[k].value.clone()], &self.text[next.value]);
                    let start = self.text.len();
                    self.text.push_str(&joined);
                    self.entries[k].value = start..self.text.len();
                }
                Some(_) => {}
            }
        }
        self.entries.truncate(kept);
    }

    /// Names and values; in order and unique once finished.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|e| (&self.text[e.name.clone()], &self.text[e.value.clone()]))
    }

    /// The value of a label.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::{Labels, Rank};

    fn finished(pushed: &[(Rank, &str, &str)]) -> Vec<(String, String)> {
        let mut labels = Labels::default();
        for (rank, name, value) in pushed {
            labels.push(*rank, name, value);
        }
        labels.finish();
        labels.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn labels_come_out_sorted_and_without_empty_values() {
        use Rank::Attribute;
        let got = finished(&[
            (Attribute, "b", "2"),
            (Attribute, "c", ""),
            (Attribute, "a", "1"),
            (Attribute, "", "x"),
        ]);
        assert_eq!(got, owned(&[("a", "1"), ("b", "2")]));
    }

    #[test]
    fn colliding_attributes_are_joined_in_the_order_pushed() {
        use Rank::Attribute;
        let got = finished(&[
            (Attribute, "a", "1"),
            (Attribute, "z", "9"),
            (Attribute, "a", "2"),
            (Attribute, "a", "3"),
        ]);
        assert_eq!(got, owned(&[("a", "1;2;3"), ("z", "9")]));
    }

    #[test]
    fn the_stronger_rank_wins_a_name() {
        let got = finished(&[
            (Rank::External, "job", "ext"),
            (Rank::Attribute, "job", "attr"),
            (Rank::Target, "job", "svc"),
            (Rank::Attribute, "le", "mine"),
            (Rank::Series, "le", "+Inf"),
            (Rank::External, "zone", "eu"),
        ]);
        assert_eq!(got, owned(&[("job", "svc"), ("le", "+Inf"), ("zone", "eu")]));
    }
}
