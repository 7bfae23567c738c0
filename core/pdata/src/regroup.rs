//! Splitting resources by what their records say.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use crate::body::Body;
use crate::check::{has_items, is_child, locate};
use crate::edit::{Edited, Editor, Headers, Outcome, Record, Splice, announce};
use crate::malformed::{Fault, Malformed};
use crate::signal::{HEADER, Level, Signal};
use crate::split::{header_budget, headers, live};
use crate::wire::{self, Field};

/// Says which group a record belongs to.
pub trait Grouper: Headers {
    /// The key of the record's group.
    fn key(&mut self, record: &Record<'_>) -> &str;

    /// The key of all records of the resource that was announced last, where that is known without looking at them.
    fn whole(&self) -> Option<&str> {
        None
    }

    /// Whether a request in which a resource's attributes are malformed is left as it was.
    fn is_strict(&self) -> bool {
        false
    }
}

/// Splits every resource into one for each key that its records have, in the order in which the keys first come,
/// and sets the resource attribute `attribute` to the key. Records are copied, also out of one scope or metric; a
/// resource whose records have one key is only spliced, one without records is left as it is.
///
/// The copies of headers are bounded as in [`split`](crate::split()), and with them the number of new resources: each
/// is charged for its key and 64 bytes besides, and each copied field for 32. When the bound is reached, records with
/// further keys go under `overflow`.
///
/// # Errors
/// A fault at a border, as in [`check`](crate::check()): the request is as it was.
pub fn regroup(
    signal: Signal,
    request: &mut Body,
    attribute: &str,
    overflow: &str,
    grouper: &mut impl Grouper,
) -> Result<Edited, Malformed> {
    let mut walk = Walk {
        signal,
        attribute,
        overflow,
        splice: Splice::new(request),
        budget: header_budget(request.len()),
        groups: HashMap::new(),
        keys: Vec::new(),
        places: HashSet::new(),
        beside: Vec::new(),
        header_cost: 0,
        nodes: Vec::new(),
        headers: Vec::new(),
        runs: Vec::new(),
        open: Vec::new(),
        path: Vec::new(),
    };
    let walked = walk.request(grouper);
    walked.map_err(|fault| locate(signal, request, fault))?;
    let done = walk.splice.done();
    match grouper.is_strict() && done.edited.broken > 0 {
        true => Ok(done.edited),
        false => Ok(done.write(request)),
    }
}

/// What a new resource is charged for besides its headers and its key, in bytes: the work of writing it.
const GROUP_COST: usize = 64;
/// What a copied field is charged for besides its bytes: its place in the plan of the new request.
const FIELD_COST: usize = 32;

struct Walk<'a> {
    signal: Signal,
    attribute: &'a str,
    overflow: &'a str,
    splice: Splice<'a>,
    budget: usize,
    /// The groups of the resource at hand, by key and by number, and in which messages they have records.
    groups: HashMap<String, u32>,
    keys: Vec<String>,
    places: HashSet<(u32, usize)>,
    /// Its fields that are neither its Resource nor scopes, and what a copy of them and the Resource costs.
    beside: Vec<Range<usize>>,
    header_cost: usize,
    /// The messages that hold its records.
    nodes: Vec<Node>,
    headers: Vec<Range<usize>>,
    runs: Vec<Run>,
    /// The nodes that the resource being written has open.
    open: Vec<usize>,
    path: Vec<usize>,
}

/// A message between resource and records.
struct Node {
    parent: Option<usize>,
    number: u32,
    /// Its header fields, as a part of `Walk::headers`.
    headers: Range<usize>,
    /// What a copy of them costs.
    cost: usize,
    /// Some group has the original.
    taken: bool,
}

/// Neighbouring records of one group in one message.
struct Run {
    group: u32,
    node: Option<usize>,
    bytes: Range<usize>,
}

