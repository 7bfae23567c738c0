//! The serde side: one node as a deserializer.

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::Notes;
use super::duration::{EXPECTED, go_duration, in_words};
use super::error::{Error, Reason, address, join};
use crate::similar::nearest;
use crate::{Diagnostic, Entry, Map, Node, Scalar, ScalarKind, Value, codes};

/// The key of optional sections that turns them off, or leaves them on.
const ENABLED: &str = "enabled";

/// A node about to be read, with its path for messages.
pub(super) struct De<'a> {
    pub(super) node: &'a Node,
    pub(super) path: String,
    pub(super) notes: &'a Notes,
    /// The section may be off: `enabled` says so, beside its own keys.
    pub(super) optional: bool,
}

impl<'a> De<'a> {
    fn mistyped(&self, expected: &str) -> Error {
        if self.node.is_null() {
            return Error::new(Reason::Null);
        }
        Error::new(Reason::Type { expected: expected.to_owned(), got: self.node.kind_name() })
    }

    fn kind(&self) -> Option<ScalarKind> {
        self.node.as_scalar().map(|s| s.kind)
    }

    fn integer(&self, expected: &str) -> Result<i128, Error> {
        match self.kind() {
            Some(ScalarKind::Int(n)) => Ok(n),
            Some(ScalarKind::Float(x)) if x.fract() == 0.0 && x.abs() < 1e15 => Ok(x as i128),
            _ => Err(self.mistyped(expected)),
        }
    }

    fn overflow(n: i128, expected: &str) -> Error {
        Error::new(Reason::Worded(format!("cannot parse '{{}}', {n} overflows {expected}")))
    }

    fn map(self, fields: Option<&'static [&'static str]>) -> Result<MapDe<'a>, Error> {
        static EMPTY: Map = Map { entries: Vec::new() };
        let map = match &self.node.value {
            Value::Map(map) => map,
            _ if self.node.is_null() => &EMPTY,
            _ => {
                let got = self.node.kind_name();
                return Err(Error::new(Reason::Worded(format!(
                    "'{{}}' expected a map or struct, got {got:?}"
                ))));
            }
        };
        if let Some(fields) = fields {
            self.check_keys(map, fields);
        }
        Ok(MapDe { de: self, entries: map.entries.iter(), fields, value: None })
    }

    /// All keys that the struct does not have, in one diagnostic, as the Collector tells them.
    fn check_keys(&self, map: &Map, fields: &'static [&'static str]) {
        let known = |key: &str| fields.contains(&key) || (self.optional && key == ENABLED);
        let unknown: Vec<&Entry> = map.entries.iter().filter(|e| !known(&e.key)).collect();
        let Some(first) = unknown.first() else { return };
        let mut names: Vec<&str> = unknown.iter().map(|e| e.key.as_str()).collect();
        names.sort_unstable();
        let message = format!("'{}' has invalid keys: {}", self.path, names.join(", "));
        let mut diagnostic = Diagnostic::error(codes::UNKNOWN_KEY, message).at(&first.place);
        for entry in unknown.iter().skip(1) {
            diagnostic = diagnostic.note(format!("`{}` is on line {}", entry.key, entry.place.line));
        }
        let meant: Vec<String> =
            unknown
                .iter()
                .filter_map(|e| nearest(&e.key, fields.iter().copied()).map(|n| (e, n)))
                .map(|(e, near)| {
                    if unknown.len() == 1 { format!("`{near}`") } else { format!("`{near}` for `{}`", e.key) }
                })
                .collect();
        let mut known = fields.to_vec();
        known.sort_unstable();
        diagnostic = match (meant.is_empty(), known.is_empty()) {
            (false, _) => diagnostic.help(format!("did you mean {}?", meant.join(", "))),
            (true, false) => diagnostic.help(format!("the keys here are {}", known.join(", "))),
            (true, true) => diagnostic.help("there are no settings here"),
        };
        self.notes.unknown.borrow_mut().insert(address(self.node), diagnostic);
    }

    /// What an optional section says of itself.
    fn enabled(&self) -> Option<bool> {
        let Value::Map(map) = &self.node.value else { return None };
        let entry = map.entries.iter().find(|entry| entry.key == ENABLED)?;
        match entry.value.as_scalar()?.kind {
            ScalarKind::Bool(on) => Some(on),
            _ => None,
        }
    }

    fn is_left_out(notes: &Notes, node: &Node) -> bool {
        notes.nulls.contains(&address(node)) || notes.wrong.contains(&address(node))
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ty = $name:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let n = self.integer($name)?;
            visitor.$visit(<$type>::try_from(n).map_err(|_| Self::overflow(n, $name))?)
        }
    )*};
}

