//! The Admin API: HTTP on `admin_listen`, served by the control thread. Today it has one resource, `/config`, by which
//! a configuration is swapped without a reload.
//!
//! Must not: apply anything itself; what is asked goes to whoever holds the other end of the [`Asks`].
//!
//! # Source
//! `kong/api/init.lua`, `kong/api/routes/config.lua`

mod config;
mod http;
mod patient;
mod places;

use std::sync::Arc;

use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_rustls::TlsAcceptor;

use places::Place;
pub use places::Places;

use crate::store::Snapshot;

/// What a client asks of the gateway.
#[derive(Debug)]
pub enum Ask {
    /// The configuration as declarative YAML.
    Export(oneshot::Sender<String>),
    /// Take in a configuration.
    Load(Load, oneshot::Sender<Loaded>),
}

/// A configuration that was sent.
#[derive(Debug)]
pub struct Load {
    /// Its text, JSON or YAML.
    pub text: Arc<str>,
    /// Whether nothing is to be done where the current one has the same hash.
    pub check_hash: bool,
    /// Whether a refusal lists its errors by entity.
    pub flatten_errors: bool,
}

/// What became of it.
#[derive(Debug)]
pub enum Loaded {
    /// All workers run it.
    Done(Arc<Snapshot>),
    /// The current one has the same hash.
    Unchanged,
    /// It was refused: Kong's error object.
    Refused(Value),
    /// Another one is being loaded.
    Busy,
    /// It could not be applied.
    Failed(String),
}

/// Where asks go.
pub type Asks = mpsc::Sender<Ask>;

/// How the API answers.
#[derive(Debug, Clone)]
pub struct Api {
    /// Where asks go.
    pub asks: Asks,
    /// Longest body, in bytes; 0 for no limit.
    pub max_body: u64,
    /// How many clients there may be at once.
    pub places: Places,
}

/// How long a client may take for a TLS handshake.
const HANDSHAKE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(60);

/// Accepts and answers until the task is dropped; with `tls`, only who speaks it.
pub async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, api: Api) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => match api.places.take() {
                Some(place) => drop(tokio::spawn(connection(stream, tls.clone(), api.clone(), place))),
                None => api.places.refuse(stream, tls.is_some()),
            },
            // out of file descriptors, most likely: try again when some were given back
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    }
}

async fn connection(stream: TcpStream, tls: Option<TlsAcceptor>, api: Api, _place: Place) {
    let Some(tls) = tls else {
        return http::connection(stream, api).await;
    };
    if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
        http::connection(stream, api).await;
    }
}
