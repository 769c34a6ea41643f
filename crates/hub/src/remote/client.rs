//! Requests.

use std::{fmt, io, path::PathBuf, time::Duration};

use hf_hub::{
    Cache,
    api::sync::{Api, ApiBuilder},
};
use ureq::{
    Agent, Body,
    config::AutoHeaderValue,
    http::{Response, StatusCode, Uri, header},
    tls::{RootCerts, TlsConfig, TlsProvider},
};

use super::{Token, Wanted, address, token};
use crate::{Error, Result};

/// The hub that is asked if no other is named.
pub const ENDPOINT: &str = "https://huggingface.co";

/// Redirects that are followed, one after the other.
const MAX_REDIRECTS: usize = 10;

/// How long to wait for a connection, or for a server that says nothing.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Which hub, as whom, and how long to wait.
#[derive(Clone, Debug)]
pub struct HubOptions {
    /// Address of the hub.
    pub endpoint: String,
    /// Who asks.
    pub token: Option<Token>,
    /// How long to wait for a connection, for an answer, and for its next piece.
    pub timeout: Duration,
}

/// A hub.
pub struct Hub {
    /// Knows the addresses. It has no token, for it would show it.
    pub(super) api: Api,
    agent: Agent,
    endpoint: Uri,
    token: Option<Token>,
}

/// A part of a file that is wanted: all from a byte on.
#[derive(Clone, Copy, Debug)]
pub(super) struct From<'a> {
    pub(super) start: u64,
    /// What the file was called when its first part came.
    pub(super) etag: Option<&'a str>,
}

impl HubOptions {
    /// What the environment says: the hub of `HF_ENDPOINT`, else Hugging Face's,
    /// and the token of [`Token::from_env`].
    ///
    /// # Errors
    /// If the token has characters that cannot be sent.
    pub fn from_env() -> Result<Self> {
        let endpoint = std::env::var("HF_ENDPOINT").ok().filter(|value| !value.is_empty());
        let endpoint = endpoint.unwrap_or_else(|| ENDPOINT.to_owned());
        Ok(Self { endpoint, token: Token::from_env()?, timeout: TIMEOUT })
    }
}

