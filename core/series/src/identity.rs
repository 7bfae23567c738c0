//! Which series a point belongs to.

use streamgauge_pdata::Malformed;
use streamgauge_pdata::view::{Attributes, Value};

/// Builds the key of a series on the way down a request: resource, scope, metric, point. Attributes count whatever
/// their order, types are told apart. Equal keys are equal series: nothing is hashed away. One buffer is used for
/// all series, so that looking up a known one allocates nothing.
#[derive(Debug, Default)]
pub struct Identity {
    key: Vec<u8>,
    resource: usize,
    scope: usize,
    metric: usize,
}

impl Identity {
    /// With no resource yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Enters a resource.
    ///
    /// # Errors
    /// An attribute that cannot be read: the resource has no identity then.
    pub fn resource(&mut self, attributes: Attributes<'_>) -> Result<(), Malformed> {
        self.key.clear();
        (self.resource, self.scope, self.metric) = (0, 0, 0);
        put_attributes(&mut self.key, attributes, 0)?;
        self.resource = self.key.len();
        (self.scope, self.metric) = (self.resource, self.resource);
        Ok(())
    }

    /// Enters a scope of the resource.
    ///
    /// # Errors
    /// An attribute that cannot be read.
    pub fn scope(&mut self, name: &str, version: &str, attributes: Attributes<'_>) -> Result<(), Malformed> {
        self.key.truncate(self.resource);
        put_bytes(&mut self.key, name.as_bytes());
        put_bytes(&mut self.key, version.as_bytes());
        put_attributes(&mut self.key, attributes, 0)?;
        self.scope = self.key.len();
        self.metric = self.scope;
        Ok(())
    }

    /// Enters a metric of the scope.
    pub fn metric(&mut self, name: &str) {
        self.key.truncate(self.scope);
        put_bytes(&mut self.key, name.as_bytes());
        self.metric = self.key.len();
    }

    /// The key of a point's series.
    ///
    /// # Errors
    /// An attribute that cannot be read.
    pub fn point(&mut self, attributes: Attributes<'_>) -> Result<&[u8], Malformed> {
        self.key.truncate(self.metric);
        put_attributes(&mut self.key, attributes, 0)?;
        Ok(&self.key)
    }

    /// The key of a group of series of this metric: those with the same values at chosen places. `None` is a missing
    /// one.
    ///
    /// # Errors
    /// A value that cannot be read.
    pub fn group<'a>(&mut self, values: impl Iterator<Item = Option<Value<'a>>>) -> Result<&[u8], Malformed> {
        self.key.truncate(self.metric);
        for value in values {
            match value {
                None => self.key.push(MISSING),
                Some(value) => put_value(&mut self.key, value, 0)?,
            }
        }
        Ok(&self.key)
    }
}

const MISSING: u8 = 0;
const TOO_DEEP: u8 = 255;
/// Values nested deeper than this are not told apart.
const MAX_DEPTH: usize = 16;
/// So many attributes are sorted without allocating.
const FEW: usize = 16;

fn put_bytes(key: &mut Vec<u8>, bytes: &[u8]) {
    key.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    key.extend_from_slice(bytes);
}

fn put_attributes(key: &mut Vec<u8>, attributes: Attributes<'_>, depth: usize) -> Result<(), Malformed> {
    let mut few = [("", Value::Empty); FEW];
    let mut many = Vec::new();
    let mut len = 0;
    for pair in attributes {
        let pair = pair?;
        if len < FEW {
            few[len] = pair;
        } else {
            if many.is_empty() {
                many.extend_from_slice(&few);
            }
            many.push(pair);
        }
        len += 1;
    }
    let pairs = if many.is_empty() { &mut few[..len] } else { &mut many[..] };
    pairs.sort_by_key(|(key, _)| *key);
    key.extend_from_slice(&(len as u32).to_le_bytes());
    for (name, value) in pairs {
        put_bytes(key, name.as_bytes());
        put_value(key, *value, depth)?;
    }
    Ok(())
}

