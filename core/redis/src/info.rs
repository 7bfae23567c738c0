//! INFO's text. One bad line never costs another.

use std::collections::HashMap;

/// One line `key:value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The `# Section` it stands under, as the server spells it; empty before the first.
    pub section: &'a str,
    /// What stands before the first colon.
    pub key: &'a str,
    /// What stands behind it.
    pub value: &'a str,
}

impl<'a> Field<'a> {
    /// The value as a whole number. Units and fractions are no whole number.
    pub fn int(&self) -> Option<i64> {
        self.value.parse().ok()
    }

    /// A member of a value of the form `k=v,k=v`.
    pub fn member(&self, name: &str) -> Option<&'a str> {
        self.members().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// The members of a value of the form `k=v,k=v`, those that are well-formed.
    pub fn members(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.value.split(',').filter_map(|pair| pair.split_once('='))
    }
}

/// An answer of INFO (or CLUSTER INFO, which has the same form) that borrows the text.
#[derive(Debug, Default)]
pub struct Info<'a> {
    fields: Vec<Field<'a>>,
    index: HashMap<&'a str, usize>,
}

impl<'a> Info<'a> {
    /// Reads every line that is a field; other lines are passed over. A key that comes twice keeps its first value.
    pub fn parse(text: &'a str) -> Info<'a> {
        let mut info = Info::default();
        let mut section = "";
        for line in text.lines() {
            let line = line.trim_end_matches('\r');
            if let Some(name) = line.strip_prefix('#') {
                section = name.trim();
            } else if let Some((key, value)) = line.split_once(':')
                && !key.is_empty()
            {
                info.index.entry(key).or_insert(info.fields.len());
                info.fields.push(Field { section, key, value });
            }
        }
        info
    }

    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// All fields in the server's order.
    pub fn fields(&self) -> &[Field<'a>] {
        &self.fields
    }

    /// A field by its key.
    pub fn field(&self, key: &str) -> Option<Field<'a>> {
        self.fields.get(*self.index.get(key)?).copied()
    }

    /// A field's text.
    pub fn text(&self, key: &str) -> Option<&'a str> {
        self.field(key).map(|field| field.value)
    }

    /// A field's whole number.
    pub fn int(&self, key: &str) -> Option<i64> {
        self.field(key)?.int()
    }

    /// A field's number. Not a number (`nan`, `inf`) is none.
    pub fn double(&self, key: &str) -> Option<f64> {
        self.text(key)?.parse().ok().filter(|value: &f64| value.is_finite())
    }

    /// The fields whose key starts so; each with the rest of the key.
    pub fn with_prefix<'s>(
        &'s self,
        prefix: &'s str,
    ) -> impl Iterator<Item = (&'a str, Field<'a>)> + use<'a, 's> {
        self.fields.iter().filter_map(move |field| Some((field.key.strip_prefix(prefix)?, *field)))
    }

    /// `dbN` lines of the keyspace: the number and the line.
    pub fn databases(&self) -> impl Iterator<Item = (u32, Field<'a>)> + use<'_, 'a> {
        self.with_prefix("db").filter_map(|(rest, field)| Some((rest.parse().ok()?, field)))
    }

    /// The server's version. Valkey answers `redis_version:7.2.4` for ever, so its own field goes first.
    pub fn version(&self) -> Option<&'a str> {
        self.text("valkey_version").or_else(|| self.text("redis_version"))
    }

    /// Whether it is a Valkey server.
    pub fn is_valkey(&self) -> bool {
        self.text("server_name") == Some("valkey") || self.field("valkey_version").is_some()
    }

    /// `standalone`, `cluster` or `sentinel`. Valkey 9 has renamed the field.
    pub fn mode(&self) -> Option<&'a str> {
        self.text("redis_mode").or_else(|| self.text("server_mode"))
    }

    /// Whether commands of this version of Redis are there. Valkey has all those of 7.2.
    pub fn at_least(&self, major: u32, minor: u32) -> bool {
        self.commands() >= (major, minor)
    }

    /// Major and minor number of the version of Redis whose commands are there.
    pub(crate) fn commands(&self) -> (u32, u32) {
        let mut numbers =
            self.text("redis_version").unwrap_or("").split('.').map_while(|part| part.parse().ok());
        (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
    }

    /// The server's clock, milliseconds since 1970.
    pub fn server_time_ms(&self) -> Option<u64> {
        self.text("server_time_usec")?.parse::<u64>().ok().map(|usec| usec / 1000)
    }
}

#[cfg(test)]
mod tests;
