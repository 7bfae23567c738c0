//! Numbers of INFO that no metric names: those of servers that are newer than this program, and of modules.

use std::collections::HashSet;
use std::sync::LazyLock;

use streamgauge_redis::Info;

use super::metrics::{ROWS, Source};

/// The most of them that are sent.
pub(crate) const LIMIT: usize = 200;

/// Fields that metrics read, besides those that this process reads for other ends or that say the same in other words.
static KNOWN: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let mut known = HashSet::from([
        "arch_bits",
        "config_file",
        "lru_clock",
        "master_port",
        "master_replid",
        "master_replid2",
        "redis_git_dirty",
        "redis_git_sha1",
        "redis_build_id",
        "run_id",
        "server_time_usec",
        "tcp_port",
        "tls_ca_cert_serial",
        "tls_client_cert_serial",
        "tls_server_cert_serial",
        "uptime_in_days",
    ]);
    for row in ROWS.iter() {
        match row.source {
            Source::Int(field)
            | Source::Double(field)
            | Source::Scaled(field, _)
            | Source::Is(field, _)
            | Source::Text(field)
            | Source::Link(field)
            | Source::Cluster(field) => {
                known.insert(field);
            }
            Source::Doubles(fields) | Source::Several(fields, _) => {
                known.extend(fields.iter().map(|(field, _)| field))
            }
            _ => {}
        }
    }
    known
});

/// Lines that other metrics take apart: by the name's beginning, and by one with a number behind it.
const TAKEN: [&str; 3] = ["cmdstat_", "errorstat_", "latency_percentiles_usec_"];
const NUMBERED: [&str; 6] = ["db", "io_thread_", "engine_", "slave", "master", "listener"];

/// Section, field and value, in the server's order. A value `k=v,k=v` gives each of its numbers as `field.k`.
pub(crate) fn fields<'a>(info: &'a Info<'a>) -> impl Iterator<Item = (&'a str, String, f64)> {
    info.fields().iter().filter(|field| !is_known(field.key)).flat_map(|field| {
        let own = finite(field.value).map(|value| (field.section, field.key.to_owned(), value));
        let members = field.members().filter_map(move |(name, value)| {
            Some((field.section, format!("{}.{name}", field.key), finite(value)?))
        });
        own.into_iter().chain(members)
    })
}

fn is_known(key: &str) -> bool {
    let number_after = |prefix: &str| {
        key.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    key == "module"
        || KNOWN.contains(key)
        || TAKEN.iter().any(|prefix| key.starts_with(prefix))
        || NUMBERED.iter().any(|prefix| number_after(prefix))
}

fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_a_newer_server_and_of_modules_are_found_and_a_broken_line_costs_no_other() {
        let text = "# Stats\r\nkeyspace_hits:5\r\nbrand-new_number:-3\r\nnonsense\r\n:9\r\nempty:\r\n\
                    new_line:a=1,b=x,c=2.5,broken\r\n# Keyspace\r\ndb0:keys=1\r\n# search\r\n\
                    search_number_of_indexes:7\r\nratio:nan\r\ncmdstat_get:calls=1\r\nmaster_new:4";
        let info = Info::parse(text);
        let found: Vec<_> = fields(&info).collect();
        let field = |section, name: &str, value| (section, name.to_owned(), value);
        assert_eq!(
            found,
            [
                field("Stats", "brand-new_number", -3.0),
                field("Stats", "new_line.a", 1.0),
                field("Stats", "new_line.c", 2.5),
                field("search", "search_number_of_indexes", 7.0),
                field("search", "master_new", 4.0),
            ]
        );
    }
}
