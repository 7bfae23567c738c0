//! The section.

use streamgauge_component::ConfigType;
use streamgauge_config::Section;

use crate::redis_stream::RedisStreamConfig;

fn read(yaml: &str) -> Result<(), String> {
    let yaml = format!("endpoint: h:1\n{yaml}");
    let section = Section::from_yaml("receivers::redis_stream", &yaml).unwrap();
    (ConfigType::of::<RedisStreamConfig>().read)(&section).map(drop).map_err(|error| error.to_string())
}

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    for (yaml, expected) in [
        ("streams: []", "streams: must name at least one stream"),
        ("streams: [s]\nstream: s", "stream"),
        ("streams: [{name: a, pattern: 'b*'}]", "has a name and a pattern"),
        ("streams: [s]\nread: {count: 0}", "read::count"),
        ("streams: [s]\nclaim: {min_idle: 10s}", "at least three times consumer::heartbeat"),
        ("streams: [s]\npriority: {field: ''}", "priority::field"),
        ("streams: [s]\nordering: {enabled: true, lease: 10ms}", "ordering::lease"),
        ("streams: [s]\nordering: {enabled: true}\npriority: {field: p}", "pass one another"),
        ("streams: [s]\nordering: {enabled: true}\nack: {on: accepted}", "may be overtaken"),
        ("streams: [{name: s, priority: high}]\nordering: {enabled: true}", "no stream waits for another"),
    ] {
        let error = read(yaml).unwrap_err();
        assert!(error.contains(expected), "{yaml}: {error}");
    }
    assert_eq!(read("streams: [{name: s, priority: high}, 'o:*']\npriority: {field: p}"), Ok(()));
    assert_eq!(read("streams: [s]\nordering: {enabled: true}\nread: {workers: 1}"), Ok(()));
}
