//! Cookies of servers, shown to them again: what a load balancer marks its clients with.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, HeaderValue};

/// Servers set few; what a hostile one sets beyond this displaces the oldest.
const MOST: usize = 100;
/// RFC 6265 asks for this much; longer ones are not kept.
const LONGEST: usize = 4096;

/// The cookies of one exporter, for as long as it lives. A cookie is shown to the very host that set it, never to others of
/// its domain: so no list of public suffixes is needed.
#[derive(Debug, Default)]
pub struct Cookies(Mutex<Vec<Cookie>>);

#[derive(Debug)]
struct Cookie {
    host: String,
    name: String,
    value: String,
    path: String,
    secure: bool,
    ends: Option<SystemTime>,
}

/// What a request is sent to.
#[derive(Clone, Copy)]
pub(super) struct To<'a> {
    pub host: &'a str,
    pub path: &'a str,
    pub secure: bool,
}

impl Cookies {
    /// Puts what there is for this request into its headers.
    pub(super) fn show(&self, to: To<'_>, headers: &mut HeaderMap, now: SystemTime) {
        let mut all = self.lock();
        all.retain(|cookie| cookie.ends.is_none_or(|ends| ends > now));
        let mut found: Vec<&Cookie> = all.iter().filter(|cookie| cookie.is_for(to)).collect();
        found.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let text: Vec<String> = found.iter().map(|c| format!("{}={}", c.name, c.value)).collect();
        if let (false, Ok(mut value)) = (text.is_empty(), HeaderValue::try_from(text.join("; "))) {
            value.set_sensitive(true);
            headers.append(COOKIE, value);
        }
    }

