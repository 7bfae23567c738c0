use bytes::Bytes;
use streamgauge_component::testkit::{Bench, Source};
use streamgauge_component::{Host, Kind, Outcome};
use streamgauge_config::Section;

use super::*;

const TABLE: &str = r#"
table:
  - {condition: 'attributes["to"] == "a"', pipelines: [logs/a]}
  - {condition: 'attributes["to"] == "b"', pipelines: [logs/b]}
"#;

fn read(yaml: &str) -> Result<streamgauge_component::AnyConfig, String> {
    let section = Section::from_yaml("routing", yaml).unwrap();
    (FACTORY.config.read)(&section).map_err(|errors| errors.to_string())
}

fn bench(yaml: &str) -> Bench {
    let host = Host::for_test(Kind::Connector, "routing");
    let config = read(yaml).unwrap_or_else(|errors| panic!("{errors}"));
    Bench::new((FACTORY.create)(Create { host, config, signals: Signal::ALL.to_vec() }).unwrap(), 1)
}

fn field(number: u8, body: &[u8]) -> Vec<u8> {
    assert!(body.len() < 128);
    [&[number << 3 | 2, body.len() as u8], body].concat()
}

/// A resource with one attribute, as a field of the request, and one item of the signal that is told by its body.
fn resource(signal: Signal, to: &str, item: &[u8]) -> Vec<u8> {
    let value = field(1, to.as_bytes());
    let attribute = field(1, &[field(1, b"to"), field(2, &value)].concat());
    let item = match signal {
        Signal::Logs | Signal::Traces => field(2, item),
        // A gauge with one data point.
        Signal::Metrics => field(2, &field(5, &field(1, item))),
    };
    field(1, &[field(1, &attribute), field(2, &item)].concat())
}

/// An item that no view reads and no walk looks into.
const ITEM: [u8; 3] = [0x7a, 1, 0xff];

fn bytes(batch: &Batch) -> Vec<u8> {
    batch.parts.iter().flat_map(|part| part.bytes.to_vec()).collect()
}

#[test]
fn each_route_gets_its_resources_byte_for_byte_and_the_sender_hears_when_all_have_settled() {
    for signal in Signal::ALL {
        let r = |to| resource(signal, to, &ITEM);
        let (mut bench, source) = (bench(&format!("{TABLE}default_pipelines: [logs/c]")), Source::new());
        let request = [r("a"), r("b"), r("a"), r("x"), r("b")].concat();
        let mut sent = bench.route(source.batch(signal, request, 5));
        let found: Vec<_> = sent.iter().map(|(route, b)| (*route, b.items(), bytes(b))).collect();
        let expected = [(0, 2, [r("a"), r("a")].concat()), (1, 2, [r("b"), r("b")].concat()), (2, 1, r("x"))];
        assert_eq!(found, expected, "{signal}");
        assert_eq!(bench.tally(), streamgauge_component::Tally::default());
        let refused = Outcome::rejected(Reason::PeerRefused);
        sent.pop().unwrap().1.settle(&refused);
        sent.pop().unwrap().1.settle(&Outcome::Delivered);
        assert!(!source.all_settled(), "one share is still under way");
        sent.pop().unwrap().1.settle(&Outcome::Delivered);
        assert_eq!(source.outcomes(), [Some(refused)]);
    }
}

#[test]
fn a_request_that_goes_one_way_is_passed_on_as_it_is_and_parts_of_one_way_go_together() {
    let request =
        Bytes::from([resource(Signal::Logs, "a", &ITEM), resource(Signal::Logs, "a", &ITEM)].concat());
    let (mut bench, source) = (bench(TABLE), Source::new());
    let parts = vec![source.part(request.clone(), 2), source.part(request.clone(), 2)];
    let sent = bench.route(Batch { signal: Signal::Logs, context: source.context(), parts });
    assert_eq!((sent.len(), sent[0].0, sent[0].1.parts.len()), (1, 0, 2));
    assert!(sent[0].1.parts.iter().all(|part| part.bytes.as_ptr() == request.as_ptr()));
    sent.into_iter().for_each(|(_, batch)| batch.settle(&Outcome::Delivered));
    assert!(source.all_delivered());
}