impl Walk<'_> {
    fn request(&mut self, grouper: &mut impl Grouper) -> Result<(), Fault> {
        let (request, level, mut pos) = (self.splice.request, self.signal.request(), 0);
        while let Some(field) = wire::next_field(request, &mut pos, request.len())? {
            match is_child(level, &field)?.then(|| level.below(field.number)).flatten() {
                Some(below) => {
                    announce(self.signal, level, request, &field, grouper);
                    self.resource(below, &field, grouper)?;
                }
                None => self.splice.rope.old(field.start, field.end),
            }
        }
        Ok(())
    }

    fn resource(
        &mut self,
        level: &'static Level,
        field: &Field,
        grouper: &mut impl Grouper,
    ) -> Result<(), Fault> {
        if let Some(key) = grouper.whole() {
            if has_items(level, self.splice.request, field.body, field.end)? {
                return self.stamp(level, field, key);
            }
            self.splice.rope.old(field.start, field.end);
            return Ok(());
        }
        self.groups.clear();
        self.keys.clear();
        self.nodes.clear();
        self.headers.clear();
        self.runs.clear();
        self.places.clear();
        self.beside.clear();
        self.header_cost = 0;
        self.splice.find_resource(level, field, |header| {
            self.header_cost += header.end - header.start + FIELD_COST;
            if header.number != HEADER {
                self.beside.push(header.start..header.end);
            }
        })?;
        self.collect(level, field, None, grouper)?;
        match self.keys.len() {
            0 => self.splice.rope.old(field.start, field.end),
            1 => {
                let key = self.keys.pop().unwrap_or_default();
                self.stamp(level, field, &key)?;
            }
            _ => {
                self.write(field);
                self.splice.changed += 1;
            }
        }
        Ok(())
    }

    /// Writes a resource whose records all have this key.
    fn stamp(&mut self, level: &'static Level, field: &Field, key: &str) -> Result<(), Fault> {
        let attribute = self.attribute;
        self.splice.resource(level, field, &mut |resource: &mut Editor<'_>| resource.upsert(attribute, key))
    }

    /// Notes the records in the message `outer` by their group.
    fn collect(
        &mut self,
        level: &'static Level,
        outer: &Field,
        node: Option<usize>,
        grouper: &mut impl Grouper,
    ) -> Result<(), Fault> {
        let request = self.splice.request;
        // The members of a oneof are one message, which is what they mean.
        let first = self.headers.len();
        let mut oneof = None;
        let mut pos = outer.body;
        if level.is_oneof()
            && let Some((number, start)) = live(level, request, outer.body, outer.end, &mut self.headers)?
        {
            oneof = Some(self.node(node, number, first));
            pos = start;
        }
        let mut empty = true;
        while let Some(field) = wire::next_field(request, &mut pos, outer.end)? {
            if !is_child(level, &field)? {
                continue;
            }
            empty = false;
            let Some(below) = level.below(field.number) else {
                let record = Record::new(self.signal, outer.number, request, &field);
                let group = self.group(grouper.key(&record), node);
                self.run(group, node, field.start..field.end);
                continue;
            };
            if oneof.is_some() {
                self.collect(below, &field, oneof, grouper)?;
                continue;
            }
            announce(self.signal, level, request, &field, grouper);
            let first = self.headers.len();
            headers(below, request, field.body, field.end, &mut self.headers)?;
            let inner = self.node(node, field.number, first);
            self.collect(below, &field, Some(inner), grouper)?;
        }
        // A scope or metric without records still says something: it goes with the first group.
        if empty && node.is_some() {
            self.run(0, node, 0..0);
        }
        Ok(())
    }

    /// A message whose headers are those from `headers` on.
    fn node(&mut self, parent: Option<usize>, number: u32, headers: usize) -> usize {
        let cost = self.headers.iter().skip(headers).map(|header| header.len() + FIELD_COST).sum();
        let headers = headers..self.headers.len();
        self.nodes.push(Node { parent, number, headers, cost, taken: false });
        self.nodes.len() - 1
    }

    /// The group of a record in `node`, which is the overflow when its headers may not be copied any more.
    fn group(&mut self, key: &str, node: Option<usize>) -> u32 {
        if let Some(last) = self.runs.last().filter(|last| last.node == node)
            && self.keys.get(last.group as usize).is_some_and(|last| last == key)
        {
            return last.group;
        }
        let known = self.groups.get(key).copied();
        let group = match self.budget.checked_sub(self.price(key, known, node)) {
            Some(rest) => {
                self.budget = rest;
                known.unwrap_or_else(|| self.add(key))
            }
            None => self.groups.get(self.overflow).copied().unwrap_or_else(|| self.add(self.overflow)),
        };
        self.place(group, node);
        group
    }

    /// What it costs to put a record with this key, whose group is `group` if there is one, in `node`. Nothing for
    /// the first group of a message, which has the original.
    fn price(&self, key: &str, group: Option<u32>, node: Option<usize>) -> usize {
        let mut price = match group {
            None if !self.keys.is_empty() => GROUP_COST + self.attribute.len() + key.len() + self.header_cost,
            _ => 0,
        };
        let mut next = node;
        while let Some((at, node)) = next.and_then(|at| Some((at, self.nodes.get(at)?))) {
            if group.is_some_and(|group| self.places.contains(&(group, at))) {
                break;
            }
            price += if node.taken { node.cost } else { 0 };
            next = node.parent;
        }
        price
    }

    /// Notes that the group has records in `node`, and so a copy of it and of what it is in.
    fn place(&mut self, group: u32, node: Option<usize>) {
        let mut next = node;
        while let Some((at, node)) = next.and_then(|at| Some((at, self.nodes.get_mut(at)?))) {
            if !self.places.insert((group, at)) {
                break;
            }
            node.taken = true;
            next = node.parent;
        }
    }

    fn add(&mut self, key: &str) -> u32 {
        let group = self.keys.len() as u32;
        self.groups.insert(key.to_owned(), group);
        self.keys.push(key.to_owned());
        group
    }

    fn run(&mut self, group: u32, node: Option<usize>, bytes: Range<usize>) {
        match self.runs.last_mut() {
            Some(last) if last.group == group && last.node == node && last.bytes.end == bytes.start => {
                last.bytes.end = bytes.end;
            }
            _ => self.runs.push(Run { group, node, bytes }),
        }
    }

    /// Writes one resource for each group.
    fn write(&mut self, field: &Field) {
        let mut runs = std::mem::take(&mut self.runs);
        runs.sort_by_key(|run| run.group);
        for group in runs.chunk_by(|a, b| a.group == b.group) {
            let Some(key) = group.first().and_then(|run| self.keys.get(run.group as usize)) else { continue };
            let (attribute, key) = (self.attribute, key.as_str());
            self.splice.rope.open(field.number);
            let mut stamp = |resource: &mut Editor<'_>| resource.upsert(attribute, key);
            let outcome = self.splice.copy_resource(&mut stamp);
            self.splice.broken += usize::from(outcome == Outcome::Broken);
            for field in &self.beside {
                self.splice.rope.old(field.start, field.end);
            }
            for run in group {
                self.go_to(run.node);
                self.splice.rope.old(run.bytes.start, run.bytes.end);
            }
            self.go_to(None);
            self.splice.rope.close();
        }
        self.runs = runs;
    }

    /// Closes and opens messages until the innermost open one is `node`.
    fn go_to(&mut self, node: Option<usize>) {
        self.path.clear();
        let mut next = node;
        while let Some((at, node)) = next.and_then(|at| Some((at, self.nodes.get(at)?))) {
            self.path.push(at);
            next = node.parent;
        }
        let shared = self.open.iter().zip(self.path.iter().rev()).take_while(|(a, b)| a == b).count();
        while self.open.len() > shared {
            self.splice.rope.close();
            self.open.pop();
        }
        for at in self.path.iter().rev().skip(shared) {
            let Some(node) = self.nodes.get(*at) else { continue };
            self.splice.rope.open(node.number);
            for header in self.headers.get(node.headers.clone()).unwrap_or(&[]) {
                self.splice.rope.old(header.start, header.end);
            }
            self.open.push(*at);
        }
    }
}
