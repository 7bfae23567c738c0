//! Which proxy the environment names for a server, by the rules of Go's `net/http`, which the Collector follows.

use std::net::IpAddr;

/// What the environment says about proxies.
#[derive(Debug, Default)]
pub(super) struct Rules {
    http: Option<(&'static str, String)>,
    https: Option<(&'static str, String)>,
    exempt: Vec<Exempt>,
}

/// An entry of `NO_PROXY`.
#[derive(Debug)]
enum Exempt {
    All,
    Ip(IpAddr, Option<u16>),
    Net(IpAddr, u32),
    /// A name with its first dot. `itself` says whether the name without the dot is meant too.
    Name {
        suffix: String,
        itself: bool,
        port: Option<u16>,
    },
}

impl Rules {
    /// Reads the variables; the upper-case names come first.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| {
                variable(name).filter(|value| !value.trim().is_empty()).map(|value| (name, value))
            })
        };
        // In a CGI program HTTP_PROXY is what a request's `Proxy` header says.
        let cgi = variable("REQUEST_METHOD").is_some_and(|method| !method.is_empty());
        let no_proxy = first(["NO_PROXY", "no_proxy"]).map_or(String::new(), |(_, list)| list);
        Rules {
            http: first(["HTTP_PROXY", "http_proxy"]).filter(|_| !cgi),
            https: first(["HTTPS_PROXY", "https_proxy"]),
            exempt: no_proxy.split(',').filter_map(Exempt::read).collect(),
        }
    }

    /// The variable that names a proxy for this server, and its URL.
    pub fn proxy(&self, secure: bool, host: &str, port: u16) -> Option<(&'static str, String)> {
        let (name, url) = if secure { self.https.as_ref()? } else { self.http.as_ref()? };
        let host = host.to_ascii_lowercase();
        let ip = host.parse::<IpAddr>().ok();
        if host == "localhost" || ip.is_some_and(|ip| ip.is_loopback()) {
            return None;
        }
        if self.exempt.iter().any(|exempt| exempt.covers(&host, ip, port)) {
            return None;
        }
        let url = url.trim();
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        Some((name, url))
    }
}

impl Exempt {
    fn read(entry: &str) -> Option<Self> {
        let entry = entry.trim().to_ascii_lowercase();
        if entry == "*" {
            return Some(Exempt::All);
        }
        if let Some((ip, bits)) = entry.split_once('/')
            && let (Ok(ip), Ok(bits)) = (ip.parse::<IpAddr>(), bits.parse())
        {
            return (bits <= width(ip)).then_some(Exempt::Net(ip, bits));
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.starts_with('[') => {
                (host, Some(port.parse().ok()?))
            }
            _ => (entry.as_str(), None),
        };
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        if let Ok(ip) = host.parse() {
            return Some(Exempt::Ip(ip, port));
        }
        let name = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
        match name.strip_prefix('.') {
            None if name.is_empty() => None,
            None => Some(Exempt::Name { suffix: format!(".{name}"), itself: true, port }),
            Some(_) => Some(Exempt::Name { suffix: name.to_owned(), itself: false, port }),
        }
    }

    fn covers(&self, host: &str, ip: Option<IpAddr>, port: u16) -> bool {
        match self {
            Exempt::All => true,
            Exempt::Ip(own, only) => ip == Some(*own) && only.is_none_or(|only| only == port),
            Exempt::Net(net, bits) => ip.is_some_and(|ip| prefix(ip, *bits) == prefix(*net, *bits)),
            Exempt::Name { suffix, itself, port: only } => {
                let same = host.ends_with(suffix.as_str()) || (*itself && host == &suffix[1..]);
                same && only.is_none_or(|only| only == port)
            }
        }
    }
}

fn width(ip: IpAddr) -> u32 {
    if ip.is_ipv4() { 32 } else { 128 }
}

/// The first bits of an address, and of which kind it is.
fn prefix(ip: IpAddr, bits: u32) -> (bool, u128) {
    let number = match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    };
    (ip.is_ipv4(), number.checked_shr(width(ip) - bits).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(variables: &[(&str, &str)]) -> Rules {
        Rules::of(|name| variables.iter().find(|(own, _)| *own == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn each_scheme_has_its_proxy_and_the_upper_case_name_comes_first() {
        let rules = rules(&[
            ("HTTP_PROXY", "plain:3128"),
            ("http_proxy", "http://other"),
            ("https_proxy", "https://u:p@tls"),
        ]);
        let proxy = |secure, host| rules.proxy(secure, host, 1);
        assert_eq!(proxy(false, "a.example"), Some(("HTTP_PROXY", "http://plain:3128".to_owned())));
        assert_eq!(proxy(true, "a.example"), Some(("https_proxy", "https://u:p@tls".to_owned())));
        for own in ["localhost", "LocalHost", "127.0.0.1", "127.8.8.8", "::1"] {
            assert_eq!(proxy(false, own), None, "{own}");
        }
        assert!(Rules::of(|_| None).proxy(true, "a.example", 1).is_none());
        assert!(Rules::of(|_| Some(String::new())).proxy(true, "a.example", 1).is_none());
    }

    #[test]
    fn a_cgi_programs_http_proxy_is_somebody_elses_header() {
        let rules = rules(&[("HTTP_PROXY", "evil"), ("HTTPS_PROXY", "good"), ("REQUEST_METHOD", "GET")]);
        assert_eq!(rules.proxy(false, "a.example", 80), None);
        assert!(rules.proxy(true, "a.example", 443).is_some());
    }

    #[test]
    fn no_proxy_has_names_addresses_networks_and_ports() {
        let direct = |list: &str, host: &str, port: u16| {
            let rules = rules(&[("HTTPS_PROXY", "p"), ("NO_PROXY", list)]);
            rules.proxy(true, host, port).is_none()
        };
        for (list, host, port, expected) in [
            ("*", "anything", 1, true),
            ("example.com", "example.com", 1, true),
            ("example.com", "a.example.com", 1, true),
            ("example.com", "badexample.com", 1, false),
            (" Example.com , b", "EXAMPLE.COM", 1, true),
            (".example.com", "example.com", 1, false),
            (".example.com", "a.example.com", 1, true),
            ("*.example.com", "a.example.com", 1, true),
            ("*.example.com", "example.com", 1, false),
            ("example.com:443", "example.com", 443, true),
            ("example.com:443", "example.com", 80, false),
            ("10.1.2.3", "10.1.2.3", 1, true),
            ("10.1.2.3:5", "10.1.2.3", 5, true),
            ("10.1.2.3:5", "10.1.2.3", 6, false),
            ("10.0.0.0/8", "10.200.0.1", 1, true),
            ("10.0.0.0/8", "11.0.0.1", 1, false),
            ("10.0.0.0/8", "ten.example", 1, false),
            ("0.0.0.0/0", "11.0.0.1", 1, true),
            ("fd00::/8", "fd12::1", 1, true),
            ("[fd12::1]:5", "fd12::1", 5, true),
            ("fd12::1", "fd12::1", 5, true),
            (",,:80,/8,", "example.com", 80, false),
        ] {
            assert_eq!(direct(list, host, port), expected, "{list} {host}:{port}");
        }
    }
}
