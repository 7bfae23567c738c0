//! `${env:X:-default}`, `${X}`, `${file:...}`, `${yaml:...}` and `$$`.

mod pieces;

use std::ffi::OsString;

use pieces::{Piece, pieces};

use crate::{Diagnostic, Diagnostics, Node, Place, Scalar, ScalarKind, Source, Value, codes, merge, parse};

/// Most files and `yaml:` values that references may bring into one configuration, and most references in one string.
const MAX_EXPANSIONS: usize = 1000;
/// Most files that include one another in a row.
const MAX_DEPTH: usize = 32;

/// Reads an environment variable.
pub(crate) type Env<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

/// Replaces the references in a tree. What is wrong becomes a diagnostic and a null.
pub(crate) struct Expander<'a> {
    env: &'a Env<'a>,
    diagnostics: &'a mut Diagnostics,
    expansions: usize,
    nodes: usize,
}

/// A piece of text, whether any of it is data from the environment, and which variables gave nothing to it.
struct Text {
    text: String,
    from_env: bool,
    gaps: Vec<String>,
}

impl<'a> Expander<'a> {
    pub(crate) fn new(env: &'a Env<'a>, diagnostics: &'a mut Diagnostics) -> Self {
        Self { env, diagnostics, expansions: 0, nodes: 0 }
    }

    /// Expands every value of a tree in place; keys stay as they are.
    pub(crate) fn expand(&mut self, node: &mut Node) {
        self.expand_at(node, 0);
    }

    fn expand_at(&mut self, node: &mut Node, depth: usize) {
        match &mut node.value {
            Value::Map(map) => map.entries.iter_mut().for_each(|e| self.expand_at(&mut e.value, depth)),
            Value::List(list) => list.iter_mut().for_each(|n| self.expand_at(n, depth)),
            Value::Scalar(scalar) if scalar.kind == ScalarKind::Str && scalar.text.contains('$') => {
                let place = node.place.clone();
                *node = pieces(&scalar.text)
                    .map_err(too_many)
                    .and_then(|p| self.whole(p, &place, depth))
                    .unwrap_or_else(|d| {
                        self.diagnostics.push(if d.place.is_some() { d } else { d.at(&place) });
                        Node::null(place)
                    });
            }
            Value::Scalar(_) => {}
        }
    }

    /// A value that is one reference may become anything; any other is a string.
    fn whole(&mut self, pieces: Vec<Piece>, place: &Place, depth: usize) -> Result<Node, Diagnostic> {
        if let [Piece::Reference(inner)] = pieces.as_slice() {
            return self.resolve(inner, place, depth);
        }
        let text = self.inline(&pieces, place, depth)?;
        let mut node = Node::new(Value::Scalar(Scalar::string(text.text)), place.clone());
        (node.from_env, node.gaps) = (text.from_env, text.gaps);
        Ok(node)
    }

    fn inline(&mut self, pieces: &[Piece], place: &Place, depth: usize) -> Result<Text, Diagnostic> {
        let mut out = Text { text: String::new(), from_env: false, gaps: Vec::new() };
        for piece in pieces {
            match piece {
                Piece::Text(text) => out.text.push_str(text),
                Piece::Reference(inner) => {
                    let node = self.resolve(inner, place, depth)?;
                    out.from_env |= node.from_env;
                    match (&node.original, node.as_scalar()) {
                        (Some(original), _) => out.text.push_str(original),
                        (None, Some(scalar)) => out.text.push_str(&scalar.text),
                        (None, None) => {}
                    }
                    out.gaps.extend(node.gaps);
                    if out.text.len() > parse::MAX_BYTES {
                        return Err(too_many(()));
                    }
                }
            }
        }
        Ok(out)
    }

    fn resolve(&mut self, reference: &[Piece], place: &Place, depth: usize) -> Result<Node, Diagnostic> {
        let uri = self.inline(reference, place, depth)?;
        let written = |uri: &Text| if uri.from_env { "...".to_owned() } else { uri.text.clone() };
        if reference.iter().any(|p| matches!(p, Piece::Text(t) if t.contains('$'))) {
            let message = format!("the uri {:?} contains unsupported characters ('$')", written(&uri));
            return Err(Diagnostic::error(codes::BAD_REFERENCE, message)
                .help("write `${env:NAME}`; a `$` of its own is written `$$`"));
        }
        let (scheme, opaque) = uri.text.split_once(':').unwrap_or(("env", &uri.text));
        if !is_scheme(scheme) {
            let message = format!("invalid uri: {:?}", written(&uri));
            return Err(Diagnostic::error(codes::BAD_REFERENCE, message).help(schemes(&written(&uri))));
        }
        match scheme {
            "env" => {
                let mut node = self.env(opaque, uri.from_env, place)?;
                // A default may be made of variables that gave nothing either.
                if !node.gaps.is_empty() {
                    node.gaps.extend(uri.gaps);
                }
                Ok(node)
            }
            "file" => self.file(opaque, place, depth),
            "yaml" => {
                self.spend()?;
                self.data(opaque, uri.from_env, place)
            }
            _ => Err(unsupported(&written(&uri))),
        }
    }

