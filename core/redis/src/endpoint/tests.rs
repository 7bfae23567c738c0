use proptest::prelude::*;

use super::*;

fn read(endpoint: &str) -> Result<Target, Vec<Problem>> {
    Target::new(&EndpointKeys { endpoint, ..EndpointKeys::default() })
}

fn text(target: &Target) -> Option<&str> {
    match &target.password {
        Some(Password::Text(text)) => Some(text),
        _ => None,
    }
}

fn tcp(host: &str, port: u16) -> Address {
    Address::Tcp(host.to_owned(), port)
}

#[test]
fn host_and_port_are_read_in_every_usual_form() {
    for (text, host, port) in [
        ("localhost:6380", "localhost", 6380),
        ("redis.example", "redis.example", 6379),
        ("[::1]:7000", "::1", 7000),
        ("redis://10.0.0.1", "10.0.0.1", 6379),
        ("rediss://h:1/", "h", 1),
    ] {
        assert_eq!(read(text).unwrap().address, tcp(host, port), "{text}");
    }
}

#[test]
fn a_url_brings_user_password_database_and_tls() {
    let target = read("rediss://mon%40itor:p%25a:s%2Fs@h:1/3").unwrap();
    assert_eq!(target.username.as_deref(), Some("mon@itor"));
    assert_eq!(text(&target), Some("p%a:s/s"));
    assert_eq!((target.db, target.tls), (3, true));
    let target = read("redis://:word@h").unwrap();
    assert_eq!((target.user(), text(&target)), ("default", Some("word")));
}

#[test]
fn a_unix_socket_is_a_url_or_a_path_with_its_transport() {
    let path = Address::Unix("/run/redis.sock".into());
    let target = read("unix://u:p@/run/redis.sock?db=2").unwrap();
    assert_eq!((&target.address, target.db, target.user()), (&path, 2, "u"));
    let keys = EndpointKeys {
        endpoint: "/run/redis.sock",
        transport: Some(Transport::Unix),
        ..EndpointKeys::default()
    };
    assert_eq!(Target::new(&keys).unwrap().address, path);
}

#[test]
fn a_key_that_contradicts_the_url_is_an_error_and_one_that_repeats_it_is_not() {
    let same = EndpointKeys {
        endpoint: "redis://u:p@h:1/2",
        transport: Some(Transport::Tcp),
        username: Some("u"),
        password: Some("p"),
        tls: Some(false),
        db: Some(2),
        password_file: None,
    };
    assert!(Target::new(&same).is_ok());
    let all_wrong = EndpointKeys {
        transport: Some(Transport::Unix),
        username: Some("other"),
        password: Some("hunter2"),
        tls: Some(true),
        db: Some(0),
        ..same
    };
    let problems = Target::new(&all_wrong).unwrap_err();
    let keys: Vec<_> = problems.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, ["username", "password", "tls", "db", "transport"]);
    assert!(!format!("{problems:?}").contains("hunter2"));
}

#[test]
fn what_is_no_endpoint_is_refused_without_showing_the_password() {
    for text in [
        "",
        "::1",
        "[::1",
        "h:0",
        "h:70000",
        "h:x",
        ":6379",
        "http://h",
        "redis://u:hunter2@",
        "unix://run/x",
        "redis://h/x",
        "redis://u:hunter2%zz@h",
        "redis://h?db=1",
        "unix:///x?user=hunter2",
        "u:hunter2@h",
    ] {
        let problems = read(text).unwrap_err();
        assert_eq!(problems[0].0, "endpoint", "{text}");
        assert!(!problems[0].1.contains("hunter2"), "{problems:?}");
    }
}

#[test]
fn debug_shows_no_password() {
    assert!(!format!("{:?}", read("redis://u:hunter2@h").unwrap()).contains("hunter2"));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,60}", scheme in prop::sample::select(vec!["", "redis://", "unix://", "unix:///"])) {
        let _ = read(&format!("{scheme}{text}"));
    }

    #[test]
    fn an_address_reads_back_as_it_is_shown(port in 1u16.., host in "[a-z][a-z0-9.-]{0,20}|[0-9a-f:]{2,20}:1") {
        let address = tcp(&host, port);
        prop_assert_eq!(read(&address.to_string()).unwrap().address, address);
    }
}
