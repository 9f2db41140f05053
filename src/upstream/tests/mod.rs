//! The connector and the pool against a TLS server that says what each connection was made with.
#![allow(clippy::unwrap_used)]

mod crossing;
mod limits;
mod server;

use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use hyper::body::Incoming;

use super::pool::{Pool, PoolLimits};
use super::{AttemptError, Conn, ConnectPlan, OutBody, Silence, UpstreamBody};

/// Runs on one thread, as a worker does.
fn on_a_worker<F: Future>(f: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, f)
}

const LIMIT: Duration = Duration::from_secs(20);

/// A kept connection or a new one, as the proxy gets it.
async fn take(pool: &Pool, plan: &ConnectPlan) -> Result<Conn, AttemptError> {
    match pool.kept(plan) {
        Some(conn) => Ok(conn),
        None => pool.connect(plan.clone(), LIMIT).await,
    }
}

/// One request; what the server says of its connection.
async fn ask(conn: &mut Conn) -> Result<Response<Incoming>, AttemptError> {
    let head = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec();
    let request = http::Request::builder().uri("/").header("host", "x");
    let silence = Silence {
        write: LIMIT,
        read: LIMIT,
    };
    conn.request(head, request.body(OutBody::Empty).unwrap(), silence)
        .await
}

/// Gives the connection back after a response without a body.
fn give_back(pool: &Rc<Pool>, conn: Conn, response: Response<Incoming>) {
    let body = UpstreamBody::new(response.into_body(), conn, pool.clone(), LIMIT);
    assert!(http_body::Body::is_end_stream(&body));
    let _: Option<Bytes> = None;
    drop(body);
}

/// The same sequence for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % sides
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.roll(of.len())]
    }
}

fn pool(per_plan: usize) -> Rc<Pool> {
    Pool::new(PoolLimits {
        per_plan,
        ..PoolLimits::default()
    })
}

/// An identity that equals another made of the same, and is not the same object.
fn identity(cert: &server::Made) -> Arc<crate::tls::identity::ClientIdentity> {
    let chain = crate::tls::chain::CertificateChain::from_der(&cert.der).unwrap();
    let key = crate::tls::key::PrivateKey::from_der(&cert.key).unwrap();
    crate::tls::identity::ClientIdentity::new(chain, key).unwrap()
}