#[test]
fn what_no_route_takes_is_dropped_and_counted_where_there_is_no_default() {
    let (mut bench, source) = (bench(TABLE), Source::new());
    let request = [resource(Signal::Logs, "a", &ITEM), resource(Signal::Logs, "x", &ITEM)].concat();
    let sent = bench.route(source.batch(Signal::Logs, request, 2));
    assert_eq!((sent.len(), sent[0].1.items()), (1, 1));
    assert_eq!(bench.tally().dropped, [(Reason::Filtered, 1)]);
    sent.into_iter().for_each(|(_, batch)| batch.settle(&Outcome::Delivered));
    assert!(source.all_delivered(), "dropped on purpose is no reason to send again");
}

#[test]
fn a_copy_goes_on_to_the_routes_after_it_and_to_the_default() {
    let table = r#"
default_pipelines: [logs/rest]
table:
  - {statement: 'route() where resource.attributes["to"] != nil', pipelines: [logs/all], action: copy}
  - {condition: 'attributes["to"] == "a"', pipelines: [logs/a]}
"#;
    let (mut bench, source) = (bench(table), Source::new());
    let (a, x) = (resource(Signal::Logs, "a", &ITEM), resource(Signal::Logs, "x", &ITEM));
    let sent = bench.route(source.batch(Signal::Logs, [&a[..], &x].concat(), 2));
    let found: Vec<_> = sent.iter().map(|(route, b)| (*route, bytes(b))).collect();
    assert_eq!(found, [(0, [&a[..], &x].concat()), (1, a), (2, x)]);
    sent.into_iter().for_each(|(_, batch)| batch.settle(&Outcome::Delivered));
    assert!(source.all_delivered());
}

#[test]
fn a_request_is_routed_whole_by_its_headers() {
    let table = r#"
default_pipelines: [logs/other]
table:
  - {context: request, condition: 'request["X-Tenant"] == "acme"', pipelines: [logs/acme]}
  - {context: request, condition: 'request["X-Tenant"] != "ecorp"', pipelines: [logs/known]}
"#;
    let mut bench = bench(table);
    for (tenant, route) in [(Some("acme"), 0), (Some("small"), 1), (Some("ecorp"), 2), (None, 2)] {
        let source = Source::new();
        let mut batch = source.batch(Signal::Logs, resource(Signal::Logs, "a", &ITEM), 1);
        let headers = tenant.map(|tenant| ("x-tenant".into(), tenant.into())).into_iter().collect();
        batch.context = Arc::new(Context { headers, ..(*source.context()).clone() });
        let sent = bench.route(batch);
        assert_eq!(sent.iter().map(|(route, _)| *route).collect::<Vec<_>>(), [route], "{tenant:?}");
        sent.into_iter().for_each(|(_, batch)| batch.settle(&Outcome::Delivered));
    }
}

#[test]
fn a_resource_that_cannot_be_read_costs_its_neighbours_nothing() {
    // The attribute's value says that it is longer than it is.
    let broken = field(
        1,
        &[field(1, &field(1, &[field(1, b"to"), vec![0x12, 9]].concat())), field(2, &field(2, &ITEM))]
            .concat(),
    );
    let request = [resource(Signal::Logs, "a", &ITEM), broken.clone()].concat();
    let (mut strict, source) = (bench(TABLE), Source::new());
    let sent = strict.route(source.batch(Signal::Logs, request.clone(), 2));
    assert_eq!(sent.iter().map(|(route, b)| (*route, b.items())).collect::<Vec<_>>(), [(0, 1)]);
    assert_eq!(strict.tally().dropped, [(Reason::Malformed, 1)]);
    sent.into_iter().for_each(|(_, batch)| batch.settle(&Outcome::Delivered));
    assert!(matches!(&source.outcomes()[0], Some(Outcome::Rejected { reason: Reason::Malformed, .. })));

    for mode in ["ignore", "silent"] {
        let mut lenient = bench(&format!("{TABLE}default_pipelines: [logs/c]\nerror_mode: {mode}"));
        let source = Source::new();
        let sent = lenient.route(source.batch(Signal::Logs, request.clone(), 2));
        assert_eq!((sent[1].0, bytes(&sent[1].1)), (2, broken.clone()), "{mode}");
        sent.into_iter().for_each(|(_, batch)| batch.settle(&Outcome::Delivered));
        assert!(source.all_delivered());
    }
}