impl<'de> Deserializer<'de> for De<'de> {
    type Error = Error;

    integers! {
        deserialize_i8 visit_i8 i8 = "int8";
        deserialize_i16 visit_i16 i16 = "int16";
        deserialize_i32 visit_i32 i32 = "int32";
        deserialize_i64 visit_i64 i64 = "int";
        deserialize_u8 visit_u8 u8 = "uint8";
        deserialize_u16 visit_u16 u16 = "uint16";
        deserialize_u32 visit_u32 u32 = "uint32";
        deserialize_u64 visit_u64 u64 = "uint";
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Scalar(Scalar { kind, text, .. }) => match kind {
                ScalarKind::Null => visitor.visit_unit(),
                ScalarKind::Bool(b) => visitor.visit_bool(*b),
                ScalarKind::Int(n) => match (i64::try_from(*n), u64::try_from(*n)) {
                    (Ok(n), _) => visitor.visit_i64(n),
                    (_, Ok(n)) => visitor.visit_u64(n),
                    _ => Err(Self::overflow(*n, "int")),
                },
                ScalarKind::Float(x) => visitor.visit_f64(*x),
                ScalarKind::Str => visitor.visit_borrowed_str(text),
            },
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(_) => visitor.visit_map(self.map(None)?),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.kind() {
            Some(ScalarKind::Bool(b)) => visitor.visit_bool(b),
            _ => Err(self.mistyped("bool")),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.kind() {
            Some(ScalarKind::Float(x)) => visitor.visit_f64(x),
            Some(ScalarKind::Int(n)) => visitor.visit_f64(n as f64),
            _ => Err(self.mistyped("float64")),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let is_duration = (&visitor as &dyn Expected).to_string() == EXPECTED;
        match (is_duration, self.node.as_text(), self.node.as_scalar()) {
            // `0` and `90` are numbers in YAML; a duration wants their text, and says itself that 90 lacks a unit.
            (true, _, Some(scalar)) if scalar.kind != ScalarKind::Null => {
                match go_duration(scalar.text.trim()) {
                    Some(duration) => visitor.visit_str(&in_words(duration)),
                    None => visitor.visit_borrowed_str(&scalar.text),
                }
            }
            (false, Some(text), _) => visitor.visit_borrowed_str(text),
            _ => Err(self.mistyped("string")),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        // To serde's own `Option` null says nothing: the setting keeps its default. Another visitor gives null a meaning,
        // such as a group that is turned on by being named.
        let plain = || (&visitor as &dyn Expected).to_string() == "option";
        match (&self.node.original, self.node.is_null()) {
            (None, true) if plain() => Err(Error::new(Reason::Null)),
            (None, true) => visitor.visit_none(),
            _ if plain() => visitor.visit_some(self),
            _ => match self.enabled() {
                Some(false) => visitor.visit_bool(false),
                enabled => visitor.visit_some(De { optional: enabled.is_some(), ..self }),
            },
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.node.is_null() { visitor.visit_unit() } else { Err(self.mistyped("null")) }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.map(Some(&[]))?;
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::List(list) => visitor.visit_seq(SeqDe { de: self, list: list.iter(), index: 0 }),
            Value::Scalar(s) if s.kind == ScalarKind::Str => {
                let parts =
                    if s.text.is_empty() { Vec::new() } else { s.text.split(',').map(str::trim).collect() };
                visitor.visit_seq(serde::de::value::SeqDeserializer::new(parts.into_iter()))
            }
            _ if self.node.is_null() => Err(Error::new(Reason::Null)),
            _ => {
                let got = self.node.kind_name();
                Err(Error::new(Reason::Worded(format!(
                    "'{{}}': source data must be an array or slice, got {got}"
                ))))
            }
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.node.is_null() {
            return Err(Error::new(Reason::Null));
        }
        visitor.visit_map(self.map(None)?)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_map(self.map(Some(fields))?)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.node.value {
            Value::Map(map) => match map.entries.as_slice() {
                [entry] => visitor.visit_enum(EnumDe { entry, de: self }),
                _ => Err(Error::new(Reason::Value(format!(
                    "must have exactly one of the keys: {}",
                    variants.join(", ")
                )))),
            },
            // A variant may be called `1` or `true`, so its text decides and not its type.
            Value::Scalar(s) if s.kind != ScalarKind::Null => {
                visitor.visit_enum(IntoDeserializer::<Error>::into_deserializer(s.text.as_str()))
            }
            _ => Err(self.mistyped("string")),
        }
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}

struct MapDe<'a> {
    de: De<'a>,
    entries: std::slice::Iter<'a, Entry>,
    fields: Option<&'static [&'static str]>,
    value: Option<&'a Entry>,
}

impl<'de> MapAccess<'de> for MapDe<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let fields = self.fields;
        let next = self.entries.by_ref().find(|e| {
            fields.is_none_or(|f| f.contains(&e.key.as_str())) && !De::is_left_out(self.de.notes, &e.value)
        });
        self.value = next;
        let Some(entry) = next else { return Ok(None) };
        match self.fields {
            Some(_) => seed.deserialize(BorrowedStrDeserializer::new(&entry.key)).map(Some),
            // A map's keys may be numbers or enums: their text is typed like a plain scalar.
            None => seed.deserialize(KeyDe(entry)).map(Some),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let Some(entry) = self.value.take() else {
            return Err(serde::de::Error::custom("a value was asked for before its key"));
        };
        let path = match self.fields {
            Some(_) => join(&self.de.path, &entry.key),
            None => format!("{}[{}]", self.de.path, entry.key),
        };
        let de = De { node: &entry.value, path: path.clone(), notes: self.de.notes, optional: false };
        seed.deserialize(de).map_err(|e| e.at(&entry.value, &path))
    }
}

/// A key of a map that is no struct.
struct KeyDe<'a>(&'a Entry);

