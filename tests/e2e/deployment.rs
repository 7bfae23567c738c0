//! The compose file and the image, as far as they can be checked without an engine. `scripts/check` runs hadolint and
//! promtool over them.

use serde_json::Value;

use crate::support::{read, root};

fn compose() -> Value {
    serde_yaml::from_str(&read("docker/compose.yaml")).expect("compose.yaml is YAML")
}

#[test]
fn every_image_of_the_compose_file_has_a_version_and_every_mounted_file_exists() {
    let compose = compose();
    for (name, service) in compose["services"].as_object().unwrap() {
        if let Some(image) = service["image"].as_str() {
            let tag = image.split_once(':').unwrap_or_else(|| panic!("{name}: {image} has no version")).1;
            assert!(tag.chars().any(|c| c.is_ascii_digit()), "{name}: {image}");
        }
        for mount in service["volumes"].as_array().into_iter().flatten() {
            let source = mount.as_str().unwrap().split(':').next().unwrap();
            assert!(root().join("docker").join(source).exists(), "{name}: {source}");
        }
    }
}

#[test]
fn nothing_is_published_beyond_this_machine_and_no_password_is_written_down() {
    let text = read("docker/compose.yaml");
    assert!(!text.to_lowercase().contains("password"));
    for (name, service) in compose()["services"].as_object().unwrap() {
        for port in service["ports"].as_array().into_iter().flatten() {
            assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{name}: {port}");
        }
    }
}

#[test]
fn the_collector_s_files_in_the_compose_file_are_a_valid_configuration() {
    let compose = compose();
    let command = compose["services"]["streamgauge"]["command"].as_array().unwrap();
    let mut validate = std::process::Command::new(env!("CARGO_BIN_EXE_streamgauge"));
    validate.arg("validate");
    for argument in command {
        let inside = argument.as_str().unwrap().strip_prefix("--config=").expect("only configurations");
        // Where the image and the mount have these files from.
        let here = match inside.strip_prefix("/etc/streamgauge/") {
            Some(name) => root().join("configs").join(name),
            None => root().join("docker").join(inside.rsplit('/').next().unwrap()),
        };
        validate.arg("--config").arg(here);
    }
    for (key, value) in compose["services"]["streamgauge"]["environment"].as_object().unwrap() {
        validate.env(key, value.as_str().unwrap());
    }
    let out = validate.output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn the_image_runs_unprivileged_with_a_health_check_of_its_own() {
    let dockerfile = read("docker/Dockerfile");
    let last_stage = &dockerfile[dockerfile.rfind("FROM").unwrap()..];
    let user = last_stage.lines().find_map(|l| l.strip_prefix("USER ")).expect("a USER");
    assert!(!user.starts_with('0') && !user.starts_with("root"), "{user}");
    assert!(last_stage.contains("HEALTHCHECK") && last_stage.contains("\"health\""));
    assert!(last_stage.contains("nonroot"), "distroless without a shell");
}
