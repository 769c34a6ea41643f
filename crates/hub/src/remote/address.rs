//! Addresses: what a redirect leads to, and who may see a token.

use ureq::http::Uri;

use crate::{Error, Result};

/// The address of a hub: scheme, host and perhaps a path.
///
/// # Errors
/// If it is none.
pub(super) fn endpoint(text: &str) -> Result<Uri> {
    let wrong = || Error::Name {
        name: text.to_owned(),
        problem: "the address of a hub is like https://huggingface.co".to_owned(),
    };
    let uri: Uri = text.trim_end_matches('/').parse().map_err(|_| wrong())?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    // Who logs in by address would be shown in every message.
    let plain = uri.query().is_none() && !text.contains(['@', '#']);
    if is_http && plain && uri.host().is_some_and(|host| !host.is_empty()) {
        return Ok(uri);
    }
    Err(wrong())
}

/// Where a redirect leads.
///
/// # Errors
/// If it is no address, or leaves HTTPS: what comes by HTTP may be anybody's.
pub(super) fn redirected(from: &Uri, location: &str) -> Result<Uri> {
    let scheme = from.scheme_str().unwrap_or_default();
    let authority = from.authority().map(|authority| authority.as_str()).unwrap_or_default();
    let target = if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else {
        location.to_owned()
    };
    let wrong = |problem: &str| Error::Network { url: shown(from), problem: problem.to_owned() };
    // An address may be followed by a place in a page.
    let target = target.split('#').next().unwrap_or_default();
    let to: Uri = target.parse().map_err(|_| wrong("it redirects to what is no address"))?;
    match (from.scheme_str(), to.scheme_str()) {
        (Some("https"), Some("http")) => Err(wrong("it redirects to an address without HTTPS")),
        (_, Some("http" | "https")) if to.host().is_some() => Ok(to),
        _ => Err(wrong("it redirects to what is no address of HTTP")),
    }
}

/// Whether two addresses are of the same server: scheme, host and port.
pub(super) fn same_server(a: &Uri, b: &Uri) -> bool {
    let port = |uri: &Uri| {
        uri.port_u16().or(match uri.scheme_str() {
            Some("https") => Some(443),
            Some("http") => Some(80),
            _ => None,
        })
    };
    let host = |uri: &Uri| uri.host().map(str::to_ascii_lowercase);
    a.scheme() == b.scheme() && host(a) == host(b) && port(a) == port(b)
}

/// Whether it is of this machine, which no proxy stands before.
pub(super) fn is_local(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback = |address: std::net::IpAddr| address.is_loopback();
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(is_loopback)
}

/// An address for messages: what follows `?` may open a door.
pub(super) fn shown(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or_default();
    let host = uri.host().unwrap_or_default();
    let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{scheme}://{host}{port}{}", uri.path())
}

/// A file's name as it stands in an address.
pub(super) fn encoded(file: &str) -> String {
    let mut encoded = String::new();
    for byte in file.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                encoded.push(byte.into());
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn the_address_of_a_hub_has_a_host_and_nobody_s_password() {
        for text in ["https://huggingface.co", "http://127.0.0.1:80/hub/", "https://[::1]:1"] {
            assert!(endpoint(text).is_ok(), "{text}");
        }
        for text in
            ["", "huggingface.co", "ftp://a", "https://", "https://a:b@c", "https://a?b", "/a"]
        {
            assert!(endpoint(text).unwrap_err().is_usage(), "{text}");
        }
    }

    #[test]
    fn redirects_are_relative_or_not_and_keep_to_https() {
        let from = uri("https://hub:1/a/b?c");
        for (location, want) in [
            ("/x?y", "https://hub:1/x?y"),
            ("//other/x", "https://other/x"),
            ("https://other/x#z", "https://other/x"),
        ] {
            assert_eq!(redirected(&from, location).unwrap().to_string(), want);
        }
        for location in ["http://hub:1/x", "file:///x", "x", "", "https://"] {
            assert!(redirected(&from, location).is_err(), "{location}");
        }
        assert!(redirected(&uri("http://a/b"), "http://c/d").is_ok());
    }

    #[test]
    fn a_server_is_a_scheme_a_host_and_a_port() {
        assert!(same_server(&uri("https://hub/a"), &uri("https://HUB:443/b")));
        for other in ["http://hub/a", "https://hub:444/a", "https://cdn.hub/a"] {
            assert!(!same_server(&uri("https://hub/a"), &uri(other)), "{other}");
        }
        for local in ["http://127.0.0.1:8/", "http://[::1]/", "https://localhost/a"] {
            assert!(is_local(&uri(local)), "{local}");
        }
        assert!(!is_local(&uri("https://localhost.example/")));
    }

    #[test]
    fn what_is_shown_holds_no_key() {
        assert_eq!(shown(&uri("https://u:p@cdn:1/a/b?Signature=s")), "https://cdn:1/a/b");
        assert_eq!(encoded("lm/a b#?é.json"), "lm/a%20b%23%3F%C3%A9.json");
    }
}