impl<'de> Deserializer<'de> for KeyDe<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(&self.0.key)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        n: &'static str,
        f: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        StrDeserializer::new(&self.0.key).deserialize_enum(n, f, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

struct SeqDe<'a> {
    de: De<'a>,
    list: std::slice::Iter<'a, Node>,
    index: usize,
}

impl<'de> SeqAccess<'de> for SeqDe<'de> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        for node in self.list.by_ref() {
            let path = format!("{}[{}]", self.de.path, self.index);
            self.index += 1;
            if De::is_left_out(self.de.notes, node) {
                continue;
            }
            let de = De { node, path: path.clone(), notes: self.de.notes, optional: false };
            return seed.deserialize(de).map(Some).map_err(|e| e.at(node, &path));
        }
        Ok(None)
    }
}

/// `{variant: value}`.
struct EnumDe<'a> {
    entry: &'a Entry,
    de: De<'a>,
}

impl<'de> EnumAccess<'de> for EnumDe<'de> {
    type Error = Error;
    type Variant = De<'de>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, De<'de>), Error> {
        let variant = seed.deserialize(BorrowedStrDeserializer::new(&self.entry.key))?;
        let path = join(&self.de.path, &self.entry.key);
        Ok((variant, De { node: &self.entry.value, path, notes: self.de.notes, optional: false }))
    }
}

impl<'de> VariantAccess<'de> for De<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        if self.node.is_null() { Ok(()) } else { Err(self.mistyped("null")) }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        let (node, path) = (self.node, self.path.clone());
        seed.deserialize(self).map_err(|e| e.at(node, &path))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_struct("", fields, visitor)
    }
}
