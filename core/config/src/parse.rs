//! From YAML events to the tree.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span, Tag};

use crate::{Diagnostic, Diagnostics, Entry, Map, Node, Place, Scalar, ScalarKind, Source, Value, codes};

/// Most nodes a document may have, aliases written out. A generated configuration of 500 components has about 10,000.
pub(crate) const MAX_NODES: usize = 20_000;
/// Most levels a document may have.
pub(crate) const MAX_DEPTH: usize = 64;
/// Most bytes of one source.
pub(crate) const MAX_BYTES: usize = 4 << 20;

/// Reads the first document of a source, with warnings about what was passed over.
///
/// # Errors
/// What is no YAML, holds a key twice, or is beyond the limits (20,000 nodes, 64 levels, 4 MiB).
pub fn parse(source: &Arc<Source>) -> Result<(Node, Diagnostics), Diagnostic> {
    if source.text().len() > MAX_BYTES {
        return Err(budget("the source is larger than 4 MiB").at(&Place::start_of(source)));
    }
    let mut builder = Builder {
        source,
        stack: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        root: None,
        documents: 0,
        warnings: Diagnostics::new(),
    };
    let mut options = Options::default();
    options.set_emit_comments(false);
    for event in Parser::new_from_str_with_options(source.text(), options) {
        let (event, span) = event.map_err(|e| {
            let marker = e.marker();
            let place = Place { length: 1, ..place_at(source, marker.line(), marker.col()) };
            let message = format!("yaml: line {}: {}", marker.line(), e.info());
            let d = Diagnostic::error(codes::SYNTAX, message).at(&place);
            // A brace ends a plain text within braces or brackets: the slip that everybody makes once.
            match source.line(place.line) {
                Some(line) if line.contains("${") && line.replace("${", "").contains(['{', '[']) => {
                    d.help("within `{}` or `[]` a reference needs quotes: `\"${env:NAME}\"`")
                }
                _ => d,
            }
        })?;
        builder.event(event, &span)?;
    }
    let root = builder.root.unwrap_or_else(|| Node::null(Place::start_of(source)));
    Ok((root, builder.warnings))
}

struct Builder<'a> {
    source: &'a Arc<Source>,
    stack: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
    root: Option<Node>,
    documents: usize,
    warnings: Diagnostics,
}

/// A list or map that has begun.
struct Open {
    place: Place,
    anchor: usize,
    nodes_before: usize,
    body: Body,
}

enum Body {
    List(Vec<Node>),
    Map(Box<OpenMap>),
}