impl Hub {
    /// A hub; nothing is asked yet. Certificates are those that the system trusts,
    /// and proxies those of the environment (`HTTPS_PROXY`, `NO_PROXY`, …).
    ///
    /// # Errors
    /// If the address is none.
    pub fn new(options: HubOptions) -> Result<Self> {
        let HubOptions { endpoint, token, timeout } = options;
        let uri = address::endpoint(&endpoint)?;
        let cache = token::cache().unwrap_or_else(|| Cache::new(PathBuf::new()));
        let api = ApiBuilder::from_cache(cache)
            .with_endpoint(uri.to_string().trim_end_matches('/').to_owned())
            .with_token(None)
            .with_progress(false)
            .build();
        let api = api.map_err(|error| network(&uri, error.to_string()))?;
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .root_certs(RootCerts::PlatformVerifier);
        let mut config = Agent::config_builder()
            .user_agent(concat!("glossator/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls.build())
            // What is asked for is bytes of a file, not of a compressed one.
            .accept_encoding(AutoHeaderValue::Provided("identity".to_owned().into()))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_resolve(Some(timeout))
            .timeout_connect(Some(timeout))
            .timeout_recv_response(Some(timeout))
            .timeout_per_read(Some(timeout))
            .timeout_per_write(Some(timeout));
        if address::is_local(&uri) {
            config = config.proxy(None);
        }
        Ok(Self { api, agent: config.build().into(), endpoint: uri, token })
    }

    /// Its address.
    pub fn endpoint(&self) -> String {
        self.endpoint.to_string().trim_end_matches('/').to_owned()
    }

    /// Asks for an address, and follows redirects; `seen` is called with every
    /// answer on the way, the last one too. The token goes to the hub itself only.
    ///
    /// # Errors
    /// If there is no answer, or `seen` refuses one.
    pub(super) fn get(
        &self,
        url: &str,
        from: Option<From<'_>>,
        mut seen: impl FnMut(&Response<Body>) -> Result<()>,
    ) -> Result<(Uri, Response<Body>)> {
        let invalid = |_| Error::Network { url: url.to_owned(), problem: "is no address".into() };
        let mut uri: Uri = url.parse().map_err(invalid)?;
        for _ in 0..=MAX_REDIRECTS {
            let mut request = self.agent.get(&uri);
            if let Some(token) = self.token.as_ref().filter(|_| self.is_own(&uri)) {
                request = request.header(header::AUTHORIZATION, token.header());
            }
            if let Some(From { start, etag }) = from {
                request = request.header(header::RANGE, format!("bytes={start}-"));
                if let Some(etag) = etag {
                    request = request.header(header::IF_RANGE, etag);
                }
            }
            let response = request.call().map_err(|error| failed(&uri, &error))?;
            seen(&response)?;
            if !is_redirect(response.status()) {
                return Ok((uri, response));
            }
            let location = text(&response, header::LOCATION.as_str()).unwrap_or_default();
            uri = address::redirected(&uri, location)?;
        }
        Err(network(&uri, format!("after {MAX_REDIRECTS} redirects there is another")))
    }

    fn is_own(&self, uri: &Uri) -> bool {
        address::same_server(uri, &self.endpoint)
    }

    /// Why the hub does not give something.
    pub(super) fn refused(
        &self,
        wanted: &Wanted,
        file: Option<&str>,
        (uri, response): &(Uri, Response<Body>),
    ) -> Error {
        let status = response.status();
        if !self.is_own(uri) || status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
        {
            let problem = format!("it answers {status}; try again later, what came is kept");
            return network(uri, problem);
        }
        let repository = wanted.repository();
        let token = match &self.token {
            Some(_) => "use a token that may read it (HF_TOKEN)",
            None => "set HF_TOKEN to a token that may read it",
        };
        let problem = match (status, text(response, "x-error-code")) {
            (StatusCode::UNAUTHORIZED, _) => {
                format!("it is private, or misspelt; look at the name, or {token}")
            }
            (StatusCode::FORBIDDEN, _) => format!(
                "access is not granted; ask for it at {}/{repository}, then {token}",
                self.endpoint()
            ),
            (StatusCode::NOT_FOUND, Some("RevisionNotFound")) => {
                format!("{repository} has no such branch, tag or commit")
            }
            (StatusCode::NOT_FOUND, _) if file.is_some() => {
                "there is no such file at that revision".to_owned()
            }
            (StatusCode::NOT_FOUND, _) => {
                format!("there is no such repository; it is misspelt, or private: {token}")
            }
            _ => format!("the hub answers {status}, which is not expected"),
        };
        Error::Refused { place: wanted.place(file), problem }
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// A header that is text.
pub(super) fn text<'a>(response: &'a Response<Body>, header: &str) -> Option<&'a str> {
    response.headers().get(header)?.to_str().ok()
}

pub(super) fn network(uri: &Uri, problem: String) -> Error {
    Error::Network { url: address::shown(uri), problem }
}

/// Why there is no answer.
fn failed(uri: &Uri, error: &ureq::Error) -> Error {
    network(uri, cause(error))
}

/// Why there is no more of an answer.
pub(super) fn cause_of_io(error: &io::Error) -> String {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
        Some(error) => cause(error),
        None => format!("the connection broke off ({error})"),
    }
}

fn cause(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => {
            "it does not answer in time; try again later, or wait longer (--timeout)".to_owned()
        }
        ureq::Error::HostNotFound => {
            "the host is not found; look at the network and at HF_ENDPOINT".to_owned()
        }
        ureq::Error::Io(error) => format!("it cannot be reached, or broke off ({error})"),
        error => format!("it cannot be reached ({error})"),
    }
}
