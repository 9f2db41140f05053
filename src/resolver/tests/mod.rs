//! The whole of it against a server of our own over real sockets.
#![allow(clippy::unwrap_used)]

mod bounds;
mod lasting;
mod lookups;

#[path = "../../../tests/it/support/dns.rs"]
#[allow(dead_code, missing_docs, clippy::expect_used)]
mod dns;

use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use self::dns::{A, AAAA, CNAME, Dns, SRV, Say, a, aaaa, cname, rr, srv};
use super::options::{Client, Step};
use super::*;

/// A folder for one test's files.
struct Dir(PathBuf);

impl Dir {
    fn new(test: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("moongate-names-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Options that ask `dns` only, and give up soon.
fn options(dns: &Dns) -> Options {
    Options {
        servers: vec![dns.addr],
        hosts_file: "/nonexistent".into(),
        resolv_conf: "/nonexistent".into(),
        res_options: "timeout:1 attempts:2".into(),
        ..Options::default()
    }
}

fn names(dns: &Dns, change: impl FnOnce(&mut Options)) -> Names {
    let mut options = options(dns);
    change(&mut options);
    Names::new(options)
}

fn order(kinds: &[u16]) -> Client {
    Client::Classic {
        order: kinds.iter().map(|k| Step::Kind(*k)).collect(),
        no_sync: false,
    }
}

const MODERN: Client = Client::Modern {
    srv: true,
    a: true,
    aaaa: true,
};

fn on_worker<R>(f: impl Future<Output = R>) -> R {
    let rt = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&rt, f)
}

async fn sleep(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

async fn eventually(mut yes: impl FnMut() -> bool) {
    for _ in 0..300 {
        if yes() {
            return;
        }
        sleep(10).await;
    }
    panic!("never");
}

async fn first(names: &Names, host: &str) -> String {
    match names.resolve(host, 80).await {
        Ok(found) => found.first().to_string(),
        Err(e) => e.reason,
    }
}

async fn all(names: &Names, host: &str) -> Vec<String> {
    let found = names.resolve(host, 80).await.unwrap();
    found.iter().map(|a| a.to_string()).collect()
}

const NAME_ERROR: &str = "dns server error: 3 name error";
const EMPTY: &str = "dns client error: 101 empty record received";