    fn env(&mut self, opaque: &str, from_env: bool, place: &Place) -> Result<Node, Diagnostic> {
        let (name, default) = match opaque.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (opaque, None),
        };
        check_env_name(name)?;
        match (read_env(self.env, name)?, default) {
            (Some(value), _) => {
                let node = self.data(&value, true, place)?;
                Ok(with_gap(node, value.is_empty(), || format!("environment variable {name} is empty")))
            }
            (None, Some(default)) => {
                let node = self.data(default, from_env, place)?;
                let gap = || format!("environment variable {name} is not set, and its default is empty");
                Ok(with_gap(node, default.is_empty(), gap))
            }
            (None, None) => {
                self.diagnostics.push(
                    Diagnostic::warning(
                        codes::UNSET_ENV,
                        "Configuration references unset environment variable",
                    )
                    .at(place)
                    .note(format!("{name} is taken for nothing: the setting keeps its default, within a text it leaves a gap"))
                    .help(format!("set {name}, or give a default: `${{env:{name}:-value}}`")),
                );
                let gap = || format!("environment variable {name} is not set");
                Ok(with_gap(Node::null(place.clone()), true, gap))
            }
        }
    }

    /// A file's map or list is configuration and expanded; a file that is one scalar is data, such as a mounted secret.
    fn file(&mut self, path: &str, place: &Place, depth: usize) -> Result<Node, Diagnostic> {
        self.spend()?;
        if depth >= MAX_DEPTH {
            return Err(too_many(()));
        }
        let text = read_file(path)?;
        // An editor ends a file with a line break that is no part of the value.
        let value = text.strip_suffix('\n').map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t));
        let mut node = match parse::parse(&Source::new(path, &*text)) {
            Ok((node, _)) if node.as_scalar().is_none() => node,
            _ => return self.data(value, false, place),
        };
        self.nodes += count(&node);
        if self.nodes > parse::MAX_NODES {
            return Err(too_many(()));
        }
        merge::nest(&mut node);
        self.expand_at(&mut node, depth + 1);
        node.original = Some(value.to_owned());
        Ok(node)
    }

    /// Text from outside: typed as YAML would, kept as it is for whoever wants a string, never expanded.
    fn data(&mut self, text: &str, from_env: bool, place: &Place) -> Result<Node, Diagnostic> {
        let verbatim = || Node::new(Value::Scalar(Scalar::string(text)), place.clone());
        let mut node = match parse::parse(&Source::hidden("value", text)) {
            Ok((node, _)) if node.as_scalar().is_none_or(|s| s.kind != ScalarKind::Str) => node,
            _ => verbatim(),
        };
        self.nodes += count(&node);
        if self.nodes > parse::MAX_NODES {
            return Err(too_many(()));
        }
        merge::nest(&mut node);
        settle(&mut node, place, from_env);
        node.original = Some(text.to_owned());
        Ok(node)
    }

    fn spend(&mut self) -> Result<(), Diagnostic> {
        self.expansions += 1;
        if self.expansions > MAX_EXPANSIONS { Err(too_many(())) } else { Ok(()) }
    }
}

/// Every part of a value from outside stands where its reference stands.
fn settle(node: &mut Node, place: &Place, from_env: bool) {
    node.place = place.clone();
    node.from_env = from_env;
    match &mut node.value {
        Value::Scalar(_) => {}
        Value::List(list) => list.iter_mut().for_each(|n| settle(n, place, from_env)),
        Value::Map(map) => {
            for entry in &mut map.entries {
                entry.place = place.clone();
                settle(&mut entry.value, place, from_env);
            }
        }
    }
}

fn with_gap(mut node: Node, is_gap: bool, note: impl Fn() -> String) -> Node {
    if is_gap {
        node.gaps.push(note());
    }
    node
}

fn count(node: &Node) -> usize {
    1 + match &node.value {
        Value::Scalar(_) => 0,
        Value::List(list) => list.iter().map(count).sum(),
        Value::Map(map) => map.entries.iter().map(|e| count(&e.value)).sum(),
    }
}

fn too_many((): ()) -> Diagnostic {
    Diagnostic::error(codes::TOO_MANY_EXPANSIONS, "too many recursive expansions")
        .help("a file that includes itself, or references nested without end")
}

/// Two characters at least: one letter is a drive.
pub(crate) fn is_scheme(text: &str) -> bool {
    text.len() >= 2
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '.' | '-'))
}

pub(crate) fn unsupported(uri: &str) -> Diagnostic {
    Diagnostic::error(codes::UNKNOWN_SCHEME, format!("unsupported scheme on URI {uri:?}")).help(schemes(uri))
}

fn schemes(uri: &str) -> String {
    match uri.split_once(":-") {
        Some((name, _)) => format!("a default needs the scheme: `${{env:{name}:-...}}`"),
        None => "this binary reads `file:`, `yaml:` and `env:`".to_owned(),
    }
}

pub(crate) fn check_env_name(name: &str) -> Result<(), Diagnostic> {
    let ok = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if ok {
        return Ok(());
    }
    let message =
        format!("environment variable {name:?} has invalid name: must match regex ^[a-zA-Z_][a-zA-Z0-9_]*$");
    Err(Diagnostic::error(codes::BAD_ENV_NAME, message))
}

pub(crate) fn read_env(env: &Env<'_>, name: &str) -> Result<Option<String>, Diagnostic> {
    env(name).map(OsString::into_string).transpose().map_err(|_| {
        Diagnostic::error(codes::ENV_NOT_UTF8, format!("environment variable {name:?} is not valid UTF-8"))
    })
}

pub(crate) fn read_file(path: &str) -> Result<String, Diagnostic> {
    let failed = |why: String| {
        Diagnostic::error(codes::UNREADABLE, format!("unable to read the file file:{path}: {why}"))
            .help("paths are relative to the directory the collector was started in")
    };
    let size = std::fs::metadata(path).map_err(|e| failed(format!("open {path}: {}", plain(&e))))?.len();
    if size > parse::MAX_BYTES as u64 {
        return Err(failed("it is larger than 4 MiB".to_owned()));
    }
    let bytes = std::fs::read(path).map_err(|e| failed(format!("read {path}: {}", plain(&e))))?;
    String::from_utf8(bytes).map_err(|_| failed("it is not valid UTF-8".to_owned()))
}

/// The operating system's words without Rust's `(os error 2)`.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