#[derive(Default)]
struct OpenMap {
    map: Map,
    /// The line of each key.
    lines: HashMap<String, u32>,
    /// A key that waits for its value, and whether it is a merge key.
    key: Option<(Node, bool)>,
    merges: Option<Node>,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Diagnostic> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents == 2 {
                    let message = "the file holds more than one YAML document; only the first is read";
                    self.warnings
                        .push(Diagnostic::warning(codes::MORE_DOCUMENTS, message).at(&self.place(span)));
                }
                self.anchors.clear();
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count(1, span)?;
                let merge_key = style == ScalarStyle::Plain && text == "<<" && tag.is_none();
                let node = Node::new(Value::Scalar(scalar(&text, style, tag.as_deref())), self.place(span));
                if anchor > 0 {
                    self.anchors.insert(anchor, (node.clone(), 1));
                }
                self.add(node, merge_key)?;
            }
            Event::SequenceStart(_, anchor, _) => self.open(anchor, Body::List(Vec::new()), span)?,
            Event::MappingStart(_, anchor, _) => {
                self.open(anchor, Body::Map(Box::default()), span)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close()?,
            Event::Alias(id) => {
                let Some((node, nodes)) = self.anchors.get(&id).cloned() else {
                    let message = "yaml: an anchor's value contains the anchor itself";
                    return Err(Diagnostic::error(codes::SYNTAX, message).at(&self.place(span)));
                };
                self.count(nodes, span)?;
                self.add(node, false)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Counts nodes before they are made, so that nothing large is ever built.
    fn count(&mut self, nodes: usize, span: &Span) -> Result<(), Diagnostic> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(budget("the configuration has more than 20000 values").at(&self.place(span)));
        }
        Ok(())
    }

    fn open(&mut self, anchor: usize, body: Body, span: &Span) -> Result<(), Diagnostic> {
        self.count(1, span)?;
        if self.stack.len() >= MAX_DEPTH {
            return Err(budget("the configuration is nested deeper than 64 levels").at(&self.place(span)));
        }
        let open = Open { place: self.place(span), anchor, nodes_before: self.nodes - 1, body };
        self.stack.push(open);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Diagnostic> {
        let Some(open) = self.stack.pop() else { return Ok(()) };
        let value = match open.body {
            Body::List(list) => Value::List(list),
            Body::Map(open) => {
                let OpenMap { mut map, merges, .. } = *open;
                if let Some(merges) = merges {
                    merge_in(&mut map, merges)?;
                }
                Value::Map(map)
            }
        };
        let node = Node::new(value, open.place);
        if open.anchor > 0 {
            self.anchors.insert(open.anchor, (node.clone(), self.nodes - open.nodes_before));
        }
        self.add(node, false)
    }

    /// Puts a finished node where it belongs: into the list, as key or value into the map, or at the root.
    fn add(&mut self, node: Node, merge_key: bool) -> Result<(), Diagnostic> {
        let Some(open) = self.stack.last_mut() else {
            self.root.get_or_insert(node);
            return Ok(());
        };
        match &mut open.body {
            Body::List(list) => list.push(node),
            Body::Map(open) => match open.key.take() {
                None => open.key = Some((node, merge_key)),
                Some((key, is_merge)) => {
                    let Some(text) = key.as_scalar().map(|s| s.text.clone()) else {
                        let message = format!("yaml: a {} cannot be a key", key.kind_name());
                        return Err(Diagnostic::error(codes::BAD_KEY, message).at(&key.place));
                    };
                    if let Some(line) = open.lines.insert(text.clone(), key.place.line) {
                        let message = format!(
                            "yaml: line {}: mapping key \"{text}\" already defined at line {line}",
                            key.place.line
                        );
                        return Err(Diagnostic::error(codes::DUPLICATE_KEY, message)
                            .at(&key.place)
                            .help("join the two, or remove one: the Collector's YAML has no last-one-wins"));
                    }
                    if is_merge {
                        open.merges = Some(node);
                    } else {
                        open.map.entries.push(Entry { key: text, place: key.place, value: node });
                    }
                }
            },
        }
        Ok(())
    }

    fn place(&self, span: &Span) -> Place {
        let start = span.start;
        let one_line = span.end.line() == start.line() && span.end.col() > start.col();
        let length = if one_line { span.end.col() - start.col() } else { 1 };
        Place {
            length: u32::try_from(length).unwrap_or(1),
            ..place_at(self.source, start.line(), start.col())
        }
    }
}

/// What the map says itself wins; of several maps the first wins.
fn merge_in(map: &mut Map, merges: Node) -> Result<(), Diagnostic> {
    let place = merges.place.clone();
    let wrong = || {
        Diagnostic::error(codes::BAD_MERGE, "yaml: map merge requires map or sequence of maps as the value")
            .at(&place)
            .help("write `<<: *anchor` or `<<: [*first, *second]`, where each anchor stands before a map")
    };
    let maps = match merges.value {
        Value::Map(one) => vec![one],
        Value::List(list) => list
            .into_iter()
            .map(|n| match n.value {
                Value::Map(one) => Ok(one),
                _ => Err(wrong()),
            })
            .collect::<Result<_, _>>()?,
        Value::Scalar(_) => return Err(wrong()),
    };
    for entry in maps.into_iter().flat_map(|m| m.entries) {
        if map.entry(&entry.key).is_none() {
            map.entries.push(entry);
        }
    }
    Ok(())
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Scalar {
    let core = tag.filter(|t| t.is_yaml_core_schema()).map(|t| t.suffix().to_owned());
    let mut scalar = match (style, core.as_deref()) {
        (_, Some("str")) => Scalar::string(text),
        (_, Some(_)) | (ScalarStyle::Plain, None) => Scalar::plain(text),
        _ => Scalar::string(text),
    };
    if let (Some("float"), ScalarKind::Int(n)) = (core.as_deref(), scalar.kind) {
        scalar.kind = ScalarKind::Float(n as f64);
    }
    scalar
}

fn place_at(source: &Arc<Source>, line: usize, column: usize) -> Place {
    let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Place { source: Arc::clone(source), line: small(line), column: small(column + 1), length: 1 }
}

fn budget(message: &str) -> Diagnostic {
    Diagnostic::error(codes::BUDGET, message)
        .help("split what does not belong together into collectors of their own")
}

#[cfg(test)]
mod tests;
