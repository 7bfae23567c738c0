use streamgauge_component::{Kind, State};
use streamgauge_harness::{free_port, http};

use super::*;

/// A started extension and its URL.
async fn started(change: impl FnOnce(&mut Config)) -> (HealthCheck, Host, String) {
    let mut config = Config { endpoint: format!("localhost:{}", free_port()), ..Config::default() };
    change(&mut config);
    let url = format!("http://{}{}", config.endpoint, config.path);
    let extension = HealthCheck { config: Arc::new(config), pages: Mutex::default() };
    let host = Host::for_test(Kind::Extension, "health_check");
    extension.start(host.clone()).await.expect("a free port");
    (extension, host, url)
}

async fn get(url: &str) -> std::io::Result<http::Answer> {
    let url = url.to_owned();
    tokio::task::spawn_blocking(move || http::get(&url)).await.expect("no panic")
}

#[tokio::test]
async fn it_is_503_until_the_pipelines_are_ready_and_again_when_they_stop() {
    let (_extension, host, url) = started(|_| {}).await;
    assert_eq!(get(&url).await.unwrap().status, 503);
    host.board().set_ready(true);
    let answer = get(&url).await.unwrap();
    assert_eq!((answer.status, answer.headers["content-type"].as_str()), (200, "application/json"));
    let json = answer.json();
    assert_eq!(json["status"], "Server available");
    assert!(json["upSince"].as_str().unwrap().ends_with('Z'), "{json}");
    assert_eq!(json["uptime"], "0s");
    host.board().set_ready(false);
    let answer = get(&url).await.unwrap();
    assert_eq!(answer.status, 503);
    assert!(answer.json().get("upSince").is_none());
}

#[tokio::test]
async fn the_body_names_who_is_not_well_and_why_without_failing_the_probe() {
    let (_extension, host, url) = started(|_| {}).await;
    host.board().set_ready(true);
    host.for_component(Kind::Receiver, "redis").report(State::Ok, None);
    host.for_component(Kind::Exporter, "otlp").report(State::Recoverable, Some("connection refused".into()));
    let answer = get(&url).await.unwrap();
    assert_eq!(answer.status, 200);
    let degraded = answer.json()["degraded"].as_array().unwrap().clone();
    assert_eq!(degraded.len(), 1, "{degraded:?}");
    assert_eq!(degraded[0]["kind"], "exporter");
    assert_eq!(degraded[0]["id"], "otlp");
    assert_eq!(degraded[0]["state"], "StatusRecoverableError");
    assert_eq!(degraded[0]["reason"], "connection refused");
}

#[tokio::test]
async fn only_the_configured_path_is_answered_with_the_configured_bodies() {
    let (_extension, host, url) = started(|config| {
        config.path = "/health".to_owned();
        config.response_body = Some(ResponseBody { healthy: "up".to_owned(), unhealthy: "down".to_owned() });
    })
    .await;
    assert_eq!(get(&url).await.unwrap().text(), "down");
    host.board().set_ready(true);
    assert_eq!(get(&url).await.unwrap().text(), "up");
    assert_eq!(get(url.trim_end_matches("health")).await.unwrap().status, 404);
}

#[tokio::test]
async fn the_port_is_free_after_shutdown_taken_before_and_taken_over_by_its_next_instance() {
    let (extension, host, url) = started(|_| {}).await;
    let again = || HealthCheck { config: extension.config.clone(), pages: Mutex::default() };
    let other = host.for_component(Kind::Extension, "health_check/2");
    let error = again().start(other.clone()).await.expect_err("the port is taken").to_string();
    assert!(error.contains(&extension.config.endpoint), "{error}");
    let next = again();
    next.start(host).await.expect("it is of the same id");
    extension.shutdown().await;
    assert_eq!(get(&url).await.unwrap().status, 503, "the next instance answers");
    next.shutdown().await;
    assert!(get(&url).await.is_err());
    again().start(other).await.expect("the port is free");
}

#[test]
fn an_endpoint_without_a_port_and_a_relative_path_are_both_reported() {
    use streamgauge_component::ComponentConfig;
    let config = Config { endpoint: "localhost".into(), path: "health".into(), ..Config::default() };
    let paths: Vec<_> = config.problems().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["endpoint", "path"]);
}