#[test]
fn conditions_mean_what_they_mean_in_the_collector() {
    let mut request = streamgauge_pdata::build::LogsBuilder::new();
    request.resource([("text", "v"), ("other", "w")]).scope("", "").record(1).body("text");
    let request = request.finish();
    let table = [
        (r#"attributes["text"] == "v""#, true),
        (r#"resource.attributes["text"] == "w""#, false),
        (r#"attributes["text"] != "v""#, false),
        (r#"attributes["none"] == "v""#, false),
        (r#"attributes["none"] != "v""#, true),
        (r#"attributes["none"] == nil"#, true),
        (r#"attributes["text"] != nil"#, true),
        (r#"attributes["text"] == 1"#, false),
        (r#"attributes["text"] != true"#, true),
        (r#"IsMatch(attributes["text"], "^[uv]$")"#, true),
        (r#"IsMatch(attributes["none"], ".*")"#, false),
        (r#"attributes["text"] == "x" or attributes["text"] == "v" and attributes["other"] == "w""#, true),
        (r#"(attributes["text"] == "v" or true) and attributes["other"] == "x""#, false),
        (r#"not attributes["text"] == "v""#, false),
        ("false", false),
    ];
    for (text, expected) in table {
        let condition = Condition::read(text, condition::Subject::Resource).unwrap();
        let mut held = None;
        divide(Signal::Logs, &request, 0, |resource, places| {
            places.push(0);
            held = Some(condition.holds(&Seen::Resource(resource.read().unwrap().attributes())).unwrap());
        })
        .unwrap();
        assert_eq!(held, Some(expected), "{text}");
    }
}

#[test]
fn numbers_and_truth_values_are_compared_by_what_they_are() {
    // The value 5, as an integer, under "n".
    let number = field(1, &[field(1, b"n"), field(2, &[0x18, 5])].concat());
    let truth = field(1, &[field(1, b"t"), field(2, &[0x10, 1])].concat());
    let request = Bytes::from(field(1, &field(1, &[number, truth].concat())));
    for (text, expected) in [
        (r#"attributes["n"] == 5"#, true),
        (r#"attributes["n"] == 5.0"#, true),
        (r#"attributes["n"] == -5"#, false),
        (r#"attributes["n"] == "5""#, false),
        (r#"attributes["t"] == true"#, true),
        (r#"attributes["t"] != false"#, true),
    ] {
        let condition = Condition::read(text, condition::Subject::Resource).unwrap();
        let mut held = None;
        divide(Signal::Logs, &request, 0, |resource, _| {
            held = Some(condition.holds(&Seen::Resource(resource.read().unwrap().attributes())).unwrap());
        })
        .unwrap();
        assert_eq!(held, Some(expected), "{text}");
    }
}

#[test]
fn what_is_not_understood_is_refused_with_its_name() {
    let route = |route: &str| read(&format!("table: [{{{route}, pipelines: [logs/a]}}]")).unwrap_err();
    for (yaml, expected) in [
        ("condition: 'body == \"x\"'", "`body` is not supported"),
        ("condition: 'attributes[\"a\"] > 1'", "`>` is not supported there"),
        ("condition: 'attributes[\"a\"][\"b\"] == 1'", "what is inside of \"a\""),
        ("condition: 'attributes[\"a\"] == v'", "a text stands in double quotes"),
        ("condition: 'attributes[\"a\"] == \"v'", "does not end"),
        ("condition: 'attributes[\"a\"] == \"v\" attributes'", "`attributes` is not understood there"),
        ("condition: 'IsMatch(attributes[\"a\"], \"(\")'", "unclosed group"),
        ("condition: 'IsString(attributes[\"a\"])'", "`IsString` is not supported"),
        ("condition: '€'", "has no meaning"),
        ("statement: 'delete_key(attributes, \"a\")'", "only `route() where <condition>`"),
        ("statement: 'route() if true'", "comes `where`"),
        ("context: request, condition: 'attributes[\"a\"] == \"v\"'", "`attributes` is not supported"),
        ("context: request, condition: 'request[\"a\"] == 1'", "is compared with a text"),
        ("context: request, statement: 'route()'", "requires a 'condition'"),
        ("context: log, condition: 'true'", "by single records is not supported"),
        ("context: nonsense, condition: 'true'", "nonsense"),
        ("condition: 'true', statement: 'route()'", "both condition and statement"),
        ("context: resource", "no condition or statement"),
    ] {
        let error = route(yaml);
        assert!(error.contains(expected), "{yaml}: {error}");
    }
    let deep = format!("condition: '{}true{}'", "(".repeat(100), ")".repeat(100));
    assert!(route(&deep).contains("nested deeper"));
    assert!(read("table: []").unwrap_err().contains("the routing table is empty"));
    assert!(read("table: [{condition: 'true'}]").unwrap_err().contains("no pipelines defined"));
}