fn put_value(key: &mut Vec<u8>, value: Value<'_>, depth: usize) -> Result<(), Malformed> {
    if depth > MAX_DEPTH {
        key.push(TOO_DEEP);
        return Ok(());
    }
    match value {
        Value::Empty => key.push(1),
        Value::Str(text) => {
            key.push(2);
            put_bytes(key, text.as_bytes());
        }
        Value::Bool(bool) => key.extend_from_slice(&[3, u8::from(bool)]),
        Value::Int(number) => {
            key.push(4);
            key.extend_from_slice(&number.to_le_bytes());
        }
        Value::Double(number) => {
            key.push(5);
            key.extend_from_slice(&number.to_bits().to_le_bytes());
        }
        Value::Bytes(bytes) => {
            key.push(6);
            put_bytes(key, bytes);
        }
        Value::Array(values) => {
            key.push(7);
            for value in values {
                put_value(key, value?, depth + 1)?;
            }
            key.push(MISSING);
        }
        Value::KvList(attributes) => {
            key.push(8);
            put_attributes(key, attributes, depth + 1)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use streamgauge_pdata::build::{AnyValue, MetricsBuilder};
    use streamgauge_pdata::view::{Data, MetricsView};

    use super::*;

    type Pairs = Vec<(String, AnyValue)>;

    /// The key of a point with these attributes.
    fn key(resource: &Pairs, scope: &str, metric: &str, point: &Pairs) -> Vec<u8> {
        let mut request = MetricsBuilder::new();
        request.resource(resource).scope(scope, "1").gauge(metric, "", "").point(1).attributes(point).int(1);
        let bytes = request.finish();
        let mut identity = Identity::new();
        let resource = MetricsView::new(&bytes).resources().next().unwrap().unwrap();
        identity.resource(resource.attributes()).unwrap();
        let scope = resource.scopes().next().unwrap().unwrap();
        identity.scope(scope.name, scope.version, scope.attributes()).unwrap();
        let metric = scope.records().next().unwrap().unwrap();
        let Data::Gauge(mut points) = metric.data else { panic!("a gauge was built") };
        let point = points.next().unwrap().unwrap();
        // What was there before does not matter.
        identity.metric("something else");
        identity.point(resource.attributes()).unwrap();
        identity.metric(metric.name);
        identity.point(point.attributes()).unwrap().to_vec()
    }

    fn pairs(list: &[(&str, AnyValue)]) -> Pairs {
        list.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
    }

    fn text(text: &str) -> AnyValue {
        AnyValue::Str(text.to_owned())
    }

    #[test]
    fn every_level_and_type_counts() {
        let (r, p) = (pairs(&[("service.name", text("a"))]), pairs(&[("db", AnyValue::Int(0))]));
        let base = key(&r, "scope", "metric", &p);
        assert_eq!(base, key(&r, "scope", "metric", &p));
        let others = [
            key(&pairs(&[("service.name", text("b"))]), "scope", "metric", &p),
            key(&r, "scope2", "metric", &p),
            key(&r, "scope", "metric2", &p),
            key(&r, "scope", "metric", &pairs(&[("db", text("0"))])),
            key(&r, "scope", "metric", &pairs(&[("db", AnyValue::Double(0.0))])),
            key(&r, "scope", "metric", &pairs(&[("db", AnyValue::Array(vec![AnyValue::Int(0)]))])),
            key(&r, "scope", "metric", &pairs(&[])),
            key(&pairs(&[]), "scope", "metric", &p),
        ];
        for (n, other) in others.iter().enumerate() {
            assert_ne!(&base, other, "case {n}");
        }
    }

    #[test]
    fn many_attributes_are_sorted_as_few_are() {
        let many: Pairs = (0..40).map(|n| (format!("k{n}"), AnyValue::Int(n))).collect();
        let reversed: Pairs = many.iter().rev().cloned().collect();
        assert_eq!(key(&many, "", "m", &reversed), key(&reversed, "", "m", &many));
    }

    #[test]
    fn a_group_tells_missing_from_empty() {
        let mut identity = Identity::new();
        let missing = identity.group([None].into_iter()).unwrap().to_vec();
        let empty = identity.group([Some(Value::Empty)].into_iter()).unwrap().to_vec();
        let blank = identity.group([Some(Value::Str(""))].into_iter()).unwrap().to_vec();
        assert!(missing != empty && empty != blank && missing != blank);
    }

    proptest::proptest! {
        #[test]
        fn the_order_of_attributes_does_not_matter(
            map in proptest::collection::btree_map("[a-c.]{1,3}", "[x-z]{0,2}", 0..24),
            seed in 0usize..1000,
        ) {
            let sorted: Pairs = map.iter().map(|(k, v)| (k.clone(), text(v))).collect();
            let mut shuffled = sorted.clone();
            for n in (1..shuffled.len()).rev() {
                shuffled.swap(n, seed.wrapping_mul(n + 7) % (n + 1));
            }
            proptest::prop_assert_eq!(key(&sorted, "s", "m", &shuffled), key(&shuffled, "s", "m", &sorted));
        }
    }
}
