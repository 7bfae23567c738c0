use proptest::prelude::*;

use super::*;

const TEXT: &str = "# Server\r\nredis_version:7.0.15\r\nserver_time_usec:1700000000123456\r\ngarbage line\r\n\
    :no key\r\nconfig_file:/a:b\r\n\r\n# Keyspace\r\ndb0:keys=3,expires=1,avg_ttl=0,new=x\r\ndb200:keys=1,,expires\r\n\
    dbx:keys=1\r\ndb0_distrib_strings_sizes:1=4\r\n# Commandstats\r\ncmdstat_client|list:calls=2,usec=30,usec_per_call=15.00\n\
    mem_fragmentation_ratio:nan\r\nused_memory_human:1.5M";

#[test]
fn a_bad_line_costs_no_other_line() {
    let info = Info::parse(TEXT);
    assert_eq!(info.text("config_file"), Some("/a:b"));
    assert_eq!(info.version(), Some("7.0.15"));
    let databases: Vec<_> = info.databases().map(|(n, line)| (n, line.member("keys"))).collect();
    assert_eq!(databases, [(0, Some("3")), (200, Some("1"))]);
    let (command, line) = info.with_prefix("cmdstat_").next().unwrap();
    assert_eq!((command, line.member("usec"), line.section), ("client|list", Some("30"), "Commandstats"));
}

#[test]
fn what_is_no_number_is_none_and_not_0() {
    let info = Info::parse(TEXT);
    assert_eq!(info.double("mem_fragmentation_ratio"), None);
    assert_eq!(info.int("used_memory_human"), None);
    assert_eq!(info.int("missing"), None);
}

#[test]
fn valkey_is_known_by_its_own_fields() {
    let info =
        Info::parse("redis_version:7.2.4\nserver_name:valkey\nvalkey_version:9.1.2\nserver_mode:cluster\n");
    assert_eq!((info.version(), info.mode(), info.is_valkey()), (Some("9.1.2"), Some("cluster"), true));
    assert!(info.at_least(7, 2) && !info.at_least(7, 4));
}

#[test]
fn versions_compare_as_numbers() {
    let info = Info::parse("redis_version:7.10.0-rc1\n");
    assert!(info.at_least(7, 9) && info.at_least(6, 99) && !info.at_least(8, 0));
    assert!(!Info::parse("").at_least(1, 0));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "([a-z_#:=,0-9|%.\r-]{0,30}\n){0,20}|.*") {
        let info = Info::parse(&text);
        for field in info.fields() {
            let _ = (field.int(), field.members().count());
        }
        let _ = (info.version(), info.at_least(7, 0), info.server_time_ms(), info.databases().count());
    }

    #[test]
    fn a_field_is_found_whatever_stands_around_it(before in "[^\r\n]{0,40}", after in "[^\r\n]{0,40}") {
        prop_assume!(!before.starts_with("wanted:"));
        let text = format!("{before}\r\nwanted:41\r\n{after}\r\n");
        prop_assert_eq!(Info::parse(&text).int("wanted"), Some(41));
    }
}
