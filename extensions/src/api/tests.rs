use std::sync::atomic::{AtomicBool, Ordering};

use streamgauge_component::{BoxFuture, ComponentConfig, Control, Kind, Reloaded};
use streamgauge_config::Secret;
use streamgauge_harness::http;

use super::*;

#[derive(Default)]
struct Process {
    broken: AtomicBool,
}

impl Control for Process {
    fn ledger(&self) -> serde_json::Value {
        serde_json::json!({"components": []})
    }

    fn reload(&self) -> BoxFuture<'_, Reloaded> {
        Box::pin(async {
            let errors = if self.broken.load(Ordering::Relaxed) { vec!["no".to_owned()] } else { vec![] };
            Reloaded { changes: serde_json::json!({"kept": ["receiver/otlp"]}), errors }
        })
    }
}

struct Running {
    _api: Api,
    url: String,
    process: Arc<Process>,
}

async fn running(token: Option<&str>) -> Running {
    let config = Config { endpoint: "localhost:0".into(), token: token.map(Secret::new) };
    assert_eq!(config.problems(), []);
    let host = Host::for_test(Kind::Extension, "api");
    let process = Arc::new(Process::default());
    host.set_control(process.clone());
    let api = Api { config: Arc::new(config), pages: Mutex::default() };
    api.start(host).await.unwrap();
    let address = api.pages.lock().unwrap().as_ref().unwrap().local_addr().to_string();
    Running { _api: api, url: format!("http://{address}"), process }
}

impl Running {
    async fn ask(&self, method: &'static str, path: &str, headers: &[(&'static str, &str)]) -> http::Answer {
        let url = format!("{}{path}", self.url);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let ask = move || {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            http::request(method, &url, &headers, &[]).unwrap()
        };
        tokio::task::spawn_blocking(ask).await.unwrap()
    }
}

#[tokio::test]
async fn the_ledger_is_read_and_a_reload_tells_what_came_of_it() {
    let api = running(None).await;
    let ledger = api.ask("GET", "/api/v1/ledger", &[]).await;
    assert_eq!((ledger.status, ledger.json()), (200, serde_json::json!({"components": []})));
    let reload = api.ask("POST", "/api/v1/reload", &[]).await;
    assert_eq!((reload.status, &reload.json()["changes"]["kept"][0]), (200, &"receiver/otlp".into()));
    api.process.broken.store(true, Ordering::Relaxed);
    let reload = api.ask("POST", "/api/v1/reload", &[]).await;
    assert_eq!((reload.status, &reload.json()["errors"][0]), (422, &"no".into()));
    assert_eq!(api.ask("GET", "/api/v1/reload", &[]).await.status, 405);
    assert_eq!(api.ask("GET", "/", &[]).await.status, 404);
}

#[tokio::test]
async fn with_a_token_nothing_is_answered_without_it() {
    let api = running(Some("s3cret")).await;
    for shown in [None, Some("Bearer other"), Some("Basic s3cret"), Some("s3cret")] {
        let headers: Vec<_> = shown.iter().map(|shown| ("authorization", *shown)).collect();
        let answer = api.ask("GET", "/api/v1/ledger", &headers).await;
        assert_eq!(
            (answer.status, answer.headers["www-authenticate"].as_str()),
            (401, "Bearer"),
            "{shown:?}"
        );
    }
    assert_eq!(api.ask("GET", "/api/v1/ledger", &[("authorization", "bearer s3cret")]).await.status, 200);
}

#[test]
fn a_page_of_another_site_is_refused_by_host_origin_and_what_the_browser_says() {
    let guard = guard::Guard::new(&Config::default(), true);
    let check = |headers: &[(&'static str, &str)]| {
        let headers = headers
            .iter()
            .map(|(name, value)| (::http::HeaderName::from_static(name), value.parse().unwrap()));
        guard.check(&headers.collect()).map_err(|(status, _)| status.as_u16())
    };
    assert_eq!(check(&[("host", "localhost:13134")]), Ok(()));
    assert_eq!(check(&[("host", "[::1]:13134"), ("origin", "http://[::1]:13134")]), Ok(()));
    assert_eq!(check(&[("host", "rebound.example:13134")]), Err(403));
    assert_eq!(check(&[]), Err(403));
    assert_eq!(check(&[("host", "localhost:13134"), ("origin", "http://evil.example")]), Err(403));
    assert_eq!(check(&[("host", "localhost:13134"), ("origin", "http://localhost:3000")]), Err(403));
    assert_eq!(check(&[("host", "localhost:13134"), ("origin", "null")]), Err(403));
    assert_eq!(check(&[("host", "localhost:13134"), ("sec-fetch-site", "cross-site")]), Err(403));
}

#[test]
fn an_address_that_others_reach_needs_a_token() {
    let config = |endpoint: &str, token: Option<&str>| {
        let config = Config { endpoint: endpoint.into(), token: token.map(Secret::new) };
        config.problems().into_iter().map(|(path, _)| path).collect::<Vec<_>>()
    };
    assert_eq!(config("0.0.0.0:13134", None), ["token"]);
    assert_eq!(config("0.0.0.0:13134", Some("x")), [""; 0]);
    assert_eq!(config("[::1]:13134", None), [""; 0]);
    assert_eq!(config("localhost", Some("")), ["endpoint", "token"]);
}