    /// Keeps what an answer sets.
    pub(super) fn keep(&self, to: To<'_>, answer: &HeaderMap, now: SystemTime) {
        for set in answer.get_all(SET_COOKIE) {
            let Some(cookie) = set.to_str().ok().and_then(|text| Cookie::read(text, to, now)) else {
                continue;
            };
            let mut all = self.lock();
            all.retain(|other| !other.is_same(&cookie));
            if all.len() >= MOST {
                all.remove(0);
            }
            if cookie.ends.is_none_or(|ends| ends > now) {
                all.push(cookie);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Cookie>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cookie {
    /// `name=value; attribute; attribute=value`. What names another domain than the host's is nobody's.
    fn read(text: &str, to: To<'_>, now: SystemTime) -> Option<Self> {
        let mut parts = text.split(';');
        let (name, value) = parts.next()?.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() || name.len() + value.len() > LONGEST {
            return None;
        }
        let directory = to.path.split('?').next().and_then(|p| p.rsplit_once('/')).map_or("", |(d, _)| d);
        let mut cookie = Cookie {
            host: to.host.to_ascii_lowercase(),
            name: name.to_owned(),
            value: value.to_owned(),
            path: if directory.is_empty() { "/".to_owned() } else { directory.to_owned() },
            secure: false,
            ends: None,
        };
        let mut max_age = false;
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            let value = value.trim();
            match key.trim().to_ascii_lowercase().as_str() {
                "secure" => cookie.secure = true,
                "path" if value.starts_with('/') => cookie.path = value.to_owned(),
                "max-age" => {
                    let Ok(seconds) = value.parse::<i64>() else { continue };
                    max_age = true;
                    let lasting = Duration::from_secs(seconds.max(0).unsigned_abs());
                    cookie.ends = now.checked_add(lasting);
                }
                "expires" if !max_age => {
                    let date = jiff::fmt::rfc2822::parse(&value.replace('-', " ")).ok();
                    cookie.ends = date.map(|date| SystemTime::from(date.timestamp())).or(cookie.ends);
                }
                "domain" => {
                    let domain = value.trim_start_matches('.').to_ascii_lowercase();
                    let within = cookie
                        .host
                        .strip_suffix(&domain)
                        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
                    if !domain.is_empty() && !within {
                        return None;
                    }
                }
                _ => {}
            }
        }
        Some(cookie)
    }

    fn is_same(&self, other: &Cookie) -> bool {
        (&self.host, &self.name, &self.path) == (&other.host, &other.name, &other.path)
    }

    fn is_for(&self, to: To<'_>) -> bool {
        let path = to.path.split('?').next().unwrap_or_default();
        let below = path.strip_prefix(self.path.as_str());
        let below =
            below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || self.path.ends_with('/'));
        self.host.eq_ignore_ascii_case(to.host) && (to.secure || !self.secure) && below
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;
    const LOGS: To<'_> = To { host: "a.example", path: "/in/v1/logs?x=/", secure: true };

    fn set(cookies: &Cookies, to: To<'_>, text: &'static str) {
        let mut answer = HeaderMap::new();
        answer.append(SET_COOKIE, HeaderValue::from_static(text));
        cookies.keep(to, &answer, NOW);
    }

    fn shown(cookies: &Cookies, to: To<'_>, seconds: u64) -> Option<String> {
        let mut headers = HeaderMap::new();
        cookies.show(to, &mut headers, NOW + Duration::from_secs(seconds));
        headers.get(COOKIE).map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn a_cookie_comes_back_to_its_host_and_path_until_it_ends() {
        let cookies = Cookies::default();
        set(&cookies, LOGS, "lb=n1; Path=/; Max-Age=60; HttpOnly");
        set(&cookies, LOGS, "here=1");
        assert_eq!(shown(&cookies, LOGS, 0).as_deref(), Some("here=1; lb=n1"), "the longer path first");
        let other_path = To { path: "/other", ..LOGS };
        assert_eq!(shown(&cookies, other_path, 0).as_deref(), Some("lb=n1"));
        assert_eq!(shown(&cookies, To { path: "/in/v10", ..LOGS }, 0).as_deref(), Some("lb=n1"));
        assert_eq!(shown(&cookies, To { host: "b.example", ..LOGS }, 0), None);
        set(&cookies, LOGS, "lb=n2; path=/; expires=Thu, 01 Jan 1970 00:00:30 GMT");
        assert_eq!(shown(&cookies, other_path, 29).as_deref(), Some("lb=n2"), "set again");
        assert_eq!(shown(&cookies, other_path, 30), None);
        set(&cookies, LOGS, "here=1; max-age=0");
        assert_eq!(shown(&cookies, LOGS, 0), None, "taken back");
    }

    #[test]
    fn what_is_secure_is_not_shown_in_plain_text_and_foreign_domains_set_nothing() {
        let cookies = Cookies::default();
        set(&cookies, LOGS, "s=1; Secure");
        assert_eq!(shown(&cookies, To { secure: false, ..LOGS }, 0), None);
        assert!(shown(&cookies, LOGS, 0).is_some());
        let cookies = Cookies::default();
        set(&cookies, LOGS, "evil=1; Domain=b.example");
        set(&cookies, LOGS, "=1");
        set(&cookies, LOGS, "nothing");
        assert_eq!(shown(&cookies, LOGS, 0), None);
        set(&cookies, LOGS, "own=1; Domain=.Example");
        assert!(shown(&cookies, LOGS, 0).is_some());
    }

    #[test]
    fn a_server_cannot_fill_the_memory() {
        let cookies = Cookies::default();
        for number in 0..MOST + 10 {
            let mut answer = HeaderMap::new();
            answer.append(SET_COOKIE, format!("c{number}=v").parse().unwrap());
            answer.append(SET_COOKIE, format!("long={}", "x".repeat(LONGEST)).parse().unwrap());
            cookies.keep(LOGS, &answer, NOW);
        }
        let shown = shown(&cookies, LOGS, 0).unwrap();
        assert_eq!(shown.split("; ").count(), MOST);
        assert!(shown.contains("c109=v") && !shown.contains("c9=v"));
    }
}
