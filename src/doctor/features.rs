//! Which server it is, and what works on its version.

use streamgauge_redis::Info;

use super::finding::Chart;

/// The oldest version that is tested.
const OLDEST: (u32, u32) = (6, 2);

/// Name and version of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) is_valkey: bool,
    pub(super) numbers: (u32, u32),
    text: String,
}

impl Version {
    pub(super) fn of(info: &Info<'_>) -> Version {
        let text = info.version().unwrap_or("").to_owned();
        let mut numbers = text.split('.').map_while(|part| part.parse().ok());
        let numbers = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        Version { is_valkey: info.is_valkey(), numbers, text }
    }

    /// Whether what came with a version of Redis, and with one of Valkey, is there. Valkey began with all of Redis 7.2.
    pub(super) fn has(&self, redis: Since, valkey: Since) -> bool {
        let since = if self.is_valkey { valkey } else { redis };
        since.is_some_and(|since| self.numbers >= since)
    }

    fn name(&self) -> String {
        format!("{} {}", if self.is_valkey { "Valkey" } else { "Redis" }, self.text)
    }
}

/// The version from which something is there; `None` is never.
pub(super) type Since = Option<(u32, u32)>;

/// From the first Valkey on.
const ALWAYS: Since = Some((0, 0));

struct Feature {
    name: &'static str,
    redis: Since,
    valkey: Since,
}

const fn feature(name: &'static str, redis: (u32, u32), valkey: Since) -> Feature {
    Feature { name, redis: Some(redis), valkey }
}

/// Dated by the servers' own answers and by Redis' documentation.
const FEATURES: &[Feature] = &[
    feature("lag by the server", (7, 0), ALWAYS),
    feature("latency histograms", (7, 0), ALWAYS),
    feature("CLUSTER SHARDS", (7, 0), ALWAYS),
    feature("read-only key rights (%R~)", (7, 0), ALWAYS),
    feature("consumers' inactive time", (7, 2), ALWAYS),
    feature("event loop times", (7, 2), ALWAYS),
    feature("ACL denials by kind", (7, 2), ALWAYS),
    feature("I/O by thread", (8, 0), None),
    feature("key size distribution", (8, 0), None),
    feature("CLUSTER SLOT-STATS", (8, 2), Some((8, 0))),
    feature("HOTKEYS", (8, 6), None),
    feature("slow log counters", (8, 8), None),
    Feature { name: "COMMANDLOG", redis: None, valkey: Some((8, 1)) },
];

/// Tells the version, and the table as far as it concerns this kind of server.
pub(super) fn examine(version: &Version, info: &Info<'_>, chart: &mut Chart) {
    let mode = info.mode().unwrap_or("standalone");
    let name = version.name();
    let role = info.text("role").map_or(String::new(), |role| format!(", {role}"));
    if !version.is_valkey && version.numbers < OLDEST {
        let todo = format!("upgrade to {}.{} or later", OLDEST.0, OLDEST.1);
        chart.warn("version", format!("{name} ({mode}{role}) is older than anything that is tested"), todo);
    } else {
        chart.ok("version", format!("{name} ({mode}{role})"));
    }
    let here: Vec<_> =
        FEATURES.iter().filter(|one| version.has(one.redis, one.valkey)).map(|one| one.name).collect();
    let later: Vec<_> = FEATURES
        .iter()
        .filter(|one| !version.has(one.redis, one.valkey))
        .filter_map(|one| {
            let (major, minor) = if version.is_valkey { one.valkey? } else { one.redis? };
            Some(format!("{} ({major}.{minor})", one.name))
        })
        .collect();
    if !here.is_empty() {
        chart.ok("features", format!("has {}", here.join(", ")));
    }
    if !later.is_empty() {
        chart.note("features", format!("comes with later versions: {}", later.join(", ")), "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(info: &str) -> String {
        let info = Info::parse(info);
        let mut chart = Chart::new("redis", "a:1");
        examine(&Version::of(&info), &info, &mut chart);
        super::super::finding::text(&chart.findings())
    }

    #[test]
    fn a_version_has_what_came_with_it_and_is_told_what_comes_later() {
        let told = told("redis_version:7.0.15\r\nredis_mode:standalone\r\nrole:master\r\n");
        assert!(told.contains("Redis 7.0.15 (standalone, master)"), "{told}");
        assert!(told.contains("has lag by the server, latency histograms"), "{told}");
        assert!(told.contains("later versions: consumers' inactive time (7.2)"), "{told}");
        assert!(!told.contains("COMMANDLOG"), "never in Redis: {told}");
    }

    #[test]
    fn valkey_is_known_by_its_own_version_and_is_not_promised_what_only_redis_has() {
        let told = told(
            "server_name:valkey\r\nredis_version:7.2.4\r\nvalkey_version:8.0.1\r\nserver_mode:cluster\r\n",
        );
        assert!(told.contains("Valkey 8.0.1 (cluster)") && told.contains("CLUSTER SLOT-STATS"), "{told}");
        assert!(told.contains("COMMANDLOG (8.1)") && !told.contains("HOTKEYS"), "{told}");
    }

    #[test]
    fn a_server_before_6_2_is_warned_about() {
        assert!(told("redis_version:5.0.14\r\n").contains("warn  redis"));
    }
}
