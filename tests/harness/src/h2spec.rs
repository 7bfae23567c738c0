//! The conformance test of HTTP/2, h2spec, as `scripts/setup` builds it.

use std::path::Path;
use std::process::Command;

/// Runs every case against a server on this loopback port, for requests of this path. Returns how many there were, and the names
/// of those that failed with the sections they are of.
pub fn h2spec(port: u16, path: &str) -> (usize, Vec<String>) {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/clients/h2spec");
    assert!(program.exists(), "scripts/setup builds {}", program.display());
    let dir = tempfile::tempdir().unwrap();
    let report = dir.path().join("report.xml");
    let port = port.to_string();
    // Its cases wait for answers of a server that may have to share its machine with other tests.
    let mut command = Command::new(program);
    command.args(["-h", "127.0.0.1", "-p", &port, "-P", path, "-o", "5", "-j"]).arg(&report);
    let said = command.output().unwrap();
    let text = std::fs::read_to_string(report).unwrap_or_default();
    let cases: Vec<&str> = text.split("<testcase ").skip(1).collect();
    assert!(!cases.is_empty(), "{}", String::from_utf8_lossy(&said.stderr));
    let attribute = |case: &str, name: &str| {
        let value = case.split_once(&format!("{name}=\"")).unwrap().1;
        value.split_once('"').unwrap().0.to_owned()
    };
    let failed = cases.iter().filter(|case| case.contains("<error") || case.contains("<failure"));
    let names = failed.map(|case| format!("{} {}", attribute(case, "package"), attribute(case, "classname")));
    (cases.len(), names.collect())
}
