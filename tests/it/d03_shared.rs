//! Shared dictionaries over real requests: one for all workers, of the size that settings say.

use std::collections::HashSet;

use crate::support::Setup;

#[test]
fn d03_dictionaries_are_shared_by_the_workers() {
    let gateway = Setup::probe(1)
        .set("nginx_worker_processes", "2")
        .set("nginx_http_lua_shared_dict", "mine 3m; lua_shared_dict other 64k")
        .start();
    let lua = "local d = ngx.shared.mine d:rpush('pids', ngx.worker.id()) \
               kong.response.exit(200, d:incr('n', 1, 0) .. ' ' .. ngx.worker.id())";
    let mut seen = HashSet::new();
    let mut workers = HashSet::new();
    for _ in 0..60 {
        // each over a connection of its own: the system spreads them over the workers
        let text = gateway.access(lua).is(200).text();
        let (n, worker) = text.split_once(' ').unwrap();
        seen.insert(n.parse::<u32>().unwrap());
        workers.insert(worker.to_owned());
    }
    assert_eq!(seen, (1..=60).collect());
    assert_eq!(workers.len(), 2);
    let r = gateway.access(
        "local d = ngx.shared.mine kong.response.exit(200, table.concat({ d:llen('pids'), d:capacity(), \
         ngx.shared.other:capacity(), tostring(ngx.shared.none) }, ' '))",
    );
    assert_eq!(r.is(200).text(), "60 3145728 65536 nil");
}
